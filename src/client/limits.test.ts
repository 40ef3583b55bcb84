import { expect, test } from 'vitest';
import { Allowance, sizeFault } from './limits.ts';

test('a description is bounded in length and in m-lines', () => {
  const section = '\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111';
  expect(sizeFault(`v=0${section.repeat(100)}`)).toBeUndefined();
  expect(sizeFault(`v=0${section.repeat(101)}`)).toContain('101 m-lines');
  expect(sizeFault('v'.repeat(131_072))).toBeUndefined();
  expect(sizeFault('v'.repeat(131_073))).toContain('131073 characters');
});

test('an allowance lets a burst pass, then one at a time, and saves up no more than a burst', () => {
  const allowance = new Allowance(3, 1000);
  const now = performance.now();
  expect([0, 0, 0, 0].map((ms) => allowance.take(now + ms))).toEqual([true, true, true, false]);
  expect([900, 1100, 1200].map((ms) => allowance.take(now + ms))).toEqual([false, true, false]);
  expect(Array.from({ length: 5 }, () => allowance.take(now + 1e9))).toEqual([true, true, true, false, false]);
});
