import { expect, test } from 'vitest';
import { isRestartDue, isSettled, restartDelay, stepForRestart } from './ice-restart.ts';

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
