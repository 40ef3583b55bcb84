import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { markSignal, Reassembly, signalFrames, toFrames, unmarkSignal } from './chunks.ts';
import { MAX_DATA_BYTES, MAX_HELD_BYTES } from './limits.ts';

const MAGIC_BYTES = [0xb9, 0x1f];
const MARK_BYTES = [0xab, 0x82, 0xcd, 0x81, 0x95, 0x12, 0xcb, 0xa1];

function ofLength(length: number, start: number[] = []): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let n = 0; n < length; n++) bytes[n] = start[n] ?? (n * 31 + (n >> 8)) & 0xff;
  return bytes;
}

/** What arrives of `frames`, in order. */
function arriving(reassembly: Reassembly, frames: Iterable<Uint8Array<ArrayBuffer>>): Uint8Array[] {
  return [...frames].flatMap((frame) => reassembly.take(frame)?.message ?? []);
}

test.each([
  [0, 1],
  [1, 1],
  [2, 1],
  [16_000, 1],
  [16_001, 2],
  [2 * 15_988, 2],
  [2 * 15_988 + 1, 3],
  [1_000_000, 63],
])('%i bytes go in %i frames and come whole', (length, count) => {
  const message = ofLength(length);
  const frames = [...toFrames(message, 7)];
  expect(frames).toHaveLength(count);
  for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(16_000);
  expect(arriving(new Reassembly(), frames)).toEqual([message]);
});

test('a frame is laid out as P2PCF does', () => {
  const [first, second] = toFrames(ofLength(15_990), 0x1234) ?? [];
  expect(first).toEqual(ofLength(15_990)); // short enough to go as it is
  expect(second).toBeUndefined();
  const [head, tail] = [...toFrames(ofLength(16_001), 0x1234)];
  expect([...(head?.subarray(0, 12) ?? [])]).toEqual([0xb9, 0x1f, 0x34, 0x12, 0, 0, 0, 0, 0x81, 0x3e, 0, 0]);
  expect([...(tail?.subarray(0, 12) ?? [])]).toEqual([0xb9, 0x1f, 0x34, 0x12, 1, 0, 1, 0, 0x81, 0x3e, 0, 0]);
  expect([head?.length, tail?.length]).toEqual([16_000, 28]); // 12 + 13, padded to a multiple of four
});

test('what looks like a frame or a signal arrives all the same', () => {
  fc.assert(
    fc.property(fc.constantFrom(MAGIC_BYTES, MARK_BYTES), fc.nat(40_000), (start, length) => {
      const message = ofLength(length, start);
      const reassembly = new Reassembly();
      const wholes = [...toFrames(message, 1)].flatMap((frame) => reassembly.take(frame) ?? []);
      expect(wholes.map((whole) => whole.message)).toEqual([message]);
      expect(wholes.map(unmarkSignal)).toEqual([undefined]);
    }),
  );
});

test('messages under way at once do not mix, whatever the order of their frames', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(60_000), { minLength: 2, maxLength: 5 }), fc.array(fc.nat(4)), (lengths, order) => {
      const messages = lengths.map((length, id) => ofLength(length, [0xb9, 0x1f, id]));
      const queues = messages.map((message, id) => [...toFrames(message, id)]);
      const interleaved = order.flatMap((n) => queues[n % queues.length]?.shift() ?? []);
      const arrived = arriving(new Reassembly(), [...interleaved, ...queues.flat()]);
      expect(arrived).toHaveLength(messages.length);
      for (const message of messages) expect(arrived).toContainEqual(message);
    }),
    { numRuns: 30 },
  );
});

test('a declared length of 4 GiB holds no memory, and the next message comes through', () => {
  const frame = [...toFrames(ofLength(20_000), 1)][0];
  if (!frame) throw new Error('no frame');
  const reassembly = new Reassembly();
  new DataView(frame.buffer).setUint32(8, 0xffff_ffff, true);
  const before = process.memoryUsage().arrayBuffers;
  expect(reassembly.take(frame)).toBeUndefined();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  expect(arriving(reassembly, toFrames(ofLength(20_000), 2))).toHaveLength(1);
});

test('any bytes at all are a message or nothing, never an exception', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (frames) => {
      const reassembly = new Reassembly();
      for (const bytes of frames) {
        const framed = new Uint8Array([...MAGIC_BYTES, ...bytes]);
        const whole = reassembly.take(framed);
        if (whole) unmarkSignal(whole);
      }
    }),
  );
});

test('a message cut off in the middle is forgotten when its id comes again', () => {
  const reassembly = new Reassembly();
  const [first] = toFrames(ofLength(50_000), 5);
  expect(arriving(reassembly, first ? [first] : [])).toEqual([]);
  expect(arriving(reassembly, toFrames(ofLength(40_000), 5))).toEqual([ofLength(40_000)]);
});

