import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Heartbeat } from './heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** After how many ms of silence it was told, if the server answers at none of the pings. */
function silenceAfter(ask: (heartbeat: Heartbeat) => void, everyMs?: number): number {
  const began = performance.now();
  let at = Number.POSITIVE_INFINITY;
  const heartbeat = new Heartbeat(
    () => undefined,
    () => {
      at = Math.min(at, performance.now() - began);
    },
    everyMs,
  );
  ask(heartbeat);
  vi.advanceTimersByTime(60_000);
  heartbeat.stop();
  return at;
}

test.each<[string, (heartbeat: Heartbeat) => void, ms: number]>([
  ['a ping', (heartbeat) => heartbeat.beat(), 10_000],
  ['a ping in doubt', (heartbeat) => heartbeat.doubt(), 1_500],
  [
    'a ping in doubt, and one without before that has been answered',
    (heartbeat) => {
      heartbeat.doubt();
      vi.advanceTimersByTime(1_000);
      heartbeat.beat();
    },
    1_500,
  ],
  [
    'one doubt after another',
    (heartbeat) => {
      for (let n = 0; n < 3; n++) {
        heartbeat.doubt();
        vi.advanceTimersByTime(400);
      }
    },
    1_500,
  ],
  [
    'a ping, and a doubt',
    (heartbeat) => {
      heartbeat.beat();
      vi.advanceTimersByTime(1_000);
      heartbeat.doubt();
    },
    2_500,
  ],
])('%s that the server does not answer ends the wait', (_what, ask, ms) => {
  expect(silenceAfter(ask)).toBe(ms);
});

/** A ping that was answered after so long, and what follows it. */
function answeredAfter(roundTripMs: number, next: (heartbeat: Heartbeat) => void): (heartbeat: Heartbeat) => void {
  return (heartbeat) => {
    heartbeat.beat();
    vi.advanceTimersByTime(roundTripMs);
    heartbeat.heard();
    next(heartbeat);
  };
}

test.each([
  [20, 580],
  [100, 900],
  [250, 1_500],
  [2_000, 4_000],
  [7_000, 10_000],
])('where the server last answered after %i ms, it is doubted for %i ms', (roundTripMs, ms) => {
  const heard = answeredAfter(roundTripMs, (heartbeat) => heartbeat.doubt());
  expect(silenceAfter(heard)).toBe(roundTripMs + ms);
});

test.each([
  [20, 400],
  [600, 1_200],
  [1_400, 2_800],
])('where the server last answered after %i ms, one of a ping each second is waited for %i ms', (roundTripMs, ms) => {
  const heard = answeredAfter(roundTripMs, (heartbeat) => heartbeat.beat());
  expect(silenceAfter(heard, 1_000)).toBe(roundTripMs + ms);
});

test('a round trip is measured from the first ping that has no answer, and not on another socket', () => {
  const twice = (heartbeat: Heartbeat): void => {
    heartbeat.beat();
    vi.advanceTimersByTime(200);
    heartbeat.beat();
    vi.advanceTimersByTime(10);
    heartbeat.heard();
    heartbeat.doubt();
  };
  expect(silenceAfter(twice)).toBe(210 + 1_340);
  const stopped = (heartbeat: Heartbeat): void => {
    heartbeat.beat();
    vi.advanceTimersByTime(10);
    heartbeat.stop();
    heartbeat.expect(10_000);
    heartbeat.heard(); // the room's first message, which answers no ping
    heartbeat.doubt();
  };
  expect(silenceAfter(stopped)).toBe(10 + 1_500);
});

test('an answer that is queued behind what else the server says is waited for, but not for ever', () => {
  const busy = (heartbeat: Heartbeat): void => {
    heartbeat.beat();
    for (let second = 0; second < 100; second++) setTimeout(() => heartbeat.heardOther(), second * 1_000);
    vi.advanceTimersByTime(30_000);
    heartbeat.heard();
    heartbeat.beat();
  };
  expect(silenceAfter(busy)).toBe(30_000 + 60_000);
  const former = (heartbeat: Heartbeat): void => {
    heartbeat.doubt();
    vi.advanceTimersByTime(1_000);
    heartbeat.heardOther(); // it had come by the former network
  };
  expect(silenceAfter(former)).toBe(1_000 + 1_500);
});

test('whoever answers is asked again 25 s later', () => {
  let pings = 0;
  const silent = vi.fn();
  const heartbeat: Heartbeat = new Heartbeat(() => {
    pings++;
    setTimeout(() => heartbeat.heard(), 50);
  }, silent);
  heartbeat.beat();
  vi.advanceTimersByTime(100_000);
  expect([pings, silent.mock.calls.length]).toEqual([5, 0]);
  heartbeat.stop();
  vi.advanceTimersByTime(100_000);
  expect(pings).toBe(5);
});

test.each([Number.POSITIVE_INFINITY, Number.NaN, -1, 0, 100, 2 ** 31])('%d ms between pings cannot work', (everyMs) => {
  const nothing = (): void => undefined;
  expect(() => new Heartbeat(nothing, nothing, everyMs)).toThrow(
    `pingEveryMs is ${everyMs}: it must be from 500 to 2000000000.`,
  );
});
