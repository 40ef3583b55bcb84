/** The Worker: which URL goes where. What a bad request gets is decided here, before a room is woken and billed. */
import { waitUntil } from 'cloudflare:workers';
import { description, version } from '../package.json';
import { type Close, NOT_OWNER } from './protocol/close.ts';
import { ProtocolError } from './protocol/error.ts';
import { type CheckedJoin, isRoomPath, mayUseId, parseJoin, ROOM_PATH, roomTokenOf } from './protocol/join.ts';
import type { Bearer } from './room/claims.ts';
import { hashedAddress, readAddressHeader } from './worker/address.ts';
import { authorize, checkAuthorization } from './worker/authorization.ts';
import { landingPage, wantsPage } from './worker/landing.ts';
import { entryFor, log } from './worker/log.ts';
import { answerPoll, answerPreflight } from './worker/poll-endpoint.ts';
import { COME_AGAIN_SECONDS, mayPass } from './worker/rate-limiters.ts';
import { readLimits, readSecret, SettingsError } from './worker/settings.ts';
import type { Env } from './worker/signaling-room.ts';
import { allIceServers, ownIceServers } from './worker/turn.ts';
import { readTurn } from './worker/turn-settings.ts';
import { refused, withJoin } from './worker/upgrade.ts';

export { SignalingRoom } from './worker/signaling-room.ts';

const HEALTH = '/health';

/** No browser is to take an answer for anything but what it says it is. */
const NO_SNIFF = { 'X-Content-Type-Options': 'nosniff' };

/** A page of any origin may ask whether this is a P2PCF-WS server, to find out why its WebSocket does not open. */
const ANY_ORIGIN = { 'Access-Control-Allow-Origin': '*' };

export default {
  async fetch(request, env): Promise<Response> {
    try {
      readLimits(env);
      checkAuthorization(env);
      readAddressHeader(env);
      readSecret('LOG_KEY', env.LOG_KEY);
      readTurn(env);
      return await route(request, env);
    } catch (error) {
      if (error instanceof SettingsError) return sentence(500, error.message);
      if (error instanceof ProtocolError) return sentence(400, error.message);
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;

function route(request: Request, env: Env): Response | Promise<Response> {
  const url = URL.parse(request.url);
  if (!url) return sentence(400, 'The Host of the request is none.'); // where no Cloudflare is in front
  if (url.pathname === '/') return atRoot(request, env);
  if (url.pathname === HEALTH)
    return onlyGet(request) ?? new Response('OK', { headers: { ...NO_SNIFF, ...ANY_ORIGIN } });
  if (isRoomPath(url.pathname)) return enterRoom(request, url, env);
  return sentence(404, `There is nothing at ${url.pathname}. A room is at ${ROOM_PATH}:roomId.`);
}

/** P2PCF's clients poll the bare URL they are given. */
function atRoot(request: Request, env: Env): Response | Promise<Response> {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (wantsPage(request)) return landingPage(request);
      return Response.json(about(), { headers: { ...NO_SNIFF, Vary: 'Accept' } });
    case 'POST':
    case 'DELETE':
      return answerPoll(request, env);
    case 'OPTIONS':
      return answerPreflight(request);
    default:
      return wrongMethod(request, 'GET, HEAD, POST, DELETE, OPTIONS');
  }
}

function about(): object {
  return {
    name: 'P2PCF-WS Signaling Server',
    version,
    description,
    endpoints: { websocket: `${ROOM_PATH}:roomId?clientId=xxx`, poll: 'POST /', health: HEALTH },
  };
}

async function enterRoom(request: Request, url: URL, env: Env): Promise<Response> {
  if (request.method !== 'GET') return wrongMethod(request, 'GET');
  const subprotocols = request.headers.get('Sec-WebSocket-Protocol');
  const join = parseJoin(url, subprotocols, () => crypto.randomUUID());
  if (request.headers.get('Upgrade')?.toLowerCase() !== 'websocket') {
    return sentence(426, 'This is a WebSocket endpoint: connect with new WebSocket(url).', { Upgrade: 'websocket' });
  }
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

/** ICE servers that take a request are got beside the join, which does not wait for them. */
async function letIn(
  request: Request,
  join: CheckedJoin,
  bearer: Bearer,
  address: string | undefined,
  env: Env,
): Promise<Response> {
  const room = env.SIGNALING_ROOM.getByName(join.roomId);
  const turn = readTurn(env);
  const now = Date.now();
  const late = turn.cloudflare && allIceServers(turn, join.clientId, now);
  const answer = await room.fetch(
    withJoin(request, join, bearer, address, await ownIceServers(turn, join.clientId, now)),
  );
  if (late && answer.webSocket) waitUntil(late.then((given) => given && room.giveIceServers(join.clientId, given)));
  return answer;
}

function onlyGet(request: Request): Response | undefined {
  return request.method === 'GET' || request.method === 'HEAD' ? undefined : wrongMethod(request, 'GET, HEAD');
}

function wrongMethod(request: Request, allow: string): Response {
  return sentence(405, `${request.method} is not for this address; it answers ${allow}.`, { Allow: allow });
}

function sentence(status: number, text: string, headers: HeadersInit = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', ...NO_SNIFF, ...headers },
  });
}
