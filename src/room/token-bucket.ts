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

/**
 * Takes `cost` tokens out of `bucket`, which it changes. Returns 0; or, taking none, in how many ms there would be
 * enough.
 */
export function take(bucket: Bucket, cost: number, { burst, rate }: Budget, now: number): number {
  drain(bucket, rate, now);
  if (bucket.spent + cost > burst) return waitMs(bucket, cost, burst, rate);
  bucket.spent += cost;
  return 0;
}

/** More contexts, addresses or members than this are forgotten together: the budgets of the room go on. */
const MAX_KNOWN = 1_024;

/** The bucket of one of many; `make` says what it has spent already. */
export function bucketOf(buckets: Map<string, Bucket>, id: string, make = (): Bucket => ({ spent: 0, at: 0 })): Bucket {
  const known = buckets.get(id);
  if (known) return known;
  if (buckets.size >= MAX_KNOWN) buckets.clear();
  const bucket = make();
  buckets.set(id, bucket);
  return bucket;
}

/** One millisecond more than the sum says: `spent` is a fraction, rounded here and there. */
export function waitMs({ spent }: Bucket, cost: number, burst: number, rate: number): number {
  return Math.ceil(((spent + cost - burst) / rate) * 1000) + 1;
}

export function drain(bucket: Bucket, rate: number, now: number): void {
  bucket.spent = Math.max(0, bucket.spent - (Math.max(0, now - bucket.at) / 1000) * rate);
  bucket.at = now;
}
