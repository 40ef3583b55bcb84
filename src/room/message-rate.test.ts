import fc from 'fast-check';
import { expect, test } from 'vitest';
import { spend } from './message-rate.ts';

const RATE = 50;

/** How many of `count` messages of one token pass, one every `everyMs`. */
function passing(count: number, everyMs: number, others: number): { passed: number; flood: boolean } {
  const bucket = { spent: 0, at: 0, burst: 0 };
  let passed = 0;
  for (let n = 0; n < count; n++) {
    const { verdict } = spend(bucket, 1, RATE, n * everyMs, () => others);
    if (verdict === 'flood') return { passed, flood: true };
    if (verdict === 'pass') passed++;
  }
  return { passed, flood: false };
}

test('an empty room takes a burst of 500, each peer present adds 20', () => {
  expect(passing(600, 0, 0).passed).toBe(500);
  expect(passing(600, 0, 1).passed).toBe(520);
  expect(passing(30_000, 0, 1000).passed).toBe(20_500);
});

test('an offer and ten candidates to everyone always pass', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1023 }), (others) => {
      expect(passing(11 * others, 0, others)).toEqual({ passed: 11 * others, flood: false });
    }),
  );
});

test('the sustained rate passes for ever, twice the rate is throttled and then a flood', () => {
  expect(passing(100_000, 1000 / RATE, 0)).toEqual({ passed: 100_000, flood: false });
  const { passed, flood } = passing(100_000, 500 / RATE, 0);
  expect(flood).toBe(true);
  expect(passed).toBeGreaterThan(500);
});

test('a member that waits as told may go on', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 200 }), (costs) => {
      const bucket = { spent: 0, at: 0, burst: 0 };
      let now = 0;
      for (const cost of costs) {
        const spending = spend(bucket, cost, RATE, now, () => 0);
        if (spending.verdict === 'pass') continue;
        expect(spending.verdict).toBe('wait');
        if (spending.verdict === 'wait') now += spending.retryAfterMs;
        expect(spend(bucket, cost, RATE, now, () => 0).verdict).toBe('pass');
      }
    }),
  );
});

test.each([0, 7, 30, 76, 77, 90, 102, 126])(
  'what was sent to a full room is no flood when all but %i have left; a flood after that is one',
  (left) => {
    const bucket = { spent: 0, at: 0, burst: 0 };
    for (let n = 0; n < 500 + 20 * 127; n++) expect(spend(bucket, 1, RATE, 0, () => 127).verdict).toBe('pass');
    const spending = spend(bucket, 1, RATE, 0, () => left);
    expect(spending).toMatchObject({ verdict: 'wait', retryAfterMs: expect.toSatisfy((ms) => ms < 100, 'soon') });
    expect(spend(bucket, 1, RATE, 100, () => left).verdict).toBe('pass');
    const verdicts = Array.from({ length: 600 }, () => spend(bucket, 1, RATE, 100, () => left).verdict);
    expect(verdicts.indexOf('flood')).toBeGreaterThan(490);
  },
);

test('who comes and goes meanwhile takes nothing off a flood: no refusal is forgotten', () => {
  const bucket = { spent: 0, at: 0, burst: 0 };
  for (let n = 0; n < 500 + 20 * 127; n++) spend(bucket, 1, RATE, 0, () => 127);
  const verdicts = Array.from(
    { length: 600 },
    (_, n) => spend(bucket, 1, RATE, 0, () => 127 - Math.floor(n / 5)).verdict,
  );
  expect(verdicts.indexOf('flood')).toBe(500);
});

test('a rate of 0 switches it off, and peers are not counted while the plain burst lasts', () => {
  const uncountable = () => {
    throw new Error('counted');
  };
  const bucket = { spent: 0, at: 0, burst: 0 };
  for (let n = 0; n < 10_000; n++) expect(spend(bucket, 1000, 0, 0, uncountable).verdict).toBe('pass');
  for (let n = 0; n < 500; n++) expect(spend(bucket, 1, RATE, 0, uncountable).verdict).toBe('pass');
  expect(() => spend(bucket, 1, RATE, 0, uncountable)).toThrow('counted');
});
