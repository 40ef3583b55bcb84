import { expect, test } from 'vitest';
import { Allowance, sizeFault } from './limits.ts';

test('a description is bounded in length', () => {
  expect(sizeFault('v'.repeat(131_072))).toBeUndefined();
  expect(sizeFault('v'.repeat(131_073))).toContain('131073 characters');
});

test.each([
  ['m-lines', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 100],
  ['streams', 'a=msid:stream track', 100],
  ['candidates', 'a=candidate:1 1 udp 1 192.0.2.1 5000 typ host', 400],
])('a description has no more %s than %s %i times', (what, line, most) => {
  expect(sizeFault(`v=0${`\r\n${line}`.repeat(most)}`)).toBeUndefined();
  expect(sizeFault(`v=0${`\n${line}`.repeat(most + 1)}`)).toBe(
    `The description has ${most + 1} ${what}; ${most} is the most.`,
  );
});

test('an allowance lets a burst pass, then one at a time, and saves up no more than a burst', () => {
  const allowance = new Allowance(3, 1000);
  const now = performance.now();
  expect([0, 0, 0, 0].map((ms) => allowance.take(1, now + ms))).toEqual([true, true, true, false]);
  expect([900, 1100, 1200].map((ms) => allowance.take(1, now + ms))).toEqual([false, true, false]);
  expect(Array.from({ length: 5 }, () => allowance.take(1, now + 1e9))).toEqual([true, true, true, false, false]);
});

test('what counts for several passes only as far as there is room for all of it', () => {
  const allowance = new Allowance(5, 1000);
  const now = performance.now();
  expect([4, 2, 1, 1].map((count) => allowance.take(count, now))).toEqual([true, false, true, false]);
});
