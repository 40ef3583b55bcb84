/** The Worker: which URL goes where. What a bad request gets is decided here, before a room is woken and billed. */
import { description, version } from '../package.json';
import { NOT_OWNER } from './protocol/close.ts';
import { ProtocolError } from './protocol/error.ts';
import { isRoomPath, mayUseId, parseJoin, ROOM_PATH, roomTokenOf } from './protocol/join.ts';
import { checkAdmission, refusalOf } from './worker/admission.ts';
import { landingPage, wantsPage } from './worker/landing.ts';
import { answerPoll, answerPreflight } from './worker/poll-endpoint.ts';
import { readLimits, SettingsError } from './worker/settings.ts';
import type { Env } from './worker/signaling-room.ts';
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
      checkAdmission(env);
      return await route(request, env);
    } catch (error) {
      if (error instanceof SettingsError) return sentence(500, error.message);
      if (error instanceof ProtocolError) return sentence(400, error.message);
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;

function route(request: Request, env: Env): Response | Promise<Response> {
  const url = new URL(request.url);
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
  if (!mayUseId(join)) return refused(request, join, NOT_OWNER);
  const refusal = await refusalOf(request, join.roomId, roomTokenOf(url, subprotocols), env, Date.now());
  if (refusal) return refused(request, join, refusal);
  return env.SIGNALING_ROOM.getByName(join.roomId).fetch(await withJoin(request, join));
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
