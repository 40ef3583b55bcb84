import { expect, test } from 'vitest';
import { JoinRate } from './join-rate.ts';

/** In a full room: its ids and all the metadata that it may have, which each member has brought its part of. */
const WELCOME = 290_000;
const NEWS = 2_200;

test('what is told of newcomers, to them and to the others, passes for a full room at once, then a megabyte a second', () => {
  const rate = new JoinRate(128);
  const told = (peers: number): number => peers * (WELCOME / 128 + NEWS);
  for (let peers = 0; peers < 128; peers++) expect(rate.told(told(peers), false, 0)).toBe(0);
  const waits = Array.from({ length: 20 }, () => rate.told(told(127), false, 0));
  const waitMs = waits.at(-1) ?? 0;
  expect(waitMs).toBeGreaterThan(0);
  expect(waitMs).toBeLessThan(1000);
  expect(rate.told(told(127), false, waitMs)).toBe(0);
});

test('what those are told that come back has a budget of its own: nearly all of a full room at once', () => {
  const rate = new JoinRate(128);
  while (rate.told(127 * NEWS, false, 0) === 0);
  const waits = Array.from({ length: 128 }, () => rate.told(WELCOME, true, 0));
  expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(115);
  expect(rate.told(WELCOME, true, waits.at(-1) ?? 0)).toBe(0);
});

test.each([128, 1000])('a room of %i that tells little is joined as before', (maxPeers) => {
  const rate = new JoinRate(maxPeers);
  for (let peers = 0; peers < maxPeers; peers++) expect(rate.told(peers * 300, false, 0)).toBe(0);
  for (let n = 0; n < 10_000; n++) expect(rate.told(3_000 + maxPeers * 100, false, 1e6 + n * 200)).toBe(0);
});

test.each([30, 128, 1000])(
  'a full room of %i behind one address comes at once, and is back at once as it wakes',
  (peers) => {
    const ids = Array.from({ length: peers }, (_, n) => `m${n}`);
    const rate = new JoinRate(peers);
    for (const _ of ids) expect(rate.join('school', () => 0, undefined, 0)).toBe(0);
    const awake = new JoinRate(peers);
    for (const id of ids) expect(awake.join('school', () => peers, id, 0)).toBe(0);
  },
);

test('who comes back counts for its address, as its places are rows, and ten times at once not for the room', () => {
  const rate = new JoinRate(128);
  for (let n = 0; n < 10; n++) expect(rate.join('home', () => 1, 'bob', 0)).toBe(0);
  for (let n = 0; n < 384; n++) expect(rate.join(undefined, () => 0, undefined, 0)).toBe(0);
  expect(rate.join('home', () => 1, 'bob', 0)).toBeGreaterThan(0);
  expect(rate.join('home', () => 1, 'carol', 0)).toBe(0);
  for (let n = 0; n < 256; n++) rate.join('home', () => 1, `m${n}`, 0);
  expect(rate.join('home', () => 1, 'dave', 0)).toBeGreaterThan(0);
});
