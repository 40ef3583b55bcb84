/** How fast a member may send: what a message costs, and what becomes of a flood. */
import { FLOOD } from '../protocol/close.ts';
import { expel } from './presence.ts';
import { type Effect, type Limits, type Member, type Outbox, type Roster, send } from './room.ts';
import { drain, waitMs } from './token-bucket.ts';

/** Messages a socket may send at once in an empty room. */
const BURST = 500;

/** Added to BURST for each other peer present: a newcomer sends each of them an offer and about ten candidates. */
const BURST_PER_PEER = 20;

/** Refused messages, above what drained meanwhile, after which a socket has had its chance. */
const PATIENCE = 500;

/** A message costs a token for every so many characters that it has begun. */
const TOKEN_LENGTH = 4096;

/** Most tokens for one recipient: what each peer adds to a burst, so that a broadcast of any size passes at last. */
const MAX_TOKENS = BURST_PER_PEER;

/** What a message costs its sender, for each receiver. */
export function tokensFor(frame: string | ArrayBuffer): number {
  const length = typeof frame === 'string' ? frame.length : frame.byteLength;
  return Math.min(Math.ceil(length / TOKEN_LENGTH) || 1, MAX_TOKENS);
}

/** Takes tokens from the sender's bucket; what to do instead if there are too few. */
export function pay<M extends Member>(
  cost: number,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] | undefined {
  const spending = spend(sender.outbox, cost, limits.messagesPerSecond, now, () => roster.count() - 1);
  switch (spending.verdict) {
    case 'pass':
      return undefined;
    case 'wait': {
      const { retryAfterMs } = spending;
      const message = `Too many messages: this one was dropped. It would pass in ${retryAfterMs} ms.`;
      return [send({ type: 'error', code: 'rate_limited', message, retryAfterMs }, sender)];
    }
    case 'flood':
      return expel(sender, FLOOD, roster, limits, now);
  }
}

export type Spending = { verdict: 'pass' } | { verdict: 'wait'; retryAfterMs: number } | { verdict: 'flood' };

const PASS: Spending = { verdict: 'pass' };

/**
 * Takes `cost` tokens out of `bucket`, which it changes. `rate` is in tokens per second, 0 for no limit.
 * `countOthers` is asked only when the burst of an empty room is used up, since counting wakes every socket.
 */
export function spend(bucket: Outbox, cost: number, rate: number, now: number, countOthers: () => number): Spending {
  if (rate === 0) return PASS;
  drain(bucket, rate, now);
  let burst = BURST;
  if (bucket.spent + cost > burst) {
    burst += BURST_PER_PEER * countOthers();
    // What was sent to members that have left since was no flood: above the burst there are refused messages alone.
    bucket.spent -= Math.max(0, Math.min(bucket.spent, bucket.burst) - burst);
    bucket.burst = burst;
  }
  if (bucket.spent + cost <= burst) {
    bucket.spent += cost;
    return PASS;
  }
  bucket.spent += 1; // a refused message is paid for too, so that a member that goes on comes to an end
  if (bucket.spent > burst + PATIENCE) return { verdict: 'flood' };
  return { verdict: 'wait', retryAfterMs: waitMs(bucket, cost, burst, rate) };
}
