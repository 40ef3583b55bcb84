import { expect, test } from 'vitest';
import { meetingDelay } from './members.ts';

test('the pauses before a member is met again grow while its connections end soon, and start over after a good one', () => {
  const member = { endings: 0, endingSince: 0 };
  let now = 1_000_000;
  const next = (wasGood: boolean, isPolite = false): number => {
    const delay = meetingDelay(member, wasGood, isPolite, now, 1);
    now += delay;
    return delay;
  };
  expect(Array.from({ length: 7 }, () => next(false))).toEqual([1_250, 1_500, 2_000, 3_000, 5_000, 9_000, 9_000]);
  for (let n = 0; n < 12; n++) next(false); // two minutes
  expect(next(false)).toBe(61_000);
  expect(next(true)).toBe(1_250);
  expect(next(false)).toBe(1_500);
  expect(next(false, true)).toBe(5_000);
});
