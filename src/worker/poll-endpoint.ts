/** P2PCF's HTTP protocol at `/`: what arrives is checked here, before a room is woken and billed. */
import { type Close, FORBIDDEN } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { roomTokenOf } from '../protocol/join.ts';
import { MAX_POLL_BYTES, parseLeave, parsePoll } from '../protocol/poll.ts';
import type { PollResponse } from '../room/polling.ts';
import { answer } from './answer.ts';
import { authorize } from './authorization.ts';
import { hashedAddress } from './client-address.ts';
import { TO_POLLS } from './cors.ts';
import { entryFor, log } from './log.ts';
import { COME_AGAIN_SECONDS, mayPass } from './rate-limiters.ts';
import { SettingsError } from './settings.ts';
import type { Env } from './signaling-room.ts';

/** A `POST`, or a `DELETE`, which p2pcf sends as a `POST` that says so in a header. */
export async function answerPoll(request: Request, env: Env): Promise<Response> {
  if (request.headers.get('Content-Type') !== 'application/json')
    return respond({ status: 400, body: 'Expected content-type application/json: exactly that.' });
  const address = await hashedAddress(request, env);
  if (!(await mayPass(env.POLL_LIMITER, address))) {
    const body = `Too fast: poll again in ${COME_AGAIN_SECONDS} s.`;
    await log({ event: 'flood', code: 429, reason: body }, '', env);
    return respond({ status: 429, body, retryAfterSeconds: COME_AGAIN_SECONDS });
  }
  const leaves = request.method === 'DELETE' || request.headers.get('X-Worker-Method') === 'DELETE';
  try {
    const text = await readText(request.body).catch(() => null);
    if (text === null) return respond({ status: 400, body: 'The body breaks off.' });
    if (text === undefined)
      return respond({ status: 413, body: `Too large: the body may have at most ${MAX_POLL_BYTES} bytes.` });
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
    if (error instanceof SettingsError) throw error;
    // The room is overloaded or has failed. A page may read an answer, and comes back; of an exception it learns
    // nothing.
    await log({ event: 'failed', code: 503, reason: String(error) }, '', env);
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

interface Answer extends Omit<PollResponse, 'status'> {
  readonly status: PollResponse['status'] | 400 | 401 | 403 | 413;
}

function respond({ status, body, retryAfterSeconds }: Answer): Response {
  const type = status === 200 ? 'application/json' : 'text/plain; charset=utf-8';
  const wait = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  return answer(body, { status, headers: { ...TO_POLLS, Vary: 'Origin', 'Content-Type': type, ...wait } });
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
