/** What pages of other origins may ask, and read of the answer. */
import { answer, sentence } from './answer.ts';

/** Any page may ask whether this is a P2PCF-WS server, to find out why its WebSocket does not open. */
export const TO_ANYBODY = { 'Access-Control-Allow-Origin': '*' };

/** Any page may poll. `ALLOWED_ORIGINS` is not told here: who is refused may read why. */
export const TO_POLLS = {
  ...TO_ANYBODY,
  'Access-Control-Allow-Methods': 'GET,HEAD,POST,DELETE,OPTIONS',
  'Access-Control-Max-Age': '86400',
};

/**
 * Longest list of headers that is allowed, in characters. It stands in the answer, and for an answer whose headers have
 * over 4 KiB nginx takes the server for broken, and sends its rooms to another (1.22).
 */
const MAX_WANTED_LENGTH = 1024;

/** Answers `OPTIONS`: to a browser that asks first, that its page may; to anyone else, what there is. */
export function answerPreflight({ headers }: Request): Response {
  const wanted = headers.get('Access-Control-Request-Headers');
  if (wanted === null || !headers.has('Origin') || !headers.has('Access-Control-Request-Method'))
    return answer(null, { headers: { Allow: 'GET, POST, DELETE, OPTIONS' } });
  if (wanted.length > MAX_WANTED_LENGTH)
    return sentence(400, `Access-Control-Request-Headers is longer than ${MAX_WANTED_LENGTH} characters.`);
  // What is allowed is what was asked for, so a cache must not hand the answer to another request.
  return answer(null, {
    headers: { ...TO_POLLS, 'Access-Control-Allow-Headers': wanted, Vary: 'Access-Control-Request-Headers' },
  });
}
