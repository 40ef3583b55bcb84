import { BROADCAST_TARGET } from './messages.ts';

/** Longest room or client id, in Unicode code points. */
const MAX_ID_CHARACTERS = 128;

/** Longest room or client id, in UTF-8 bytes: a client id is its socket's tag, and a tag holds no more (2026-11). */
const MAX_ID_BYTES = 256;

/**
 * Line and paragraph separators, format characters, all that Unicode wants shown as nothing, assigned or not yet, and
 * signs that are blank all the same (Braille, Khitan, music, and in Chromium 156 U+FFFC): with these two ids could look
 * the same.
 */
const INVISIBLE = /[\p{Zl}\p{Zp}\p{Cf}\p{DI}\u2800\ufffc\u{16fe4}\u{1d159}]/u;

/**
 * Of those, these may stay: joiners, with which Persian, Indic scripts and emoji are written, and variation selectors,
 * with which emoji, Mongolian and Japanese names are. In brackets, as esbuild (0.28) rewrites a bare `\p` for
 * the oldest browsers.
 */
const VISIBLE_IN_EFFECT = /\u200c|\u200d|[\p{VS}]/gu;

/**
 * What is wrong with a room or client id, as the end of a sentence that begins with its name, or undefined for a good
 * one. Ids are compared code point by code point: no case folding, no Unicode normalization.
 */
export function idFault(id: string): string | undefined {
  if (typeof id !== 'string') return `is ${typeof id === 'object' ? JSON.stringify(id) : String(id)}, not a string`;
  if (id === '') return 'is empty';
  if (/[\p{Cc}\p{Cs}]/u.test(id)) return 'has a control character or half a surrogate pair in it';
  if (INVISIBLE.test(id.replace(VISIBLE_IN_EFFECT, '')))
    return 'has an invisible character in it, or one that turns the direction of text';
  // Each byte that is not a plain character becomes a % and two digits: what is left is one character a byte.
  if (encodeURIComponent(id).replace(/%../g, '-').length > MAX_ID_BYTES)
    return `is longer than ${MAX_ID_BYTES} UTF-8 bytes`;
  if ([...id].length > MAX_ID_CHARACTERS) return `is longer than ${MAX_ID_CHARACTERS} characters`;
  if (id === BROADCAST_TARGET) return `is ${BROADCAST_TARGET}: everyone`;
  return undefined;
}
