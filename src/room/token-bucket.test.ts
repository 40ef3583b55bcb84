import { expect, test } from 'vitest';
import { take } from './token-bucket.ts';

test('what is taken out of a bucket comes back at its rate, and a clock that goes backwards costs nothing', () => {
  const bucket = { spent: 0, at: 0 };
  const budget = { burst: 10, rate: 2 };
  for (let n = 0; n < 10; n++) expect(take(bucket, 1, budget, 5000)).toBe(0);
  const waitMs = take(bucket, 4, budget, 5000);
  expect(waitMs).toBe(2001);
  expect(take(bucket, 4, budget, 1000)).toBe(2001);
  expect(take(bucket, 4, budget, 1000 + waitMs)).toBe(0);
});
