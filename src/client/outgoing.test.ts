import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Signal } from '../protocol/signal.ts';
import { Outgoing } from './outgoing.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a peer that was stopped while it waited sends, and repeats, when it goes on', () => {
  const sent: Signal[] = [];
  const outgoing = new Outgoing({
    canSend: () => true,
    isConnected: () => false,
    needsAllAtOnce: () => false,
    needsRepeats: () => true,
    hasFailed: () => false,
    send: (signal) => sent.push(signal),
  });
  outgoing.schedule();
  outgoing.repeat();
  outgoing.stop();
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  outgoing.repeat(false);
  vi.advanceTimersByTime(100);
  expect(sent).toHaveLength(1);
  vi.advanceTimersByTime(2_000);
  expect(sent).toHaveLength(2);
  outgoing.stop();
  vi.advanceTimersByTime(60_000);
  expect(sent).toHaveLength(2);
});

test('an offer does not wait behind the end of the candidates before it', () => {
  const sent: Signal[] = [];
  const outgoing = new Outgoing({
    canSend: () => true,
    isConnected: () => true,
    needsAllAtOnce: () => false,
    needsRepeats: () => false,
    hasFailed: () => false,
    send: (signal) => sent.push(signal),
  });
  outgoing.addCandidate(null);
  vi.advanceTimersByTime(10);
  expect(sent).toEqual([]);
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  vi.advanceTimersByTime(10);
  expect(sent).toEqual([{ type: 'offer', sdp: 'v=0', candidates: [] }]);
});
