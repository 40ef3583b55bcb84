/** Addresses of web pages in what somebody says. */

/** Most of one message that become links: a stranger may say nothing but addresses. */
const MAX_LINKS = 20;

/** No other scheme: `javascript:` would run. Invisible characters end it, as they could show another address. */
const ADDRESS = /https?:\/\/[^\s<>"\p{C}]+/giu;

/** What ends a sentence rather than an address. */
const PUNCTUATION = ".,;:!?'’”»]}";

export interface Piece {
  text: string;
  isLink: boolean;
}

/** The text in pieces, in their order: nothing is added, nothing left out. */
export function inPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const { index, 0: found } of text.matchAll(ADDRESS)) {
    const address = withoutPunctuation(found);
    if (!isAddress(address)) continue;
    pieces.push({ text: text.slice(at, index), isLink: false }, { text: address, isLink: true });
    at = index + address.length;
    if (pieces.length >= 2 * MAX_LINKS) break;
  }
  pieces.push({ text: text.slice(at), isLink: false });
  return pieces.filter((piece) => piece.text !== '');
}

/** Safari has URL.canParse since 17. */
function isAddress(text: string): boolean {
  try {
    return new URL(text).href !== '';
  } catch {
    return false;
  }
}

/** A bracket stays that was opened within the address. */
function withoutPunctuation(address: string): string {
  const isClosing = address.includes('(') ? PUNCTUATION : `${PUNCTUATION})`;
  let end = address.length;
  while (isClosing.includes(address.charAt(end - 1))) end--;
  return address.slice(0, end);
}
