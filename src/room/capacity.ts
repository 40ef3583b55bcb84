/** How many peers a room may have, how much they may bring, and who goes when it is full. */
import { type Close, FULL, fullAt } from '../protocol/close.ts';
import { hasSent } from './presence.ts';
import type { Limits, Member, Newcomer } from './room.ts';
import type { Bearer } from './token-claims.ts';

/**
 * Most metadata in one room, in characters of JSON in ASCII: every joiner is sent all of it, and every member holds it.
 * 128 peers with the 2,048 bytes that the library promises an app fit in.
 */
const MAX_ROOM_METADATA_LENGTH = 256 * 1024;

/** How long after its join a member that has neither pinged nor sent anything may be put out of a full room, in ms. */
const MUTE_AFTER_MS = 60_000;

/** What is known of it from a member, a place held, or a newcomer. */
interface Opened extends Bearer {
  readonly maxPeers: number | undefined;
}

/**
 * The limit of the room, fixed by the client that opened it and kept by all that came later. `present` is any peer that
 * is there, on a socket or by a place that is held; if there is none, the newcomer opens the room. Undefined for no
 * limit.
 */
export function fixedLimit(newcomer: Opened, present: Opened | undefined): number | undefined {
  return present ? present.maxPeers : (newcomer.claims?.max ?? newcomer.maxPeers);
}

/** Most peers with which a newcomer is let in. What its token says counts in place of what the room was opened with. */
export function capacityFor({ claims }: Bearer, fixed: number | undefined, { maxPeers }: Limits): number {
  return Math.min(maxPeers, claims?.max ?? fixed ?? maxPeers);
}

/**
 * Who is put out so that the newcomer fits in: mute members, the longest there first. Or the close frame for the
 * newcomer, if that would not be enough. `away` and `pollers` count, and are not put out.
 */
export function makeWay<M extends Member>(
  newcomer: Pick<Newcomer, 'metadataLength'>,
  others: readonly M[],
  away: readonly Newcomer[],
  pollers: number,
  capacity: number,
  now: number,
): { mutes: readonly M[] } | { full: Close } {
  let peers = others.length + away.length + pollers;
  let metadataLength = [...others, ...away].reduce((sum, each) => sum + each.metadataLength, newcomer.metadataLength);
  const fullness = (): Close | undefined => {
    if (peers >= capacity) return fullAt(capacity);
    return metadataLength > MAX_ROOM_METADATA_LENGTH ? FULL : undefined;
  };
  const mutes: M[] = [];
  for (const mute of others.filter((member) => isMute(member, now))) {
    // Where the newcomer's own token allows fewer peers than are here, nobody is put out for it.
    if (!fullness() || peers > capacity) break;
    if (peers < capacity && mute.metadataLength === 0) continue; // it is metadata that is too much, and this one has none
    mutes.push(mute);
    peers--;
    metadataLength -= mute.metadataLength;
  }
  const full = fullness();
  return full ? { full } : { mutes };
}

/** Whether it has given no sign of life but its join, and had the time to. */
function isMute(member: Member, now: number): boolean {
  return !hasSent(member) && now - member.lastSeen > MUTE_AFTER_MS;
}
