/** A WebSocket upgrade: its way from the Worker to the room, with the join read and checked, and the answers to it. */
import type { Close } from '../protocol/close.ts';
import type { IceServers } from '../protocol/ice-servers.ts';
import { type CheckedJoin, offersSubprotocol, SUBPROTOCOL } from '../protocol/join.ts';
import { asciiJson, parseJson } from '../protocol/json.ts';
import { closing } from '../protocol/messages.ts';
import type { Bearer, Claims } from '../room/token-claims.ts';

/** Always overwritten by the Worker, so that what a client sends under this name is never read. */
const JOIN_HEADER = 'X-P2PCF-WS-Join';

/** On the room's answer to an upgrade that it refuses: the close frame. Does not go on to the client. */
const REFUSED_HEADER = 'X-P2PCF-WS-Refused';

/** A join as it reaches the room. */
interface CarriedJoin extends CheckedJoin {
  /** What its room token says; undefined where none is asked for. */
  claims?: Claims;
  /** Stands for the network that it came from; undefined where that is not known. */
  address?: string;
  /** The ICE servers that are at hand for it. */
  given?: IceServers;
}

/** The upgrade as the room gets it. A header has no room for other than ASCII. */
export function withJoin(
  request: Request,
  join: CheckedJoin,
  { claims }: Bearer,
  address: string | undefined,
  given: IceServers | undefined,
): Request {
  const upgrade = new Request(request);
  upgrade.headers.set(JOIN_HEADER, asciiJson({ ...join, claims, address, given }));
  return upgrade;
}

/** The join that the Worker let through. */
export function joinOf({ headers }: Request): CarriedJoin {
  return Object(parseJson(headers.get(JOIN_HEADER) ?? '', ''));
}

/** Says yes to an upgrade. A browser fails the connection if it offered subprotocols and none of them comes back. */
export function accepted({ headers }: Request, webSocket: WebSocket): Response {
  const offers = offersSubprotocol(headers.get('Sec-WebSocket-Protocol'));
  return new Response(null, {
    status: 101,
    webSocket,
    headers: offers ? { 'Sec-WebSocket-Protocol': SUBPROTOCOL } : {},
  });
}

/**
 * The room's answer to an upgrade that it refuses. The Worker says so to the client: a socket that the room had
 * accepted for that would be among its sockets for as long as the client likes.
 */
export function refusal(close: Close): Response {
  return new Response(null, { status: 403, headers: { [REFUSED_HEADER]: asciiJson(close) } });
}

/** The room's answer as the client gets it, and whether the room has let it in. */
export function answerOfRoom(
  request: Request,
  join: CheckedJoin,
  answer: Response,
): { response: Response; isIn: boolean } {
  const close = answer.headers.get(REFUSED_HEADER);
  if (close !== null) return { response: refused(request, join, JSON.parse(close)), isIn: false };
  return { response: answer, isIn: answer.webSocket !== null };
}

/** Says no to an upgrade by a close frame: a browser hides the status of a refused one from its page. */
export function refused(request: Request, { token }: CheckedJoin, close: Close): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  if (token !== undefined) server.send(JSON.stringify(closing(close)));
  server.close(close.code, close.reason);
  return accepted(request, client);
}