test('a signal comes out as it went in', () => {
  fc.assert(
    fc.property(fc.string(), (sdp) => {
      const marked = markSignal({ type: 'offer', sdp });
      expect(marked.length % 2).toBe(0);
      expect([...marked.subarray(0, 8)]).toEqual(MARK_BYTES);
      expect(unmarkSignal({ message: marked, wasFramed: false })).toEqual({ type: 'offer', sdp });
    }),
  );
});

test.each([10, 15_000, 17_000, 100_000])('a signal of %i bytes arrives as one', (length) => {
  const signal = { type: 'offer', sdp: 'x'.repeat(length) };
  const reassembly = new Reassembly();
  const wholes = [...signalFrames(signal, 1)].flatMap((frame) => reassembly.take(frame) ?? []);
  expect(wholes.map(unmarkSignal)).toEqual([signal]);
});

test('the parts of a message are told of as they come, those of a signal are not', () => {
  const told: number[][] = [];
  const reassembly = new Reassembly(undefined, (...bytes) => told.push(bytes));
  arriving(reassembly, [
    ...toFrames(ofLength(16_000), 1),
    ...signalFrames({ type: 'offer', sdp: 'x'.repeat(40_000) }, 2),
  ]);
  expect(told).toEqual([]);
  arriving(reassembly, toFrames(ofLength(40_000), 3));
  expect(told).toEqual([
    [15_988, 40_000],
    [31_976, 40_000],
    [40_000, 40_000],
  ]);
});

test.each([16_004, 262_144])('a frame of %i bytes is not held: it would count as what a frame carries', (length) => {
  const told: number[][] = [];
  const reassembly = new Reassembly(undefined, (...bytes) => told.push(bytes));
  const frame = new Uint8Array(length);
  const header = new DataView(frame.buffer);
  header.setUint16(0, 8121, true);
  header.setUint32(8, 1_000_000, true);
  expect(reassembly.take(frame)).toBeUndefined();
  expect(told).toEqual([]);
  expect(reassembly.take(frame.subarray(0, 16_000))).toBeUndefined();
  expect(told).toEqual([[15_988, 1_000_000]]);
  reassembly.clear();
});

/** Peers that do not finish what they send, and what is told of them. */
function unfinished(): {
  told: string[];
  peer: (name: string) => Reassembly;
  fill: (reassembly: Reassembly, id: number, count: number) => void;
} {
  const told: string[] = [];
  const peer = (name: string): Reassembly => new Reassembly((reason) => told.push(`${name}: ${reason}`));
  // All frames are the same bytes in memory: what is counted is what they would be.
  const frame = new Uint8Array(16_000);
  const header = new DataView(frame.buffer);
  header.setUint16(0, 8121, true);
  header.setUint32(8, MAX_DATA_BYTES, true);
  const fill = (reassembly: Reassembly, id: number, count: number): void => {
    header.setUint16(2, id, true);
    for (let index = 0; index < count; index++) {
      header.setUint16(4, index, true);
      expect(reassembly.take(frame)).toBeUndefined();
    }
  };
  return { told, peer, fill };
}

/** Frames with as much of a message each that a page holds at most. */
const most = Math.floor(MAX_HELD_BYTES / 15_988);

test('all peers together have a page hold 512 MiB of unfinished messages; then the peer with most of it is told, and let go', () => {
  const { told, peer, fill } = unfinished();
  const [alice, mallory, bob] = [peer('alice'), peer('mallory'), peer('bob')];
  fill(alice, 1, 5);
  for (let id = 0; id < 4; id++) fill(mallory, id, Math.floor((most - 10) / 4));
  expect(told).toEqual([]);
  fill(bob, 1, 20);
  expect(told).toEqual([expect.stringMatching(/^mallory: It has sent \d{9} bytes of messages that are not whole/)]);
  // What others are in the middle of is untouched, and there is room again.
  const rest = [...toFrames(ofLength(100_000), 2)];
  expect(arriving(alice, rest)).toEqual([ofLength(100_000)]);
  fill(bob, 2, 1000);
  expect(told).toHaveLength(1);
  for (const reassembly of [alice, mallory, bob]) reassembly.clear();
});

test('of peers that do not finish, silent peers go first, however much an honest peer is sending', () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const { told, peer, fill } = unfinished();
  const [eve, mallory, bob] = [peer('eve'), peer('mallory'), peer('bob')];
  const third = Math.floor(most / 3);
  for (const [n, stalled] of [eve, mallory].entries()) fill(stalled, 1, Math.floor(third * 0.7) + n);
  vi.advanceTimersByTime(31_000);
  const ofBob = Math.floor(MAX_DATA_BYTES / 15_988) - 1;
  fill(bob, 1, ofBob);
  fill(bob, 2, most - ofBob - 2 * Math.floor(third * 0.7));
  expect(told).toEqual([expect.stringMatching(/^mallory: /)]);
  for (const reassembly of [eve, mallory, bob]) reassembly.clear();
});
