/** How fast a room lets itself be joined: a join costs all its members a message, and the joiner one about all of them. */
import { type Bucket, type Budget, take } from './rate-limit.ts';

/** A class of thirty behind one address, twice over. */
const PER_ADDRESS: Budget = { burst: 60, rate: 1 };

/** More addresses than this are forgotten together: the budget of the room goes on. */
const MAX_ADDRESSES = 1_024;

/**
 * Who has joined lately. Kept in memory alone, as a member's bucket is; but what an address has open counts as joined when
 * the room wakes, so that nobody fills a room by letting it sleep in between.
 */
export class JoinRate {
  readonly #perRoom: Budget;
  readonly #room: Bucket = { spent: 0, at: 0 };
  readonly #addresses = new Map<string, Bucket>();

  constructor(maxPeers: number) {
    // A full room that has lost its server and is back at once, three times over.
    this.#perRoom = { burst: Math.max(100, 3 * maxPeers), rate: Math.max(1, maxPeers / 25) };
  }

  /**
   * Counts a join from `address`, undefined where that is not known. `countOpen` tells how many sockets it has in the room.
   * Returns 0, or in how many ms there may be one.
   */
  join(address: string | undefined, countOpen: () => number, now: number): number {
    const waitMs = address === undefined ? 0 : take(this.#of(address, countOpen, now), 1, PER_ADDRESS, now);
    return waitMs || take(this.#room, 1, this.#perRoom, now);
  }

  #of(address: string, countOpen: () => number, now: number): Bucket {
    const known = this.#addresses.get(address);
    if (known) return known;
    if (this.#addresses.size >= MAX_ADDRESSES) this.#addresses.clear();
    const bucket = { spent: Math.min(countOpen(), PER_ADDRESS.burst), at: now };
    this.#addresses.set(address, bucket);
    return bucket;
  }
}
