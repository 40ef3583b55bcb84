/**
 * How fast a room lets itself be polled: a poll costs Cloudflare's time, and what it writes a row of the day's quota.
 */
import { type Bucket, type Budget, bucketOf, take } from './token-bucket.ts';

/** One p2pcf polls every 1.5 s at its fastest, and once more for each change. */
const POLLS_PER_CONTEXT: Budget = { burst: 60, rate: 2 };

/** p2pcf posts when something has changed and every 90 s; of p2pcf.rn's postings one in ten is written. */
const POSTINGS_PER_CONTEXT: Budget = { burst: 20, rate: 0.5 };

/**
 * A class of thirty behind one address, twice over. A context is made up in no time, a network is not: so what one
 * network may spend is less than half of what the room may.
 */
const POLLS_PER_ADDRESS: Budget = { burst: 400, rate: 40 };

/** The same thirty as they come and meet each other, and then every 90 s. */
const POSTINGS_PER_ADDRESS: Budget = { burst: 240, rate: 0.4 };

/** 128 pollers at their fastest. */
const POLLS_PER_ROOM: Budget = { burst: 1_000, rate: 100 };

/** Ninety pollers that post every 90 s: in a day less than the 100,000 rows that the free plan lets a day write. */
const POSTINGS_PER_ROOM: Budget = { burst: 500, rate: 1 };

/**
 * What the members are told of pollers that come, in characters: as of a join, a client that does not read it leaves it
 * in the room's memory. 64 pollers that come at once to 64 members are a quarter of that.
 */
const TOLD: Budget = { burst: 8 * 1024 * 1024, rate: 256 * 1024 };

/** What has been polled lately. Kept in memory alone, as a member's bucket is. */
export class PollRate {
  readonly #polls = new Spending(POLLS_PER_CONTEXT, POLLS_PER_ADDRESS, POLLS_PER_ROOM);
  readonly #postings = new Spending(POSTINGS_PER_CONTEXT, POSTINGS_PER_ADDRESS, POSTINGS_PER_ROOM);
  readonly #told: Bucket = { spent: 0, at: 0 };

  /** Counts a poll from `address`, undefined where that is not known. Returns 0, or in how many ms there may be one. */
  poll(contextId: string, address: string | undefined, now: number): number {
    return this.#polls.take(contextId, address, now);
  }

  /** Counts a posting that is to be written, in the same way. */
  post(contextId: string, address: string | undefined, now: number): number {
    return this.#postings.take(contextId, address, now);
  }

  /**
   * Counts what the members are told of a posting, in the same way. What the largest of rooms is told passes at last.
   */
  tell(length: number, now: number): number {
    return take(this.#told, Math.min(length, TOLD.burst), TOLD, now);
  }
}

/** What has been spent by each context, by each address and in the room. */
class Spending {
  readonly #perContext: Budget;
  readonly #perAddress: Budget;
  readonly #perRoom: Budget;
  readonly #contexts = new Map<string, Bucket>();
  readonly #addresses = new Map<string, Bucket>();
  readonly #room: Bucket = { spent: 0, at: 0 };

  constructor(perContext: Budget, perAddress: Budget, perRoom: Budget) {
    this.#perContext = perContext;
    this.#perAddress = perAddress;
    this.#perRoom = perRoom;
  }

  take(contextId: string, address: string | undefined, now: number): number {
    return (
      take(bucketOf(this.#contexts, contextId), 1, this.#perContext, now) ||
      (address === undefined ? 0 : take(bucketOf(this.#addresses, address), 1, this.#perAddress, now)) ||
      take(this.#room, 1, this.#perRoom, now)
    );
  }
}
