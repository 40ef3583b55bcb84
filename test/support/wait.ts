/**
 * How long a test waits for a condition: shorter than a test may take (vitest.config.ts), so that it is the wait that
 * fails.
 */
export const WAIT = { timeout: 200_000, interval: 20 };
