import { expect, test } from 'vitest';
import { retryDelay } from './backoff.ts';

test.each([
  [0, 0, 250],
  [1, 0, 500],
  [4, 0, 4_000],
  [5, 0, 8_000],
  [1_000, 119_999, 8_000],
  [1, 120_000, 500],
  [1_000, 120_000, 60_000],
])('attempt %i, after %i ms without a connection, waits anything from nothing to %i ms', (attempt, outageMs, most) => {
  const delays = Array.from({ length: 100 }, (_, n) => retryDelay(attempt, outageMs, n / 100));
  // Evenly: of a thousand clients that lost one server, no two slots see more than their share.
  expect(delays).toEqual(Array.from({ length: 100 }, (_, n) => (n / 100) * most));
});
