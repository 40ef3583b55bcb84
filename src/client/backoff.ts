/** First pause, in ms, doubled with each attempt. */
const FIRST_MS = 250;

/** Longest pause in the first TWO_MINUTES_MS of an outage, and after them, in ms. */
const CEILING_MS = 8_000;
const LATE_CEILING_MS = 60_000;
const TWO_MINUTES_MS = 120_000;

/**
 * How long to wait before attempt number `attempt` (0 for the first), in ms. Full jitter: anything from nothing to the
 * ceiling is as likely, so that a thousand clients of a server that restarted do not come back in step.
 * `outageMs` is how long there has been no connection; `random` is from 0 up to 1.
 */
export function retryDelay(attempt: number, outageMs: number, random: number): number {
  const ceiling = outageMs < TWO_MINUTES_MS ? CEILING_MS : LATE_CEILING_MS;
  return random * Math.min(ceiling, FIRST_MS * 2 ** Math.min(attempt, 16));
}
