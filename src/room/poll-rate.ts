/** How fast a room lets itself be polled: a poll costs Cloudflare's time, and what it writes a row of the day's quota. */
import { type Bucket, type Budget, take } from './rate-limit.ts';

/** One p2pcf polls every 1.5 s at its fastest, and once more for each change. */
const POLLS_PER_CONTEXT: Budget = { burst: 60, rate: 2 };

/** p2pcf posts when something has changed and every 90 s; of p2pcf.rn's postings one in ten is written. */
const POSTINGS_PER_CONTEXT: Budget = { burst: 20, rate: 0.5 };

/**
 * A class of thirty behind one address, twice over. A context is made up in no time, a network is not: so what one network
 * may spend is less than half of what the room may.
 */
const POLLS_PER_ADDRESS: Budget = { burst: 400, rate: 40 };

/** The same thirty as they come and meet each other, and then every 90 s. */
const POSTINGS_PER_ADDRESS: Budget = { burst: 240, rate: 0.4 };

/** 128 pollers at their fastest. */
const POLLS_PER_ROOM: Budget = { burst: 1_000, rate: 100 };

/** Ninety pollers that post every 90 s: in a day less than the 100,000 rows that the free plan lets a day write. */
const POSTINGS_PER_ROOM: Budget = { burst: 500, rate: 1 };

/** More contexts or addresses than this are forgotten together: the budgets of the room go on. */
const MAX_KNOWN = 1_024;

/** What has been polled lately. Kept in memory alone, as a member's bucket is. */
export class PollRate {
  readonly #polls = new Spending(POLLS_PER_CONTEXT, POLLS_PER_ADDRESS, POLLS_PER_ROOM);
  readonly #postings = new Spending(POSTINGS_PER_CONTEXT, POSTINGS_PER_ADDRESS, POSTINGS_PER_ROOM);

  /** Counts a poll from `address`, undefined where that is not known. Returns 0, or in how many ms there may be one. */
  poll(contextId: string, address: string | undefined, now: number): number {
    return this.#polls.take(contextId, address, now);
  }

  /** Counts a posting that is to be written, in the same way. */
  post(contextId: string, address: string | undefined, now: number): number {
    return this.#postings.take(contextId, address, now);
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

function bucketOf(buckets: Map<string, Bucket>, id: string): Bucket {
  const known = buckets.get(id);
  if (known) return known;
  if (buckets.size >= MAX_KNOWN) buckets.clear();
  const bucket = { spent: 0, at: 0 };
  buckets.set(id, bucket);
  return bucket;
}
