import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IceRestarts, isRestartDue, isSettled, restartDelay, stepForRestart } from './ice-restart.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const between = { polls: false, isOursFirefox: false, isTheirsFirefox: false };

test.each([
  ['of a live connection', between, false, 'restart ICE'],
  ['of a failed one', between, true, 'restart ICE'],
  ['with Firefox, from Chromium', { ...between, isTheirsFirefox: true }, false, 'ask the other'],
  ['between two Firefoxes', { ...between, isOursFirefox: true, isTheirsFirefox: true }, false, 'restart ICE'],
  ['from Firefox', { ...between, isOursFirefox: true }, false, 'restart ICE'],
  ['with a peer that polls', { ...between, polls: true }, false, 'drop'],
  ['with a peer that polls, failed', { ...between, polls: true }, true, 'start over'],
])('a restart %s', (_name, ours, hasFailed, step) => {
  expect(stepForRestart(ours, hasFailed)).toBe(step);
});

test.each([
  ['failed', true, true],
  ['failed', false, true],
  ['disconnected', true, true],
  ['disconnected', false, false],
  ['connected', true, false],
  ['connecting', false, false],
] as const)('the room is back: %s, connected before: %s', (state, isConnected, isDue) => {
  expect(isRestartDue(state, isConnected)).toBe(isDue);
});

test('the first restart is at once, and the next 2 s after the last', () => {
  expect(restartDelay(undefined, 1_000)).toBe(0);
  expect([5_000, 6_999, 7_000, 9_000].map((now) => restartDelay(5_000, now))).toEqual([2_000, 1, 0, 0]);
});

test.each([
  ['at once', 'connected', false, false, 1_000, false],
  ['when the other is heard on the channel', 'connected', true, false, 1_000, true],
  ['the same, while our next restart is out', 'connected', true, true, 1_000, true],
  ['the same, while a restart of Firefox’s is out', 'connecting', true, true, 1_000, false],
  ['the same, while another offer of Firefox’s is out', 'connecting', true, false, 1_000, true],
  ['the same, without a path', 'disconnected', true, false, 1_000, false],
  ['5 s later', 'connected', false, false, 6_000, false],
  ['after that', 'connected', false, false, 6_001, true],
  ['after that, while an offer of Firefox’s is out', 'connecting', false, false, 6_001, false],
  ['after that, without a path', 'disconnected', false, false, 6_001, false],
] as const)('whether signals go by the channel after a restart: %s', (_when, state, isHeard, isOut, now, expected) => {
  expect(isSettled(state, isHeard, isOut, 1_000, now)).toBe(expected);
});

function described(ufrag: string): RTCSessionDescription {
  const description = { type: 'offer', sdp: `v=0\r\na=ice-ufrag:${ufrag}\r\n` } as const;
  return { ...description, toJSON: () => description };
}

/** Those of a connection that Firefox is restarting or not. */
function newRestarts(): { restarts: IceRestarts; show: (ufrag: string) => void } {
  const pc = {
    connectionState: 'connecting' as const,
    iceConnectionState: 'checking' as const,
    currentLocalDescription: described('one'),
    localDescription: described('one'),
  };
  const show = (ufrag: string): void => {
    pc.localDescription = described(ufrag);
  };
  return { restarts: new IceRestarts(pc), show };
}

test('a restart is at once, those that are asked for by then are one with it, and the next is 2 s later', () => {
  const { restarts } = newRestarts();
  const at: number[] = [];
  const start = performance.now();
  const schedule = (): void => restarts.schedule(() => at.push(performance.now() - start));
  schedule();
  schedule();
  vi.advanceTimersByTime(500);
  schedule();
  schedule();
  vi.advanceTimersByTime(60_000);
  expect(at).toEqual([0, 2_000]);
});

test('the other’s restart counts as ours do, and one that waits is given up with the connection', () => {
  const { restarts } = newRestarts();
  const restart = vi.fn();
  restarts.describe(described('two')); // the answer to it
  restarts.schedule(restart);
  vi.advanceTimersByTime(1_999);
  expect(restart).not.toHaveBeenCalled();
  restarts.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test('a restart is under way from its description on, until the other is heard and ours is answered', () => {
  const { restarts, show } = newRestarts();
  restarts.describe(described('one'));
  expect([restarts.isUnderWay, restarts.settle(true)]).toEqual([false, false]); // no restart
  restarts.describe(described('two'));
  show('two');
  expect([restarts.settle(true), restarts.isUnderWay]).toEqual([false, true]);
  show('one'); // which stands for the present one
  expect([restarts.settle(), restarts.isUnderWay]).toEqual([false, true]);
  expect([restarts.settle(true), restarts.isUnderWay, restarts.settle(true)]).toEqual([true, false, false]);
});
