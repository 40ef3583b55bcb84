/**
 * How fast a room lets itself be joined: a join costs all its members a message, and the joiner one about all of them.
 */
import { type Bucket, type Budget, bucketOf, take } from './token-bucket.ts';

/** One address, at least: a class of thirty, twice over. A full room may be behind one, and that twice over, too. */
const PER_ADDRESS: Budget = { burst: 60, rate: 1 };

/** A member on a bad network. */
const PER_OWNER: Budget = { burst: 10, rate: 0.2 };

/**
 * What a room tells of a join, to the joiner and to the others, in characters: a client that does not read leaves it in
 * the room's memory, of which there are 128 MB. A full room with all the metadata it may have is back at once.
 */
const TOLD_OF_NEWCOMERS: Budget = { burst: 40 * 1024 * 1024, rate: 1024 * 1024 };

/** What it tells of clients that come back to their places: strangers do not use this up. */
const TOLD_TO_RETURNERS: Budget = { burst: 32 * 1024 * 1024, rate: 1024 * 1024 };

/**
 * For so many peers, and fewer. The others are told as often as there are others, so a larger room has as much more.
 */
const TOLD_PEERS = 128;

/**
 * Who has joined lately. Kept in memory alone, as a member's bucket is; but what an address has open counts as joined
 * when the room wakes, so that nobody fills a room by letting it sleep in between.
 */
export class JoinRate {
  readonly #perRoom: Budget;
  readonly #perAddress: Budget;
  readonly #toldOfNewcomers: Budget;
  readonly #room: Bucket = { spent: 0, at: 0 };
  readonly #newcomers: Bucket = { spent: 0, at: 0 };
  readonly #returners: Bucket = { spent: 0, at: 0 };
  readonly #addresses = new Map<string, Bucket>();
  /** By id. */
  readonly #owners = new Map<string, Bucket>();

  constructor(maxPeers: number) {
    // A full room that has lost its server and is back at once, three times over.
    this.#perRoom = { burst: Math.max(100, 3 * maxPeers), rate: Math.max(1, maxPeers / 25) };
    this.#perAddress = { ...PER_ADDRESS, burst: Math.max(PER_ADDRESS.burst, 2 * maxPeers) };
    const { burst, rate } = TOLD_OF_NEWCOMERS;
    const times = Math.max(1, maxPeers / TOLD_PEERS);
    this.#toldOfNewcomers = { burst: burst * times, rate: rate * times };
  }

  /**
   * Counts a join from `address`, undefined if that is not known. `countOpen` tells how many sockets it has in the
   * room. `place` is the id of a place that the client has shown to be its own: strangers do not use up its way back.
   * Its address counts all the same: each loss of a place and each return writes rows. Returns 0, or in how many ms
   * there may be one.
   */
  join(address: string | undefined, countOpen: () => number, place: string | undefined, now: number): number {
    const waitMs = address === undefined ? 0 : take(this.#of(address, countOpen, now), 1, this.#perAddress, now);
    if (waitMs > 0) return waitMs;
    if (place !== undefined && take(bucketOf(this.#owners, place), 1, PER_OWNER, now) === 0) return 0;
    return take(this.#room, 1, this.#perRoom, now);
  }

  /** Counts what is told of a join, `isBack` if it is to a place. Returns 0, or in how many ms there may be as much. */
  told(length: number, isBack: boolean, now: number): number {
    return isBack
      ? take(this.#returners, length, TOLD_TO_RETURNERS, now)
      : take(this.#newcomers, length, this.#toldOfNewcomers, now);
  }

  #of(address: string, countOpen: () => number, now: number): Bucket {
    return bucketOf(this.#addresses, address, () => ({
      spent: Math.min(countOpen(), this.#perAddress.burst),
      at: now,
    }));
  }
}
