import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import * as close from '../protocol/close.ts';
import { entryFor, joinEntry, log, pollEntry } from './log.ts';

const LOG_KEY = 'a secret of at least thirty-two bytes';
let now = 1_000_000_000;
let lines: unknown[];

beforeEach(() => {
  now += 1_000_000; // what was written before is forgotten
  lines = [];
  vi.useFakeTimers({ toFake: ['Date'], now });
  vi.spyOn(console, 'log').mockImplementation((line) => lines.push(JSON.parse(String(line))));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test('a room is named by an HMAC under the key, and not at all without one', async () => {
  const entry = { event: 'flood', code: 4008, reason: 'Too many messages' } as const;
  await log(entry, 'lobby', { LOG_KEY });
  await log(entry, 'lobby', { LOG_KEY: '' });
  await log(undefined, 'lobby', { LOG_KEY });
  const room = createHmac('sha256', LOG_KEY).update('lobby').digest('hex').slice(0, 16);
  expect(lines).toEqual([{ ...entry, room }, entry]);
});

test('a flood of events is not one of lines, and is counted', async () => {
  for (let n = 0; n < 1000; n++) await log({ event: 'refused' }, 'lobby', {});
  expect(lines).toHaveLength(100);
  vi.setSystemTime(now + 2_000);
  await log({ event: 'full' }, 'lobby', {});
  expect(lines.at(-1)).toEqual({ event: 'full', dropped: 900 });
});

test('Analytics Engine gets it, where it is bound', async () => {
  const writeDataPoint = vi.fn();
  await log({ event: 'refused', code: 4401, reason: 'A token is needed' }, 'lobby', { EVENTS: { writeDataPoint } });
  expect(writeDataPoint).toHaveBeenCalledExactlyOnceWith({
    indexes: [''],
    blobs: ['refused', 'A token is needed'],
    doubles: [1, 4401],
  });
});

test.each([
  [close.fullAt(8), false, 'full'],
  [close.FULL, false, 'full'],
  [close.unauthorized('A token is needed'), false, 'refused'],
  [close.forbidden('Not from there'), false, 'refused'],
  [close.REMOVED, false, 'refused'],
  [close.TAKEN, false, 'refused'],
  [close.FLOOD, true, 'flood'],
  [close.REMOVED, true, 'removed'],
  [close.EXPIRED, true, 'closed'],
  [close.SILENT, true, 'closed'],
  [close.TOO_LARGE, true, 'closed'],
  [close.DUPLICATE, true, undefined],
  [close.RESUMED, true, undefined],
])('%j, of a member: %s, is logged as %s', (frame, isMember, event) => {
  expect(entryFor(frame, isMember)).toEqual(event && { event, ...frame });
});

test('of joins one in a hundred, of polls those that are refused', () => {
  const joins = Array.from({ length: 1000 }, (_, n) => joinEntry(n / 1000)).filter((entry) => entry !== undefined);
  expect(joins).toEqual(Array(10).fill({ event: 'joined', sampled: 100 }));
  for (const [status, event] of [
    [200, undefined],
    [404, undefined],
    [403, 'refused'],
    [409, 'refused'],
    [429, 'flood'],
    [503, 'full'],
  ] as const)
    expect(pollEntry({ status, body: 'A sentence.' })?.event).toBe(event);
});
