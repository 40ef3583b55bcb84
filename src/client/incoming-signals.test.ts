import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ParsedSignal, parseSignal } from '../protocol/signal.ts';
import { Incoming } from './incoming-signals.ts';
import { newStrangersAllowance } from './limits.ts';

// An allowance grows with the time that a busy machine takes.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function offerOf(mLines: number): ParsedSignal {
  const parsed = parseSignal({ type: 'offer', sdp: `v=0\r\n${'m=audio 0 RTP/AVP 0\r\n'.repeat(mLines)}` });
  if (!parsed) throw new Error('an offer is a signal');
  return parsed;
}

/** How many of these are taken before there is a fault, and which. */
function takenOf(offer: ParsedSignal, isByRoom: boolean): [number, string | undefined] {
  const incoming = new Incoming();
  for (let taken = 0; taken < 10_000; taken++) {
    const fault = incoming.fault(offer, isByRoom);
    if (fault) return [taken, fault];
  }
  return [10_000, undefined];
}

test.each([
  ['room', 1, 9, 'It sends too many signals.'],
  ['room', 20, 3, 'It sends too many signals.'],
  ['room', 95, 1, 'It sends too many signals.'],
  ['channel', 3, 666, 'Too much media is described.'],
  ['channel', 95, 21, 'Too much media is described.'],
  ['channel', 101, 0, 'The description has 101 m-lines; 100 is the most.'],
] as const)('by the %s, of descriptions with %i m-lines it takes %i at once', (way, mLines, most, reason) => {
  expect(takenOf(offerOf(mLines), way === 'room')).toEqual([most, reason]);
});

test('sixty strangers together describe four hundred m-lines, and whoever has a camera and a microphone goes on', () => {
  const strangers = newStrangersAllowance();
  const faults = Array.from({ length: 60 }, () => new Incoming().fault(offerOf(95), true, strangers));
  expect(faults.filter((fault) => fault === undefined)).toHaveLength(4);
  expect(new Set(faults.slice(4))).toEqual(new Set(['Too much media is described.']));
  expect(new Incoming().fault(offerOf(3), true, strangers)).toBeUndefined();
  expect(new Incoming().fault(offerOf(40), true)).toBeUndefined(); // a peer that is connected has its own allowance
});

test('a peer that adds forty tracks one by one, with an offer for each, is not told to describe them too often', () => {
  const incoming = new Incoming();
  const faults = Array.from({ length: 40 }, (_, n) => incoming.fault(offerOf(n + 1)));
  expect(faults.filter(Boolean)).toEqual([]);
});

test('of eight cameras that are turned on and off without a pause, descriptions wait, and none is too many', () => {
  const incoming = new Incoming();
  const eightCameras = offerOf(43); // as many as they count for
  const waits: number[] = [];
  for (let n = 0; n < 100; n++) {
    expect(incoming.fault(eightCameras)).toBeUndefined();
    waits.push(incoming.waitMs);
    vi.advanceTimersByTime(incoming.waitMs);
  }
  expect(waits.findIndex(Boolean)).toBe(23);
  expect(Math.max(...waits)).toBe(43 * 50);
});

test('a signal with a time to wait is worked off after that, and so is what comes behind it', async () => {
  const incoming = new Incoming();
  const order: string[] = [];
  const waiting = incoming.inTurn(() => void order.push('description'), true, 50);
  const behind = incoming.inTurn(() => void order.push('candidate'));
  await new Promise((resolve) => setTimeout(resolve));
  expect(order).toEqual([]);
  await Promise.all([waiting, behind]);
  expect(order).toEqual(['description', 'candidate']);
});

test('what waits for its time when the connection is given up is worked off at once, and leaves no timer', async () => {
  vi.useFakeTimers();
  const incoming = new Incoming();
  const work = vi.fn();
  const waiting = [40_000, 50_000].map((ms) => incoming.inTurn(work, true, ms));
  await vi.advanceTimersByTimeAsync(100);
  expect([vi.getTimerCount(), work.mock.calls.length]).toEqual([1, 0]);
  incoming.startOver();
  await Promise.all(waiting);
  expect([vi.getTimerCount(), work.mock.calls.length]).toEqual([0, 2]);
});

test('what makes no sense counts, too, and what is no description does not on the channel', () => {
  const incoming = new Incoming();
  for (let n = 0; n < 250; n++) expect(incoming.fault(undefined, true)).toBeUndefined();
  expect(incoming.fault(undefined, true)).toBe('It sends too many signals.');
  for (let n = 0; n < 2_000; n++) expect(incoming.fault(parseSignal({ renegotiate: true }))).toBeUndefined();
});

test('what is worked off waits for the gate, then for what came before, until it starts over', async () => {
  const incoming = new Incoming();
  const order: string[] = [];
  let open: (() => void) | undefined;
  incoming.hold(
    new Promise<void>((resolve) => {
      open = resolve;
    }),
  );
  const stuck = incoming.inTurn(() => {
    order.push('first');
    return new Promise<void>(() => undefined);
  });
  void stuck;
  await Promise.resolve();
  expect(order).toEqual([]);
  open?.();
  void incoming.inTurn(() => void order.push('behind what never ends'));
  await new Promise((resolve) => setTimeout(resolve));
  expect(order).toEqual(['first']);
  incoming.startOver();
  await incoming.inTurn(() => void order.push('after'));
  expect(order).toEqual(['first', 'after']);
});

