import { expect, test } from 'vitest';
import { Members, meetingDelay } from './members.ts';

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

test('a thousand members are known, and of those that come and go a thousand at once, then twenty a second', () => {
  const members = new Members();
  const start = performance.now();
  const arriving = (from: number, count: number, ms: number): number =>
    Array.from({ length: count }, (_, n) => members.arrive(`member ${from + n}`, start + ms)).filter(Boolean).length;
  expect(arriving(0, 5_000, 0)).toBe(1_000);
  expect(arriving(0, 1_000, 0)).toBe(1_000); // they are known
  expect(arriving(5_000, 5_000, 60_000)).toBe(0); // there is no room
  members.clear();
  expect(arriving(5_000, 5_000, 60_000)).toBe(1_000);
  members.clear();
  expect(arriving(0, 5_000, 61_000)).toBe(20);
});

test('a member that leaves and comes again has no more connections for that, but another has', () => {
  const members = new Members();
  const taken = Array.from({ length: 20 }, () => {
    const { connections } = members.note('eve');
    const passed = [1, 2, 3, 4, 5].filter(() => connections.take()).length;
    members.delete('eve');
    return passed;
  });
  expect(taken.reduce((sum, each) => sum + each)).toBe(12);
  expect(members.note('bob').connections.take()).toBe(true);
});
