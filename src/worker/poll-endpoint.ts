/** P2PCF's HTTP protocol at `/`: what arrives is checked here, before a room is woken and billed. */
import { type Close, FORBIDDEN } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { roomTokenOf } from '../protocol/join.ts';
import { MAX_POLL_BYTES, parseLeave, parsePoll } from '../protocol/poll.ts';
import type { PollResponse } from '../room/polling.ts';
import { hashedAddress } from './address.ts';
import { authorize } from './authorization.ts';
import { entryFor, log } from './log.ts';
import { COME_AGAIN_SECONDS, mayPass } from './rate-limiters.ts';
import type { Env } from './signaling-room.ts';

/** Pages of any origin may poll. */
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET,HEAD,POST,DELETE,OPTIONS',
  'Access-Control-Max-Age': '86400',
};

/** A `POST`, or a `DELETE`, which p2pcf sends as a `POST` that says so in a header. */
export async function answerPoll(request: Request, env: Env): Promise<Response> {
  if (request.headers.get('Content-Type') !== 'application/json')
    return respond({ status: 400, body: 'Expected content-type application/json: exactly that.' });
  const address = await hashedAddress(request, env);
  if (!(await mayPass(env.POLL_LIMITER, address)))
    return respond({
      status: 429,
      body: `Too fast: poll again in ${COME_AGAIN_SECONDS} s.`,
      retryAfterSeconds: COME_AGAIN_SECONDS,
    });
  const text = await readText(request.body);
  if (text === undefined)
    return respond({ status: 413, body: `Too large: the body may have at most ${MAX_POLL_BYTES} bytes.` });
  const leaves = request.method === 'DELETE' || request.headers.get('X-Worker-Method') === 'DELETE';
  try {
    if (leaves) {
      const farewell = parseLeave(text, Date.now());
      const verdict = await authorizePoll(request, farewell.roomId, env);
      if ('refusal' in verdict) return await refused(verdict.refusal, farewell.roomId, env);
      return respond(
        await env.SIGNALING_ROOM.getByName(farewell.roomId).leaveByPoll(farewell, { ...verdict, address }),
      );
    }
    const poll = parsePoll(text, Date.now());
    const verdict = await authorizePoll(request, poll.roomId, env);
    if ('refusal' in verdict) return await refused(verdict.refusal, poll.roomId, env);
    return respond(await env.SIGNALING_ROOM.getByName(poll.roomId).poll(poll, { ...verdict, address }));
  } catch (error) {
    if (error instanceof ProtocolError) return respond({ status: 400, body: error.message });
    // The room is overloaded or has failed. A page may read an answer, and comes back; of an exception it learns nothing.
    console.error(error);
    return respond({ status: 503, body: 'The room does not answer. Try again.', retryAfterSeconds: 10 });
  }
}

function authorizePoll(request: Request, roomId: string, env: Env): ReturnType<typeof authorize> {
  return authorize(request, roomId, roomTokenOf(new URL(request.url), null), env, Date.now());
}

async function refused(close: Close, roomId: string, env: Env): Promise<Response> {
  const { code, reason } = close;
  await log(entryFor(close, false), roomId, env);
  return respond({ status: code === FORBIDDEN ? 403 : 401, body: `${reason}.` });
}

/** Answers `OPTIONS`: to a browser that asks first, that its page may; to anyone else, what there is. */
export function answerPreflight({ headers }: Request): Response {
  const wanted = headers.get('Access-Control-Request-Headers');
  if (wanted === null || !headers.has('Origin') || !headers.has('Access-Control-Request-Method'))
    return new Response(null, { headers: { Allow: 'GET, POST, DELETE, OPTIONS' } });
  // What is allowed is what was asked for, so a cache must not hand the answer to another request.
  return new Response(null, {
    headers: { ...CORS, 'Access-Control-Allow-Headers': wanted, Vary: 'Access-Control-Request-Headers' },
  });
}

interface Answer extends Omit<PollResponse, 'status'> {
  readonly status: PollResponse['status'] | 400 | 401 | 403 | 413;
}

function respond({ status, body, retryAfterSeconds }: Answer): Response {
  const type = status === 200 ? 'application/json' : 'text/plain; charset=utf-8';
  const headers = new Headers({
    ...CORS,
    Vary: 'Origin',
    'Content-Type': type,
    'X-Content-Type-Options': 'nosniff',
  });
  if (retryAfterSeconds !== undefined) headers.set('Retry-After', String(retryAfterSeconds));
  return new Response(body, { status, headers });
}

/** Undefined for a body of more than MAX_POLL_BYTES, which is not read to its end. */
async function readText(body: ReadableStream<Uint8Array> | null): Promise<string | undefined> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_POLL_BYTES) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
