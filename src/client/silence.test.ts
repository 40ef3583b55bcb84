import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Heard, Silence, type Traffic } from './silence.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Counts = [checks: number, heard: number][];

/** A peer whose browser counts so, one after the other, and how often it was restarted. */
function newPeer(counts: Counts | undefined = [[4, 3]]): Heard & { restarts: number; looks: number } {
  const peer = {
    connected: true,
    restarts: 0,
    looks: 0,
    negotiator: {
      current: {
        async traffic(): Promise<Traffic | undefined> {
          const [checks, heard] = counts[Math.min(peer.looks++, counts.length - 1)] ?? [];
          return checks === undefined || heard === undefined ? undefined : { checks, heard };
        },
      },
      restart: () => void peer.restarts++,
    },
  };
  return peer;
}

function listen(...peers: Heard[]): { silence: Silence; stops: () => number } {
  let stops = 0;
  const silence = new Silence(new Map(peers.map((peer, n) => [String(n), peer])), () => stops++);
  return { silence, stops: () => stops };
}

function hear(silence: Silence, peer: Heard, messages: number, everyMs: number): void {
  for (let n = 0; n < messages; n++) {
    silence.heard(peer);
    vi.advanceTimersByTime(everyMs);
  }
}

test.each([
  ['five messages are a stream', 5, 100, 1],
  ['however slow, if they come in time', 5, 1_400, 1],
  ['four are none', 4, 100, 0],
  ['nor are as many as one likes that come late', 20, 1_600, 0],
  ['of thousands, the end is told once', 5_000, 1, 1],
])('%s', async (_name, messages, everyMs, told) => {
  const peer = newPeer([]); // its browser counts nothing
  const { silence, stops } = listen(peer);
  hear(silence, peer, messages, everyMs);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([stops(), peer.restarts, vi.getTimerCount()]).toEqual([told, 0, 0]);
});

test('it is told 2.25 s after the last message, and once more after the next stream', () => {
  const peer = newPeer();
  const { silence, stops } = listen(peer);
  hear(silence, peer, 9, 100);
  silence.heard(peer);
  vi.advanceTimersByTime(2_249);
  expect(stops()).toBe(0);
  vi.advanceTimersByTime(1);
  expect(stops()).toBe(1);
  hear(silence, peer, 5, 100);
  vi.advanceTimersByTime(2_150);
  expect(stops()).toBe(2);
  hear(silence, peer, 5, 100);
  vi.advanceTimersByTime(2_000);
  silence.heard(peer); // in time
  vi.advanceTimersByTime(60_000);
  expect(stops()).toBe(2);
});

test('the silence of a peer that is gone means nothing', () => {
  const peer = newPeer();
  const { silence, stops } = listen(peer);
  hear(silence, peer, 9, 100);
  silence.forget(peer);
  vi.advanceTimersByTime(60_000);
  expect([stops(), vi.getTimerCount()]).toEqual([0, 0]);
});

test.each<[string, Counts, restarts: number]>([
  [
    'two checks more without an answer',
    [
      [4, 3],
      [4, 3],
      [5, 3],
      [6, 3],
    ],
    1,
  ],
  [
    'one, and then an answer',
    [
      [4, 3],
      [5, 3],
      [5, 4],
    ],
    0,
  ],
  [
    'two that are answered at once',
    [
      [4, 4],
      [6, 6],
    ],
    0,
  ],
  [
    'an answer to one from before',
    [
      [5, 3],
      [6, 4],
    ],
    0,
  ],
])('%s', async (_name, counts, restarts) => {
  const peer = newPeer(counts);
  const { silence } = listen(peer);
  hear(silence, peer, 5, 100);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(peer.restarts).toBe(restarts);
});

test.each<[string, (silence: Silence, peer: Heard & { connected: boolean }) => void]>([
  ['what is heard', (silence, peer) => silence.heard(peer)],
  ['the end of the connection', (_silence, peer) => Object.assign(peer, { connected: false })],
])('%s ends the doubt', async (_name, end) => {
  const peer = newPeer([
    [4, 3],
    [4, 3],
    [4, 3],
    [5, 3],
    [6, 3],
  ]);
  const { silence } = listen(peer);
  hear(silence, peer, 5, 100);
  await vi.advanceTimersByTimeAsync(1_950);
  end(silence, peer);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(peer.restarts).toBe(0);
});

test('if the peer heard last answers, no other is looked at; else ICE is restarted with each that does not', async () => {
  const lost: Counts = [
    [4, 3],
    [5, 3],
    [6, 3],
  ];
  for (const [last, others] of [
    [
      [
        [4, 3],
        [4, 4],
      ],
      [0, 0],
    ],
    [lost, [1, 0]],
  ] satisfies [Counts, number[]][]) {
    const [heard, deaf, well] = [
      newPeer(last),
      newPeer(lost),
      newPeer([
        [4, 3],
        [4, 4],
      ]),
    ];
    const { silence } = listen(heard, deaf, well);
    hear(silence, heard, 5, 100);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([deaf.restarts, well.restarts]).toEqual(others);
    if (others[0] === 0) expect(deaf.looks).toBe(0);
  }
});
