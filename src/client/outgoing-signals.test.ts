import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Signal } from '../protocol/signal.ts';
import { Outgoing } from './outgoing-signals.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** To a peer that never connects, and what has been sent. */
function newOutgoing(): { outgoing: Outgoing; sent: Signal[] } {
  const sent: Signal[] = [];
  const outgoing = new Outgoing({
    canSend: () => true,
    isConnected: () => false,
    needsAllAtOnce: () => false,
    needsRepeats: () => true,
    hasFailed: () => false,
    send: (signal) => sent.push(signal),
  });
  return { outgoing, sent };
}

test('an offer is repeated until it has led to a connection, an answer only to an offer that comes again', () => {
  const { outgoing, sent } = newOutgoing();
  outgoing.describe({ type: 'answer', sdp: 'v=0' });
  outgoing.schedule();
  outgoing.repeat();
  vi.advanceTimersByTime(60_000);
  expect(sent).toHaveLength(1);
  outgoing.sendAgain('answer');
  expect(sent).toHaveLength(2);
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  vi.advanceTimersByTime(60_000);
  expect(sent.length).toBeGreaterThan(4);
  outgoing.stop();
});

test('by the channel an offer is not repeated every few seconds, but when whoever sends it says so', () => {
  let sent = 0;
  const outgoing: Outgoing = new Outgoing({
    canSend: () => true,
    isConnected: () => true,
    needsAllAtOnce: () => false,
    needsRepeats: () => true,
    hasFailed: () => false,
    send() {
      sent++;
      outgoing.repeat(20_000);
    },
  });
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  vi.advanceTimersByTime(61_000);
  expect(sent).toBe(4);
  outgoing.stop();
});

test('a peer that was stopped while it waited sends, and repeats, when it goes on', () => {
  const { outgoing, sent } = newOutgoing();
  outgoing.schedule();
  outgoing.repeat();
  outgoing.stop();
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  outgoing.repeat();
  vi.advanceTimersByTime(100);
  expect(sent).toHaveLength(1);
  vi.advanceTimersByTime(2_000);
  expect(sent).toHaveLength(2);
  outgoing.stop();
  vi.advanceTimersByTime(60_000);
  expect(sent).toHaveLength(2);
});

test('candidates that are there before the first description, as in Deno with node-datachannel, go with it', () => {
  const { outgoing, sent } = newOutgoing();
  const init = { candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host', sdpMid: '0' };
  outgoing.addCandidate(Object({ toJSON: () => init }));
  vi.advanceTimersByTime(100);
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  vi.advanceTimersByTime(100);
  outgoing.sendAgain();
  const whole = { type: 'offer', sdp: 'v=0', candidates: [init] };
  expect(sent).toEqual([whole, whole]);
  outgoing.stop();
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
  outgoing.describe({ type: 'answer', sdp: 'v=0' });
  outgoing.take();
  outgoing.addCandidate(null);
  vi.advanceTimersByTime(10);
  expect(sent).toEqual([]);
  outgoing.describe({ type: 'offer', sdp: 'v=0' });
  outgoing.schedule();
  vi.advanceTimersByTime(10);
  expect(sent).toEqual([{ type: 'offer', sdp: 'v=0', candidates: [] }]);
});
