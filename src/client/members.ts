/** What is known of the members of the room, beside their connections. */
import type { Verified } from '../protocol/messages.ts';
import { retryDelay } from './backoff.ts';
import {
  type Allowance,
  MAX_MEMBER_METADATA_LENGTH,
  MAX_MEMBERS,
  newConnectionAllowance,
  newMemberAllowance,
} from './limits.ts';

/**
 * How long after the end of a connection we offer another, in ms: longer than the news takes that the member has left.
 * The polite one of the two leaves it to the other for some time more.
 */
const MEET_AGAIN_AFTER_MS = 1_000;
const POLITE_AFTER_MS = 4_000;

export interface Member {
  /** What it brought when it joined: it may come back without a `peer_join`. */
  brought: unknown;
  /** What the server has verified of it. */
  verified: Verified | undefined;
  /** Whether the room lists it. An open connection to a member that it does not list may well go on. */
  isListed: boolean;
  /**
   * Somebody has joined under the id of a connected peer: perhaps the same, or a stranger, by another certificate. As
   * long as the connection lives it goes on, as nobody in the room has a say in what was connected before; a stranger
   * is met as another peer when it ends.
   */
  rejoined: 'perhaps itself' | 'a stranger' | undefined;
  /** New connections on its demand: a peer that was closed has no say in how many come after it. */
  readonly connections: Allowance;
  /** Connections to it that have ended soon, in a row, and when the first of them did. */
  endings: number;
  endingSince: number;
  /** Runs until we meet again a member whose connection has ended. */
  meetTimer: ReturnType<typeof setTimeout> | undefined;
}

/** By session id. */
export class Members extends Map<string, Member> {
  readonly #allowance = newMemberAllowance();
  /** What members that are gone have spent lately of their connections, by session id: they may come again. */
  readonly #spent = new Map<string, Allowance>();

  /**
   * The member with this session id, noted if it is new; undefined where the server names too many, or too many at
   * once, as at `now`, in ms.
   */
  arrive(id: string, now = performance.now()): Member | undefined {
    const isIn = this.has(id) || (this.size < MAX_MEMBERS && this.#allowance.take(1, now));
    return isIn ? this.note(id) : undefined;
  }

  /** The member with this session id, noted if it is new. */
  note(id: string): Member {
    const member = this.get(id) ?? {
      brought: undefined,
      verified: undefined,
      isListed: true,
      rejoined: undefined,
      connections: this.#spent.get(id) ?? newConnectionAllowance(),
      endings: 0,
      endingSince: 0,
      meetTimer: undefined,
    };
    this.set(id, member);
    return member;
  }

  /** A member that is forgotten is not met again. */
  override delete(id: string): boolean {
    const member = this.get(id);
    clearTimeout(member?.meetTimer);
    for (const [each, connections] of this.#spent) if (connections.isFull()) this.#spent.delete(each);
    if (member && !member.connections.isFull()) this.#spent.set(id, member.connections);
    return super.delete(id);
  }

  override clear(): void {
    for (const id of [...this.keys()]) this.delete(id);
  }
}

/** Counts the end of a connection, which `wasGood` if it had lasted: how long to wait before the next, in ms. */
export function meetingDelay(
  member: Pick<Member, 'endings' | 'endingSince'>,
  wasGood: boolean,
  isPolite: boolean,
  now: number,
  random: number,
): number {
  if (wasGood || member.endings === 0) {
    member.endings = 0;
    member.endingSince = now;
  }
  const pause = retryDelay(member.endings++, now - member.endingSince, random);
  return (isPolite ? POLITE_AFTER_MS : MEET_AGAIN_AFTER_MS) + pause;
}

/** What a member has brought, unless that is too long to be kept, or nested too deeply to be written. */
export function keepable(metadata: unknown): unknown {
  try {
    return (JSON.stringify(metadata)?.length ?? 0) <= MAX_MEMBER_METADATA_LENGTH ? metadata : undefined;
  } catch {
    return undefined; // a RangeError
  }
}

/** Whether metadata was sealed with a key (sealed/envelope.ts): with the key it would have come here opened. */
export function isSealed(metadata: unknown): boolean {
  const { sealed, key, data } = Object(metadata);
  return typeof sealed === 'number' && typeof key === 'string' && typeof data === 'string';
}
