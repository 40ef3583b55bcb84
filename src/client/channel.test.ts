/** What cannot be had of a real channel for sure: that its other end takes nothing. The rest is in test/browser. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Channel, toMessage } from './channel.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const nothing = (): void => undefined;

/**
 * A channel that has taken all it can; `drained` is called every ten seconds and says how many bytes the other took.
 */
function fullChannel(
  drained: () => number,
  isReached: () => boolean | undefined,
): { channel: Channel; exceeded: string[] } {
  const rtc = { readyState: 'open', bufferedAmount: 1_048_576, onbufferedamountlow: null, send: () => undefined };
  setInterval(() => {
    rtc.bufferedAmount -= drained();
  }, 9_999);
  const exceeded: string[] = [];
  const channel = new Channel(Object(rtc), {
    peerId: () => 'eve',
    opened: nothing,
    closed: nothing,
    isReached,
    message: nothing,
    progress: nothing,
    signal: nothing,
    exceeded: (reason) => {
      exceeded.push(reason);
      channel.release();
    },
  });
  return { channel, exceeded };
}

test('a channel that says twice that it is open, as node-datachannel may, has opened once', () => {
  const rtc = { readyState: 'connecting', onopen: (): void => undefined };
  const opened = vi.fn();
  new Channel(Object(rtc), {
    peerId: () => 'bob',
    opened,
    closed: nothing,
    isReached: () => true,
    message: nothing,
    progress: nothing,
    signal: nothing,
    exceeded: nothing,
  });
  rtc.onopen?.();
  rtc.onopen?.();
  expect(opened).toHaveBeenCalledTimes(1);
});

test.each([
  ['it is connected', true],
  ['ICE has lost it, and the room can be heard,', false],
])(
  'a peer that takes nothing for 90 s while %s is told of, and what waits for it is rejected',
  async (_what, isReached) => {
    const { channel, exceeded } = fullChannel(
      () => 0,
      () => isReached,
    );
    const sent = channel.send(new Uint8Array(1000)).catch(String);
    await vi.advanceTimersByTimeAsync(89_000);
    expect(exceeded).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(exceeded).toEqual(['It does not read what it is sent.']);
    expect(await sent).toContain('not connected');
  },
);

test.each<[string, drained: () => number, isReached: () => boolean | undefined]>([
  ['takes a byte now and then', () => 1, () => true],
  ['cannot be reached by us, who may have no network,', () => 0, () => undefined],
  [
    'we cannot reach for a moment every minute, perhaps for want of a network,',
    () => 0,
    () => performance.now() % 60_000 > 10_000 || undefined,
  ],
  ['cannot be reached for a moment every minute', () => 0, () => performance.now() % 60_000 > 10_000],
])('a peer that %s is waited for', async (_what, drained, isReached) => {
  const { channel, exceeded } = fullChannel(drained, isReached);
  const sent = channel.send(new Uint8Array(1_000_000)).catch(String);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(exceeded).toEqual([]);
  channel.release();
  expect(await sent).toContain('not connected');
});

test('where nothing says that the buffer is empty, as in @roamhq/wrtc and werift, a message does not wait long for that', async () => {
  const rtc = { readyState: 'open', bufferedAmount: 1_048_576, send: () => undefined };
  const listener = { opened: () => undefined, isReached: () => true };
  const sent = vi.fn();
  void new Channel(Object(rtc), Object(listener)).send(new Uint8Array(1000)).then(sent);
  await vi.advanceTimersByTimeAsync(100);
  rtc.bufferedAmount = 0;
  await vi.advanceTimersByTimeAsync(100);
  expect(sent).toHaveBeenCalled();
});

test('what there is room for is in the channel when send returns', () => {
  const frames: number[] = [];
  const rtc = { readyState: 'open', bufferedAmount: 0, send: ({ length }: Uint8Array) => frames.push(length) };
  const channel = new Channel(Object(rtc), Object({ opened: () => undefined }));
  for (const length of [1, 20_000, 2]) void channel.send(new Uint8Array(length));
  expect(frames).toEqual([1, 16_000, 4024, 2]);
});

test('what is sent as a message makes progress comes after that, and before what is sent later', async () => {
  const frames: number[] = [];
  const rtc = {
    readyState: 'open',
    bufferedAmount: 0,
    onbufferedamountlow: () => undefined,
    send: ({ length }: Uint8Array) => {
      frames.push(length);
      rtc.bufferedAmount += length;
    },
  };
  const channel = new Channel(Object(rtc), Object({ opened: () => undefined, isReached: () => true }));
  const sends: Promise<void>[] = [];
  const long = channel.send(new Uint8Array(1_600_000), () => {
    if (sends.length === 0) sends.push(channel.send(Uint8Array.of(1)), channel.send(new Uint8Array(700_000)));
  });
  sends.push(long, channel.send(Uint8Array.of(1, 2)));
  for (let n = 0; n < 3; n++) {
    await vi.advanceTimersByTimeAsync(1);
    rtc.bufferedAmount = 0;
    rtc.onbufferedamountlow();
  }
  expect(frames.slice(-46)).toEqual([1, ...Array(43).fill(16_000), 12_528, 2]);
  await Promise.all(sends);
});

test.each(['Blob', 'File'])('a %s of another frame, which has classes of its own, is sent as it is', (name) => {
  const ofAnotherFrame = { [Symbol.toStringTag]: name };
  expect(Reflect.apply(toMessage, undefined, [ofAnotherFrame])).toBe(ofAnotherFrame);
});
