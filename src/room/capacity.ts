/** How many peers a room may have. */
import type { Bearer } from './claims.ts';
import type { Limits } from './room.ts';

/** What is known of it from a member, a place held, or a newcomer. */
interface Opened extends Bearer {
  readonly maxPeers: number | undefined;
}

/**
 * The limit of the room, as whoever opened it has fixed it: all that came after have kept it. `present` is anybody that is
 * there, on a socket or by a place that is held; where nobody is, the newcomer opens the room. Undefined for none.
 */
export function fixedLimit(newcomer: Opened, present: Opened | undefined): number | undefined {
  return present ? present.maxPeers : (newcomer.claims?.max ?? newcomer.maxPeers);
}

/** Most peers with which a newcomer is let in. What its token says counts in place of what the room was opened with. */
export function capacityFor({ claims }: Bearer, fixed: number | undefined, { maxPeers }: Limits): number {
  return Math.min(maxPeers, claims?.max ?? fixed ?? maxPeers);
}
