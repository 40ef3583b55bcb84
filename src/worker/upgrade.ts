/** A WebSocket upgrade on its way from the Worker to the room: the join goes along, already read and checked. */
import type { CheckedJoin } from '../protocol/join.ts';
import { asciiJson } from '../protocol/json.ts';

/** Always overwritten by the Worker, so that what a client sends under this name is never read. */
const JOIN_HEADER = 'X-P2PCF-WS-Join';

/** The upgrade as the room gets it. A header has no room for other than ASCII. */
export function withJoin(request: Request, join: CheckedJoin): Request {
  const upgrade = new Request(request);
  upgrade.headers.set(JOIN_HEADER, asciiJson(join));
  return upgrade;
}

/** The join that the Worker let through. */
export function joinOf({ headers }: Request): CheckedJoin {
  return JSON.parse(headers.get(JOIN_HEADER) ?? '');
}
