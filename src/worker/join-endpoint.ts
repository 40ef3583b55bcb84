/** A WebSocket upgrade as it comes from outside: who is refused, and how the others get into their room. */
import { waitUntil } from 'cloudflare:workers';
import { type Close, NOT_OWNER } from '../protocol/close.ts';
import { type CheckedJoin, mayUseId, parseJoin, roomTokenOf } from '../protocol/join.ts';
import type { Bearer } from '../room/token-claims.ts';
import { sentence } from './answer.ts';
import { authorize } from './authorization.ts';
import { hashedAddress } from './client-address.ts';
import { entryFor, log } from './log.ts';
import { COME_AGAIN_SECONDS, mayPass } from './rate-limiters.ts';
import type { Env } from './signaling-room.ts';
import { allIceServers, ownIceServers } from './turn.ts';
import { readTurn } from './turn-settings.ts';
import { answerOfRoom, refused, withJoin } from './upgrade.ts';

export async function enterRoom(request: Request, url: URL, env: Env): Promise<Response> {
  const subprotocols = request.headers.get('Sec-WebSocket-Protocol');
  const join = parseJoin(url, subprotocols, () => crypto.randomUUID());
  if (request.headers.get('Upgrade')?.toLowerCase() !== 'websocket') {
    return sentence(426, 'This is a WebSocket endpoint: connect with new WebSocket(url).', { Upgrade: 'websocket' });
  }
  // workerd does not notice when such a connection ends: its member and its socket would stay for ever (2026-11).
  if (request.body && request.headers.get('Content-Length') !== '0')
    return sentence(400, 'A request for a WebSocket has no body.');
  const refuse = async (close: Close): Promise<Response> => {
    await log(entryFor(close, false), join.roomId, env);
    return refused(request, join, close);
  };
  if (!mayUseId(join)) return refuse(NOT_OWNER);
  const address = await hashedAddress(request, env);
  if (!(await mayPass(env.JOIN_LIMITER, address))) {
    const reason = `Too many joins: come back in ${COME_AGAIN_SECONDS} s.`;
    await log({ event: 'flood', code: 429, reason }, join.roomId, env);
    return sentence(429, reason, { 'Retry-After': String(COME_AGAIN_SECONDS) });
  }
  const verdict = await authorize(request, join.roomId, roomTokenOf(url, subprotocols), env, Date.now());
  if ('refusal' in verdict) return refuse(verdict.refusal);
  return letIn(request, join, verdict, address, env);
}

/** ICE servers that take a request are got when the room has let the client in, which does not wait for them. */
async function letIn(
  request: Request,
  join: CheckedJoin,
  bearer: Bearer,
  address: string | undefined,
  env: Env,
): Promise<Response> {
  const { roomId, clientId, token } = join;
  const room = env.SIGNALING_ROOM.getByName(roomId);
  const turn = readTurn(env);
  const now = Date.now();
  const own = await ownIceServers(turn, clientId, now);
  const answer = await room.fetch(withJoin(request, join, bearer, address, own)).catch((error: unknown) => error);
  if (!(answer instanceof Response)) {
    // The room is overloaded or has failed. If this were thrown, each request would be a line in the log.
    await log({ event: 'failed', code: 503, reason: String(answer) }, roomId, env);
    return sentence(503, 'The room does not answer. Try again.', { 'Retry-After': '10' });
  }
  const { response, isIn } = answerOfRoom(request, join, answer);
  if (isIn && turn.cloudflare) {
    const given = allIceServers(turn, clientId, now);
    const handOver = given.then((each) => each && room.giveIceServers(clientId, token, each));
    waitUntil(handOver.catch(() => undefined)); // a room that has failed meanwhile has lost the client, too
  }
  return response;
}
