import { describe, expect, test } from 'vitest';
import { PollRate } from './poll-rate.ts';

const MALLORY = 'network of mallory';
const POLLY = 'network of polly';

/** How many of `count` are let pass within a moment. */
const passing = (count: number, one: (n: number) => number): number =>
  Array.from({ length: count }, (_, n) => one(n)).filter((waitMs) => waitMs === 0).length;

describe.each([
  { kind: 'poll', perContext: 60, perAddress: 400, perRoom: 1000, addressRate: 40, everyMs: 1_500 },
  { kind: 'post', perContext: 20, perAddress: 240, perRoom: 500, addressRate: 0.4, everyMs: 90_000 },
] as const)('$kind', ({ kind, perContext, perAddress, perRoom, addressRate, everyMs }) => {
  test('a context, an address and a room have a budget each', () => {
    const rate = new PollRate();
    expect(passing(2 * perContext, () => rate[kind]('m', MALLORY, 0))).toBe(perContext);
    expect(passing(2 * perAddress, (n) => rate[kind](`m${n}`, MALLORY, 0))).toBe(perAddress - perContext);
    expect(passing(2 * perRoom, (n) => rate[kind](`m${n}`, `network ${n}`, 0))).toBe(perRoom - perAddress);
  });

  test('while one address polls as fast as it can under new contexts, another poller goes on', () => {
    const rate = new PollRate();
    let [mallorys, waits] = [0, 0];
    for (let now = 0; now < 100 * everyMs; now += everyMs) {
      mallorys += passing(perRoom, (n) => rate[kind](`${now} ${n}`, MALLORY, now));
      waits += rate[kind]('polly', POLLY, now);
    }
    expect(waits).toBe(0);
    expect(mallorys).toBeLessThanOrEqual(perAddress + (100 * everyMs * addressRate) / 1000);
  });

  test('where no address is known, that of the room counts', () => {
    const rate = new PollRate();
    expect(passing(2 * perRoom, (n) => rate[kind](`m${n}`, undefined, 0))).toBe(perRoom);
  });

  test('what is refused is not spent', () => {
    const rate = new PollRate();
    passing(perRoom, () => rate[kind]('m', MALLORY, 0));
    expect(passing(perRoom, (n) => rate[kind](`m${n}`, MALLORY, 0))).toBe(perAddress - perContext);
  });
});

test('members are told of pollers as far as there is memory for that, and what is too long for that when nothing else is', () => {
  const rate = new PollRate();
  const length = 100 * 1024;
  expect(passing(500, () => rate.tell(length, 0))).toBe(81);
  expect(rate.tell(length, 1_000)).toBe(0);
  expect(rate.tell(100 * 1024 * 1024, 20_000)).toBeGreaterThan(0);
  expect(rate.tell(100 * 1024 * 1024, 60_000)).toBe(0);
});

test('addresses that are forgotten because there are too many leave the budget of the room', () => {
  const rate = new PollRate();
  expect(passing(5000, (n) => rate.poll(`m${n}`, `network ${n}`, 0))).toBe(1000);
});
