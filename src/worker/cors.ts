/** What pages of other origins may ask, and read of the answer. */
import { answer } from './answer.ts';

/** Any page may ask whether this is a P2PCF-WS server, to find out why its WebSocket does not open. */
export const TO_ANYBODY = { 'Access-Control-Allow-Origin': '*' };

/** Any page may poll. `ALLOWED_ORIGINS` is not told here: who is refused may read why. */
export const TO_POLLS = {
  ...TO_ANYBODY,
  'Access-Control-Allow-Methods': 'GET,HEAD,POST,DELETE,OPTIONS',
  'Access-Control-Max-Age': '86400',
};

/** Answers `OPTIONS`: to a browser that asks first, that its page may; to anyone else, what there is. */
export function answerPreflight({ headers }: Request): Response {
  const wanted = headers.get('Access-Control-Request-Headers');
  if (wanted === null || !headers.has('Origin') || !headers.has('Access-Control-Request-Method'))
    return answer(null, { headers: { Allow: 'GET, POST, DELETE, OPTIONS' } });
  // What is allowed is what was asked for, so a cache must not hand the answer to another request.
  return answer(null, {
    headers: { ...TO_POLLS, 'Access-Control-Allow-Headers': wanted, Vary: 'Access-Control-Request-Headers' },
  });
}
