/** The Worker: which URL goes where. What a bad request gets is decided here, before a room is woken and billed. */
import { description, version } from '../package.json';
import { ProtocolError } from './protocol/error.ts';
import { idFault } from './protocol/ids.ts';
import { parseMetadata, RESUME_NEXT_TIME } from './protocol/messages.ts';
import { answerPoll, answerPreflight } from './worker/polling.ts';
import { type Env, readLimits, SettingsError } from './worker/settings.ts';

export { SignalingRoom } from './worker/signaling-room.ts';

const HEALTH = '/health';
const ROOM = '/ws/room/';

export default {
  fetch(request, env): Response | Promise<Response> {
    try {
      readLimits(env);
    } catch (error) {
      if (error instanceof SettingsError) return sentence(500, error.message);
      throw error;
    }
    const url = new URL(request.url);
    if (url.pathname === '/') return atRoot(request, env);
    if (url.pathname === HEALTH) return onlyGet(request) ?? new Response('OK');
    const room = /^\/ws\/room\/([^/]*)$/.exec(url.pathname)?.[1];
    if (room !== undefined) return enterRoom(request, url, room, env);
    return sentence(404, `There is nothing at ${url.pathname}. A room is at ${ROOM}:roomId.`);
  },
} satisfies ExportedHandler<Env>;

/** P2PCF's clients poll the bare URL they are given. */
function atRoot(request: Request, env: Env): Response | Promise<Response> {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return Response.json(about());
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
    endpoints: { websocket: `${ROOM}:roomId?clientId=xxx`, poll: 'POST /', health: HEALTH },
  };
}

function enterRoom(request: Request, url: URL, encodedRoomId: string, env: Env): Response | Promise<Response> {
  if (request.method !== 'GET') return wrongMethod(request, 'GET');
  const roomId = percentDecoded(encodedRoomId);
  // The search parameters are read leniently: %zz would pass for the text "%zz".
  if (roomId === undefined || percentDecoded(url.search) === undefined) {
    return sentence(
      400,
      'The URL has a % that does not begin a percent-encoded UTF-8 character. Use encodeURIComponent.',
    );
  }
  const roomFault = idFault(roomId);
  if (roomFault) return sentence(400, `The room id ${roomFault}.`);
  const clientId = url.searchParams.get('clientId') || crypto.randomUUID();
  const clientFault = idFault(clientId);
  if (clientFault) return sentence(400, `The client id ${clientFault}.`);
  const metadata = url.searchParams.get('metadata');
  try {
    if (metadata !== null) parseMetadata(metadata);
  } catch (error) {
    if (error instanceof ProtocolError) return sentence(400, error.message);
    throw error;
  }
  const resume = url.searchParams.get('resume');
  if (resume !== null && resume !== RESUME_NEXT_TIME && !/^[0-9a-f-]{36}$/.test(resume)) {
    return sentence(
      400,
      `The parameter resume must be ${RESUME_NEXT_TIME} or the resumeToken of an earlier peers message.`,
    );
  }
  if (request.headers.get('Upgrade')?.toLowerCase() !== 'websocket') {
    return sentence(426, 'This is a WebSocket endpoint: connect with new WebSocket(url).', { Upgrade: 'websocket' });
  }
  url.searchParams.set('clientId', clientId);
  return env.SIGNALING_ROOM.getByName(roomId).fetch(new Request(url, request));
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // URIError, the one thing it throws
  }
}

function onlyGet(request: Request): Response | undefined {
  return request.method === 'GET' || request.method === 'HEAD' ? undefined : wrongMethod(request, 'GET, HEAD');
}

function wrongMethod(request: Request, allow: string): Response {
  return sentence(405, `${request.method} is not for this address; it answers ${allow}.`, { Allow: allow });
}

function sentence(status: number, text: string, headers: HeadersInit = {}): Response {
  return new Response(`${text}\n`, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers } });
}
