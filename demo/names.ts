/** What a person is called, and what stands for a person without a picture. */

/** Longest name that is shown, in characters: a stranger may send any. */
const MAX_NAME_LENGTH = 40;

/** Longest name of a file that is shown, and how much of that is its end, which says what kind of file it is. */
const MAX_FILE_NAME_LENGTH = 200;
const FILE_NAME_END = 50;

/** What we are called among messages and files. */
export const YOU = 'You';

/** What is put after a name that could be taken for ours. */
const NOT_US = ' (someone else)';

/**
 * The name that a peer goes by: the demo's own has one in its metadata, any other app a client id. Names are anybody's
 * to choose: a name that looks like ours, `own`, or like what we are called here, is marked.
 */
export function nameOf({ client_id, metadata }: { client_id: string; metadata: unknown }, own = ''): string {
  const { name } = Object(metadata);
  const shown = tidy(typeof name === 'string' ? name : client_id) || 'Nameless';
  return looksLikeUs(shown, own) ? `${shown}${NOT_US}` : shown;
}

function looksLikeUs(name: string, own: string): boolean {
  // Our own tile says `Ada (you)`.
  return /\p{Ps}you\p{Pe}/u.test(squeezed(name)) || [YOU, own].some((each) => looksLike(name, each));
}

function looksLike(name: string, other: string): boolean {
  const [a, b] = [name, other].map((each) => squeezed(each).replace(/\p{P}+/gu, ''));
  return a === b && (a !== '' || name === other);
}

/** A name without case, spaces and what cannot be seen (a blank of Braille counts as a sign), and in plain letters. */
function squeezed(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\s\u2800]+/gu, '');
}

/** A name in one line, of a length that can be shown, without characters that turn the direction of text. */
export function tidy(name: string): string {
  return [...inOneLine(name)].slice(0, MAX_NAME_LENGTH).join('').trim();
}

/** The same for the name of a file, of which the end is kept. */
export function tidyFileName(name: string): string {
  const all = [...inOneLine(name)];
  if (all.length <= MAX_FILE_NAME_LENGTH) return all.join('') || 'Nameless';
  const start = all.slice(0, MAX_FILE_NAME_LENGTH - FILE_NAME_END - 1);
  return `${start.join('')}…${all.slice(-FILE_NAME_END).join('')}`;
}

function inOneLine(name: string): string {
  return name
    .replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** One or two letters: of the first word and the last. */
export function initials(name: string): string {
  const words = name
    .replace(NOT_US, '')
    .split(/[\s_-]+/)
    .filter((word) => /[\p{L}\p{N}\p{Emoji}]/u.test(word));
  const [first = '?', ...others] = words;
  return [first, ...others.slice(-1)].map(firstLetter).join('').toLocaleUpperCase();
}

/** As its reader counts: an emoji may be of several characters. Firefox before 125 cannot count so. */
function firstLetter(word: string): string | undefined {
  const [letter] = 'Segmenter' in Intl ? [...new Intl.Segmenter().segment(word)].map(({ segment }) => segment) : word;
  return letter;
}

/** An angle on the colour wheel, in degrees: the same for the same name, in any browser. */
export function hue(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}
