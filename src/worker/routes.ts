/** Which URL goes where; what is nowhere, or asked for in the wrong way, ends here: 404, 405. */
import { description, version } from '../../package.json';
import { isRoomPath, ROOM_PATH } from '../protocol/join.ts';
import { answer, sentence } from './answer.ts';
import { answerPreflight, TO_ANYBODY } from './cors.ts';
import { enterRoom } from './join-endpoint.ts';
import { landingPage, wantsPage } from './landing.ts';
import { answerPoll } from './poll-endpoint.ts';
import type { Env } from './signaling-room.ts';

const HEALTH = '/health';

export function route(request: Request, env: Env): Response | Promise<Response> {
  const url = URL.parse(request.url);
  if (!url) return sentence(400, 'The Host of the request is none.'); // where no Cloudflare is in front
  if (url.pathname === '/') return atRoot(request, env);
  if (url.pathname === HEALTH) return health(request);
  if (isRoomPath(url.pathname))
    return request.method === 'GET' ? enterRoom(request, url, env) : wrongMethod(request, 'GET');
  return sentence(404, `There is nothing at ${url.pathname}. A room is at ${ROOM_PATH}:roomId.`);
}

/** P2PCF's clients poll the bare URL they are given. */
function atRoot(request: Request, env: Env): Response | Promise<Response> {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (wantsPage(request)) return landingPage(request);
      return answer(JSON.stringify(about()), { headers: { 'Content-Type': 'application/json', Vary: 'Accept' } });
    case 'POST':
    case 'DELETE':
      return answerPoll(request, env);
    case 'OPTIONS':
      return answerPreflight(request);
    default:
      return wrongMethod(request, 'GET, HEAD, POST, DELETE, OPTIONS');
  }
}

function health(request: Request): Response {
  if (request.method !== 'GET' && request.method !== 'HEAD') return wrongMethod(request, 'GET, HEAD');
  return answer('OK', { headers: { 'Content-Type': 'text/plain; charset=utf-8', ...TO_ANYBODY } });
}

function about(): object {
  return {
    name: 'P2PCF-WS Signaling Server',
    version,
    description,
    endpoints: { websocket: `${ROOM_PATH}:roomId?clientId=xxx`, poll: 'POST /', health: HEALTH },
  };
}

function wrongMethod(request: Request, allow: string): Response {
  return sentence(405, `${request.method} is not for this address; it answers ${allow}.`, { Allow: allow });
}
