/** How fast a room lets itself be polled: a poll costs Cloudflare's time, and what it writes a row of the day's quota. */
import { type Bucket, type Budget, take } from './rate-limit.ts';

/** One p2pcf polls every 1.5 s at its fastest, and once more for each change. */
const POLLS_PER_CONTEXT: Budget = { burst: 60, rate: 2 };

/** p2pcf posts when something has changed and every 90 s; of p2pcf.rn's postings one in ten is written. */
const POSTINGS_PER_CONTEXT: Budget = { burst: 20, rate: 0.5 };

/** 128 pollers at their fastest. */
const POLLS_PER_ROOM: Budget = { burst: 1_000, rate: 100 };

/** 128 pollers that post every 90 s. In a day this is less than the 100,000 rows that the free plan lets a day write. */
const POSTINGS_PER_ROOM: Budget = { burst: 500, rate: 1 };

/** More contexts than this are forgotten together: the budgets of the room go on. */
const MAX_CONTEXTS = 1_024;

interface Spent {
  readonly polls: Bucket;
  readonly postings: Bucket;
}

const nothing = (): Spent => ({ polls: { spent: 0, at: 0 }, postings: { spent: 0, at: 0 } });

/** What has been polled lately. Kept in memory alone, as a member's bucket is. */
export class PollRate {
  readonly #room = nothing();
  readonly #contexts = new Map<string, Spent>();

  /** Counts a poll. Returns 0, or in how many ms there may be one. */
  poll(contextId: string, now: number): number {
    const { polls } = this.#of(contextId);
    return take(polls, 1, POLLS_PER_CONTEXT, now) || take(this.#room.polls, 1, POLLS_PER_ROOM, now);
  }

  /** Counts a posting that is to be written. Returns 0, or in how many ms there may be one. */
  post(contextId: string, now: number): number {
    const { postings } = this.#of(contextId);
    return take(postings, 1, POSTINGS_PER_CONTEXT, now) || take(this.#room.postings, 1, POSTINGS_PER_ROOM, now);
  }

  #of(contextId: string): Spent {
    const known = this.#contexts.get(contextId);
    if (known) return known;
    if (this.#contexts.size >= MAX_CONTEXTS) this.#contexts.clear();
    const spent = nothing();
    this.#contexts.set(contextId, spent);
    return spent;
  }
}