test('before the gate opens the last description is kept, and of what follows it as much as may belong to it', async () => {
  const incoming = new Incoming();
  let open: (() => void) | undefined;
  incoming.hold(
    new Promise<void>((resolve) => {
      open = resolve;
    }),
  );
  const order: string[] = [];
  const say = (what: string, isDescription = false): void =>
    void incoming.inTurn(() => void order.push(what), isDescription);
  for (let n = 0; n < 1_000; n++) {
    say(`offer ${n}`, true);
    say(`candidate of ${n}`);
  }
  for (let n = 0; n < 1_000; n++) say('candidate');
  open?.();
  await new Promise((resolve) => setTimeout(resolve));
  expect(order).toEqual(['offer 999', 'candidate of 999', ...Array(99).fill('candidate')]);
  say('offer', true);
  say('candidate');
  say('another', true);
  await new Promise((resolve) => setTimeout(resolve));
  expect(order.slice(-3)).toEqual(['offer', 'candidate', 'another']);
});

/** So many candidates from the number on: in an offer with those credentials, or by themselves if there are none. */
function withCandidates(first: number, count: number, credentials?: string): ParsedSignal {
  const lines = Array.from({ length: count }, (_, n) => `candidate:${first + n} 1 udp 1 192.0.2.1 9 typ host`);
  const parsed = parseSignal(
    credentials === undefined
      ? { candidates: lines.map((candidate) => ({ candidate })) }
      : {
          type: 'offer',
          sdp: [
            'm=x',
            `a=ice-ufrag:${credentials}`,
            `a=ice-pwd:${credentials}`,
            ...lines.map((line) => `a=${line}`),
          ].join('\r\n'),
        },
  );
  if (!parsed) throw new Error('it is a signal');
  return parsed;
}

test.each([
  ['in descriptions', 'same', 390], // and 10 for the credentials
  ['by themselves', undefined, 50],
])('on the channel a peer has 500 candidates at once, and five a second; 500 wait: %s', (_how, credentials, each) => {
  const incoming = new Incoming();
  const waits: number[] = [];
  const faults = Array.from({ length: 40 }, (_, n) => {
    const fault = incoming.fault(withCandidates(n * each, each, credentials));
    waits.push(incoming.waitMs);
    return fault;
  });
  expect(waits.findIndex(Boolean)).toBe(Math.floor(500 / each));
  expect(faults.indexOf('It sends too many candidates.')).toBe(Math.floor(1_000 / each));
  vi.advanceTimersByTime(80_000);
  expect(incoming.fault(withCandidates(100_000, each, credentials))).toBeUndefined();
});

test.each(['\u{2028}', '\r'])('candidates with %j within a word, which Chromium takes, count each by itself', (odd) => {
  const named = (count: number): ParsedSignal => ({
    candidates: Array.from({ length: count }, (_, n) => ({ candidate: `candidate:${odd}${n} 1 udp 1 192.0.2.1 9` })),
  });
  expect(new Incoming().fault(named(1_000))).toBeUndefined();
  expect(new Incoming().fault(named(1_001))).toBe('It sends too many candidates.');
});

test('a peer restarts ICE fifty times at once; whoever repeats what it has said is heard without end', () => {
  const restarting = new Incoming();
  const faults = Array.from({ length: 52 }, (_, n) => restarting.fault(withCandidates(0, 0, `${n}`), n === 51));
  expect(faults.filter(Boolean)).toEqual(['It sends too many candidates.']);
  expect(faults.at(-1)).toBeDefined(); // by the room none waits
  const repeating = new Incoming();
  for (let n = 0; n < 900; n++) expect(repeating.fault(withCandidates(0, 100, 'same'))).toBeUndefined();
});

test('two whose networks change every few seconds, with thirty candidates each time, are not closed for it', () => {
  const incoming = new Incoming();
  const offer = (n: number, count: number): ParsedSignal => withCandidates(30 * n, count, `${n}`);
  let restarts = 0;
  for (let second = 0; second < 600; second += 4) {
    if (!incoming.fault(offer(restarts, 0), true)) {
      expect(incoming.fault(withCandidates(30 * restarts, 30), true)).toBeUndefined();
      restarts++;
    }
    expect(incoming.fault(offer(restarts - 1, 30))).toBeUndefined(); // a camera is turned on
    expect(incoming.waitMs).toBeLessThan(15_000);
    vi.advanceTimersByTime(4_000);
  }
  expect(restarts).toBeGreaterThan(80);
});

test('a candidate that comes by itself and then in a description counts once, unless it names other credentials', () => {
  const host = 'candidate:1 1 udp 1 192.0.2.1 9 typ host generation 0';
  const offer = parseSignal({ type: 'offer', sdp: 'm=x\r\na=ice-ufrag:aB+/\r\n' });
  const again = parseSignal({ type: 'offer', sdp: `m=x\r\na=ice-ufrag:aB+/\r\na=${host} network-id 1\r\n` });
  const alone = (ufrag: string): ParsedSignal | undefined =>
    parseSignal({ candidates: [{ candidate: `${host} ufrag ${ufrag} network-id 1` }] });
  const incoming = new Incoming();
  incoming.fault(offer);
  for (let n = 0; n < 1_100; n++)
    for (const signal of [alone('aB+/'), again])
      expect(incoming.fault(signal)).not.toBe('It sends too many candidates.');
  const faults = Array.from({ length: 1_001 }, (_, n) => incoming.fault(alone(`${n}`)));
  expect(faults).toContain('It sends too many candidates.');
});
