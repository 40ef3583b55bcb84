/** A WebSocket upgrade on its way from the Worker to the room: the join goes along, already read and checked. */
import type { CheckedJoin } from '../protocol/join.ts';
import { asciiJson } from '../protocol/json.ts';
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
