/** What a person is called, and what stands for a person without a picture. */

/** Longest name that is shown, in characters: a stranger may send any. */
const MAX_NAME_LENGTH = 40;

/** The name that a peer goes by: the demo's own has one in its metadata, any other app a client id. */
export function nameOf({ client_id, metadata }: { client_id: string; metadata: unknown }): string {
  const { name } = Object(metadata);
  return tidy(typeof name === 'string' ? name : client_id) || 'Nameless';
}

/** A name in one line, of a length that can be shown, without characters that turn the direction of text. */
export function tidy(name: string): string {
  const visible = name
    .replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return [...visible].slice(0, MAX_NAME_LENGTH).join('').trim();
}

/** One or two letters: of the first word and the last. */
export function initials(name: string): string {
  const words = name.split(/[\s_-]+/).filter((word) => /[\p{L}\p{N}\p{Emoji}]/u.test(word));
  const [first = '?', ...others] = words;
  const chosen = [first, ...others.slice(-1)].map((word) => [...new Intl.Segmenter().segment(word)][0]?.segment ?? '');
  return chosen.join('').toLocaleUpperCase();
}

/** An angle on the colour wheel, in degrees: the same for the same name, in any browser. */
export function hue(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}
