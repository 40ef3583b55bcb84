import { BROADCAST_TARGET } from './messages.ts';
import { utf8Length } from './utf8.ts';

/** Longest room or client id, in Unicode code points. */
const MAX_ID_CHARACTERS = 128;

/** Longest room or client id, in UTF-8 bytes: a client id is its socket's tag, and a tag holds no more (2026-11). */
const MAX_ID_BYTES = 256;

/**
 * What is wrong with a room or client id, as the end of a sentence that begins with its name, or undefined for a good
 * one. Ids are compared code point by code point: no case folding, no Unicode normalization.
 */
export function idFault(id: string): string | undefined {
  if (id === '') return 'is empty';
  if (utf8Length(id) > MAX_ID_BYTES) return `is longer than ${MAX_ID_BYTES} UTF-8 bytes`;
  if ([...id].length > MAX_ID_CHARACTERS) return `is longer than ${MAX_ID_CHARACTERS} characters`;
  if (/\p{Cc}/u.test(id)) return 'has a control character in it';
  if (id === BROADCAST_TARGET) return `is ${BROADCAST_TARGET}, which means everyone`;
  return undefined;
}
