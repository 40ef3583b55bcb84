/** Messages a socket may send at once in an empty room. */
const BURST = 500;

/** Added to BURST for each other peer present: a newcomer sends each of them an offer and about ten candidates. */
export const BURST_PER_PEER = 20;

/** Refused messages, above what drained meanwhile, after which a socket has had its chance. */
const PATIENCE = 500;

/**
 * A token bucket, kept as what has been spent of it: `spent` drains at the sustained rate, and spending waits when it
 * is as high as the burst. It is kept in memory alone: the ten quiet seconds before an object hibernates would have
 * drained a burst at the default rate anyway.
 */
export interface Bucket {
  spent: number;
  /** When `spent` was right, in ms since the epoch. */
  at: number;
}

/** What a bucket holds, and how many tokens a second come back. */
export interface Budget {
  readonly burst: number;
  readonly rate: number;
}

/** Takes `cost` tokens out of `bucket`, which it changes. Returns 0; or, taking none, in how many ms there would be enough. */
export function take(bucket: Bucket, cost: number, { burst, rate }: Budget, now: number): number {
  drain(bucket, rate, now);
  if (bucket.spent + cost > burst) return waitMs(bucket, cost, burst, rate);
  bucket.spent += cost;
  return 0;
}

export type Spending = { verdict: 'pass' } | { verdict: 'wait'; retryAfterMs: number } | { verdict: 'flood' };

const PASS: Spending = { verdict: 'pass' };

/**
 * Takes `cost` tokens out of `bucket`, which it changes. `rate` is in tokens per second, 0 for no limit.
 * `countOthers` is asked only when the burst of an empty room is used up, since counting wakes every socket.
 */
export function spend(bucket: Bucket, cost: number, rate: number, now: number, countOthers: () => number): Spending {
  if (rate === 0) return PASS;
  drain(bucket, rate, now);
  const after = bucket.spent + cost;
  if (after <= BURST || after <= BURST + BURST_PER_PEER * countOthers()) {
    bucket.spent = after;
    return PASS;
  }
  const burst = BURST + BURST_PER_PEER * countOthers();
  bucket.spent += 1; // a refused message is paid for too, so that a member that goes on comes to an end
  if (bucket.spent > burst + PATIENCE) return { verdict: 'flood' };
  return { verdict: 'wait', retryAfterMs: waitMs(bucket, cost, burst, rate) };
}

/** One millisecond more than the sum says: `spent` is a fraction, rounded here and there. */
function waitMs({ spent }: Bucket, cost: number, burst: number, rate: number): number {
  return Math.ceil(((spent + cost - burst) / rate) * 1000) + 1;
}

function drain(bucket: Bucket, rate: number, now: number): void {
  bucket.spent = Math.max(0, bucket.spent - (Math.max(0, now - bucket.at) / 1000) * rate);
  bucket.at = now;
}
