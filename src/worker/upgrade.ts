/** A WebSocket upgrade: its way from the Worker to the room, with the join read and checked, and the answers to it. */
import type { Close } from '../protocol/close.ts';
import { type CheckedJoin, offersSubprotocol, SUBPROTOCOL } from '../protocol/join.ts';
import { asciiJson } from '../protocol/json.ts';
import { closing } from '../protocol/messages.ts';
import { hashedAddress } from './address.ts';

/** Always overwritten by the Worker, so that what a client sends under this name is never read. */
const JOIN_HEADER = 'X-P2PCF-WS-Join';

/** A join as it reaches the room. */
interface CarriedJoin extends CheckedJoin {
  /** Stands for the network that it came from; undefined where that is not known. */
  address?: string;
}

/** The upgrade as the room gets it. A header has no room for other than ASCII. */
export async function withJoin(request: Request, join: CheckedJoin): Promise<Request> {
  const upgrade = new Request(request);
  const address = await hashedAddress(request);
  upgrade.headers.set(JOIN_HEADER, asciiJson({ ...join, ...(address !== undefined && { address }) }));
  return upgrade;
}

/** The join that the Worker let through. */
export function joinOf({ headers }: Request): CarriedJoin {
  return JSON.parse(headers.get(JOIN_HEADER) ?? '');
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

/** Says no to an upgrade by a close frame: a browser hides the status of a refused one from its page. */
export function refused(request: Request, { token }: CheckedJoin, close: Close): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  if (token !== undefined) server.send(JSON.stringify(closing(close)));
  server.close(close.code, close.reason);
  return accepted(request, client);
}
