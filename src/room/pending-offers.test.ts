import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS, packed, sessionOf, World } from '../../test/support/world.ts';
import type { Entry, Package } from '../protocol/poll.ts';
import { parseSignal } from '../protocol/signal.ts';
import { isShown, readSignal, withFewerCandidates } from './pending-offers.ts';
import { answerOf, candidatesSignal, listingOf } from './poller-view.ts';
import type { Listing, PendingOffer } from './room.ts';

const HASH = Array.from({ length: 32 }, (_, n) => (n * 8 + 7).toString(16).padStart(2, '0').toUpperCase()).join(':');
const FINGERPRINT = Buffer.from(HASH.replaceAll(':', ''), 'hex').toString('base64');
const HOST = 'candidate:1 1 udp 2113937151 192.0.2.1 51000 typ host generation 0 ufrag Wufr';
const SRFLX = 'candidate:2 1 udp 1677729535 198.51.100.1 51000 typ srflx raddr 192.0.2.1 rport 51000';

/** As Chromium makes it. */
const CHROMIUM = [
  'v=0',
  'o=- 3524170374128529712 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'a=extmap-allow-mixed',
  'a=msid-semantic: WMS',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=ice-ufrag:Wufr',
  'a=ice-pwd:Wpwd/Wpwd+Wpwd/Wpwd+Wpwd',
  'a=ice-options:trickle',
  `a=fingerprint:sha-256 ${HASH}`,
  'a=setup:actpass',
  'a=mid:0',
  'a=sctp-port:5000',
  'a=max-message-size:262144',
];

/** As Firefox makes it once it has gathered, where no candidates are signaled beside it. */
const FIREFOX = [
  'v=0',
  'o=mozilla...THIS_IS_SDPARTA-99.0 7233834271417143432 0 IN IP4 0.0.0.0',
  's=-',
  't=0 0',
  `a=fingerprint:sha-256 ${HASH.toLowerCase()}`,
  'a=group:BUNDLE data',
  'a=ice-options:trickle',
  'a=msid-semantic:WMS *',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  `a=${HOST}`,
  `a=${SRFLX}`,
  'a=end-of-candidates',
  'a=ice-pwd:Wpwd/Wpwd+Wpwd/Wpwd+Wpwd',
  'a=ice-ufrag:Wufr',
  'a=mid:data',
  'a=setup:actpass',
];

const sdpOf = (lines: string[]): string => `${lines.join('\r\n')}\r\n`;
const offer = (lines = CHROMIUM) => ({ type: 'offer', sdp: sdpOf(lines) });
const END = { candidate: '' };

const POLLER: Entry = {
  sessionId: 'P',
  clientId: 'MyUsername',
  isSymmetric: false,
  fingerprint: FINGERPRINT,
  startedAt: 1_790_000_000_000,
  reflexiveIps: ['203.0.113.1', '2001:db8::1'],
};

const W = { id: 'W', metadata: { client_id: 'our name' } };
let keys = 0;
const makeKey = (): string => String(++keys).padStart(32, 'k');

/** What comes of a signal of W's. */
function after(signal: unknown, known?: PendingOffer, now = 1000): PendingOffer {
  const reading = readSignal(signal, 'P', known, makeKey, now);
  if (!reading || !('keep' in reading)) throw new Error('nothing to keep');
  return reading.keep;
}

/** What stands in the one package of a listing. */
const contentOf = (listing: Listing | undefined): unknown[] => JSON.parse(listing?.packages[0]?.json ?? '[]');

test('an offer becomes an entry and a package of P2PCF’s', () => {
  const pending = after({ ...offer(), candidates: [{ candidate: HOST, sdpMid: '0' }, END], attempt: 'a1' });
  const { ufrag, pwd } = pending.pollerCredentials;
  expect(listingOf(W, pending)).toEqual({
    entry: {
      sessionId: 'W',
      clientId: 'our name',
      isSymmetric: false,
      fingerprint: FINGERPRINT,
      startedAt: 1,
      reflexiveIps: [],
    },
    postedAt: 1000,
    packages: [packed('P', 'W', 'Wufr', 'Wpwd/Wpwd+Wpwd/Wpwd+Wpwd', FINGERPRINT, ufrag, pwd, 1000, [HOST])],
  });
  // RFC 8445, section 5.3: at least 4 characters and 22.
  expect([ufrag, pwd]).toEqual([expect.stringMatching(/^[a-z0-9]{4,}$/), expect.stringMatching(/^[a-z0-9]{22,}$/)]);
});

test.each([
  [
    'in messages',
    {
      ...offer(FIREFOX.filter((line) => !/cand/.test(line))),
      candidates: [{ candidate: HOST }, { candidate: SRFLX }, END],
    },
  ],
  ['in the description', offer(FIREFOX)],
  ['in both', { ...offer(FIREFOX), candidates: [{ candidate: SRFLX }, { candidate: HOST }] }],
  ['within a description within the signal', { sdp: offer(FIREFOX) }],
])('candidates %s are shown once each', (_where, signal) => {
  const each = contentOf(listingOf(W, after(signal)));
  expect(each.slice(4, 5).concat(each.slice(8))).toEqual([FINGERPRINT, [HOST, SRFLX]]);
});

test('an offer is held back until its candidates have come, or a second has passed', () => {
  const first = after(offer());
  expect(isShown(first, false, 1999)).toBe(false);
  expect(isShown(first, false, 2000)).toBe(true);
  const more = after({ candidates: [{ candidate: HOST }] }, first, 1200);
  const most = after({ candidate: { candidate: SRFLX, sdpMid: '0' } }, more, 1300);
  expect(isShown(most, false, 1999)).toBe(false);
  expect(readSignal({ candidates: [{ candidate: null }] }, 'P', most, makeKey, 1300)).toBeUndefined();
  const all = after({ candidates: [END] }, most, 1400);
  expect(isShown(all, false, 1400)).toBe(true);
  expect(contentOf(listingOf(W, all))[8]).toEqual([HOST, SRFLX]);
  expect(all.offeredAt).toBe(1000);
  expect(readSignal({ candidates: [END] }, 'P', all, makeKey, 1500)).toBeUndefined();
});

test('a socket that could not be told that its offer was taken is not shown; once taken, it stays', () => {
  const pending = after({ ...offer(), candidates: [END] });
  expect([isShown(pending, true, 5000), isShown(pending, false, 5000)]).toEqual([false, true]);
  const taken = { ...pending, isTaken: true };
  expect([isShown(taken, true, 5000), isShown(taken, false, 5000)]).toEqual([true, true]);
});

test('the answer is one to that very offer, in terms that the poller will use', () => {
  const pending = after({ ...offer(FIREFOX), attempt: 'a1' });
  const signal = answerOf('W', pending, POLLER, [
    packed('W', 'P', null, null, null, null, null, 1, [HOST, 7]),
    packed('someone else', 'P', null, null, null, null, null, 1, [SRFLX]),
    packed('W', 'P'),
  ]);
  expect(signal).toMatchObject({
    type: 'answer',
    attempt: 'a1',
    candidates: [{ candidate: HOST, sdpMid: 'data', sdpMLineIndex: 0 }],
  });
  const lines = parseSignal(signal)?.description?.sdp.split('\r\n');
  for (const line of [
    'a=group:BUNDLE data',
    'a=mid:data',
    'a=setup:active',
    `a=ice-ufrag:${pending.pollerCredentials.ufrag}`,
    `a=ice-pwd:${pending.pollerCredentials.pwd}`,
    `a=fingerprint:sha-256 ${HASH}`,
    'a=candidate:0 1 udp 2 2001:db8::1 30000 typ srflx raddr 0.0.0.0 rport 0',
  ]) {
    expect(lines).toContain(line);
  }
  expect(answerOf('W', after(offer()), POLLER, [])).not.toHaveProperty('attempt');
});

test('an offer that is sent again changes nothing, or is answered again', () => {
  const pending = after({ ...offer(), candidates: [{ candidate: HOST }, END], attempt: 'a1' });
  expect(readSignal({ ...offer(), attempt: 'a1' }, 'P', pending, makeKey, 3000)).toBeUndefined();
  const taken = { ...pending, isTaken: true };
  expect(readSignal({ ...offer(), attempt: 'a1' }, 'P', taken, makeKey, 3000)).toEqual({ again: taken });
  expect(readSignal({ candidates: [{ candidate: SRFLX }], attempt: 'a1' }, 'P', taken, makeKey, 3000)).toBeUndefined();
});

test('another offer is shown as a new one', () => {
  const taken = { ...after({ ...offer(), candidates: [{ candidate: HOST }, END], attempt: 'a1' }), isTaken: true };
  const other = offer(CHROMIUM.map((line) => line.replace('Wufr', 'Xufr')));
  const next = after({ ...other, attempt: 'a2' }, taken, 1000);
  expect(next).toMatchObject({ offeredAt: 1001, isTaken: false, isComplete: false, candidates: [] });
  expect(next.pollerCredentials).not.toEqual(taken.pollerCredentials);
  expect(readSignal({ candidates: [{ candidate: HOST }], attempt: 'a1' }, 'P', next, makeKey, 1001)).toBeUndefined();
});

test.each<[name: string, signal: unknown]>([
  ['media', offer([...CHROMIUM, 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:1'])],
  ['media alone', offer(CHROMIUM.map((line) => line.replace(/m=application.*/, 'm=audio 9 UDP/TLS/RTP/SAVPF 111')))],
  ['no ICE credentials', offer(CHROMIUM.filter((line) => !line.startsWith('a=ice')))],
  ['another hash', offer(CHROMIUM.map((line) => line.replace('sha-256', 'sha-384')))],
  ['a hash of another length', offer(CHROMIUM.map((line) => line.replace(HASH, HASH.slice(3))))],
  ['no hash', offer(CHROMIUM.map((line) => line.replace(HASH, 'none')))],
  ['more than an attachment would hold', { ...offer(), attempt: 'x'.repeat(600) }],
  ['nothing', { type: 'offer', sdp: '' }],
])('an offer with %s is refused', (_name, signal) => {
  expect(() => readSignal(signal, 'P', undefined, makeKey, 0)).toThrow('data channel and nothing else');
});

test.each<unknown>([1, null, 'offer', {}, { type: 'answer', sdp: 'v=0' }, { restart: true }, { candidates: [END] }])(
  'what no poller could use is dropped: %j',
  (signal) => {
    expect(readSignal(signal, 'P', undefined, makeKey, 0)).toBeUndefined();
  },
);

test('no more candidates than a package can do with', () => {
  const candidates = Array.from({ length: 500 }, (_, n) => ({ candidate: `candidate:${n}` }));
  expect(after({ ...offer(), candidates }).candidates).toHaveLength(64);
  expect(after({ ...offer(), candidates: [{ candidate: `candidate:${'x'.repeat(600)}` }] }).candidates).toEqual([]);
  const lines = candidates.map(({ candidate }) => `a=${candidate}`);
  expect(after(offer([...CHROMIUM, ...lines])).candidates).toHaveLength(64);
});

test('in too little space the candidates of what was taken go first, then every other one where there are most', () => {
  const offerTo = (pollerId: string, count: number, isTaken = false): PendingOffer => ({
    ...after(offer()),
    pollerId,
    candidates: Array.from({ length: count }, (_, n) => `candidate:${n}`),
    isTaken,
  });
  const steps: number[][] = [];
  let offers: PendingOffer[] | undefined = [offerTo('P', 3, true), offerTo('Q', 5), offerTo('R', 2)];
  for (; offers; offers = withFewerCandidates(offers)) steps.push(offers.map(({ candidates }) => candidates.length));
  expect(steps).toEqual([
    [3, 5, 2],
    [0, 5, 2],
    [0, 3, 2],
    [0, 2, 2],
    [0, 1, 2],
    [0, 1, 1],
    [0, 0, 1],
    [0, 0, 0],
  ]);
  const [left] = withFewerCandidates([offerTo('Q', 5)]) ?? [];
  expect(left?.candidates).toEqual(['candidate:0', 'candidate:2', 'candidate:4']);
});

test('what the poller posts of its own candidates goes to the socket they are for', () => {
  const pending = after({ ...offer(), attempt: 'a1' });
  const packages = [packed('W', 'P', null, null, null, null, null, 1, [HOST, SRFLX])];
  expect(candidatesSignal('W', pending, packages)).toEqual({
    candidates: [SRFLX, HOST].map((candidate) => ({ candidate, sdpMid: '0', sdpMLineIndex: 0 })),
    attempt: 'a1',
  });
  expect(candidatesSignal('W', pending, [packed('X', 'P', null, null, null, null, null, 1, [HOST])])).toBeUndefined();
});

test('fingerprints survive the way from hexadecimal to base64 and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hash = Buffer.from(bytes)
        .toString('hex')
        .toUpperCase()
        .replace(/..(?=.)/g, '$&:');
      const pending = after(offer(CHROMIUM.map((line) => line.replace(HASH, hash))));
      const base64 = Buffer.from(bytes).toString('base64');
      expect(pending.offer.fingerprint).toBe(base64);
      const { description } = parseSignal(answerOf('W', pending, { ...POLLER, fingerprint: base64 }, [])) ?? {};
      expect(description?.sdp).toContain(`a=fingerprint:sha-256 ${hash}\r\n`);
    }),
  );
});

/** A candidate that would be two lines, or end its string, where it is put into an SDP. */
const ODD = [
  'candidate:1\r\na=setup:active',
  'candidate:1\na=x',
  'candidate:1\u2028',
  'candidate:1 "',
  'candidate:1\0',
];

test('no candidate with a line break goes to a poller, nor comes from it', () => {
  const candidates = [...ODD, HOST].map((candidate) => ({ candidate }));
  expect(after({ ...offer(), candidates }).candidates).toEqual([HOST]);
  const posted = packed('W', 'P', null, null, null, null, null, 1, [...ODD, 'a=x', { candidate: HOST }, [HOST], HOST]);
  expect(answerOf('W', after(offer()), POLLER, [posted])).toMatchObject({ candidates: [{ candidate: HOST }] });
});

test.each(['ice-ufrag', 'ice-pwd', 'mid'])('a control character in %s of an offer is refused', (name) => {
  const lines = CHROMIUM.map((line) => line.replace(new RegExp(`^a=${name}:.*`), `a=${name}:a\u0001b`));
  expect(() => after(offer(lines))).toThrow('data channel and nothing else');
});

test('eight candidates of each address family are taken from a poller, however many it posts', () => {
  const lines = Array.from(
    { length: 4000 },
    (_, n) => `candidate:${n} 1 udp 1 ${n % 2 ? '192.0.2.1' : '2001:db8::1'} 9`,
  );
  const signal = candidatesSignal('W', after(offer()), [packed('W', 'P', 0, 0, 0, 0, 0, 1, lines)]);
  const listed = parseSignal(signal)?.candidates.map(({ candidate = '' }) => candidate.split(' ')[4]);
  expect(listed?.sort()).toEqual([...Array(8).fill('192.0.2.1'), ...Array(8).fill('2001:db8::1')]);
});

test('a poller with many networks is reached by its relay and past its NAT, whose candidates come late', () => {
  const host = ['udp 9', 'udp 9', 'udp 9', 'tcp 9', 'tcp 9', 'tcp 9'].map((each) => `${each} typ host`);
  const types = [...host, ...Array(3).fill('udp 9 typ srflx'), ...Array(3).fill('udp 9 typ relay')];
  const lines = types.map((type, n) => `candidate:${n} 1 ${type.replace(' ', ' 1 192.0.2.1 ')} raddr 10.0.0.1 rport 9`);
  const signal = candidatesSignal('W', after(offer()), [packed('W', 'P', 0, 0, 0, 0, 0, 1, lines)]);
  const taken = parseSignal(signal)?.candidates.map(({ candidate = '' }) => candidate.split(' ')[7]);
  expect(taken).toEqual(['srflx', 'srflx', 'srflx', 'relay', 'relay', 'relay', 'host', 'host']);
});

test('the candidates of one offer have 4 KiB at most', () => {
  const candidates = Array.from({ length: 64 }, (_, n) => ({ candidate: `candidate:${n} ${'x'.repeat(400)}` }));
  expect(after({ ...offer(), candidates }).candidates.join('').length).toBeLessThanOrEqual(4096);
});

test('a label is as long as P2PCF takes it', () => {
  const listing = listingOf({ id: 'W', metadata: { client_id: 'x'.repeat(2000) } }, after(offer()));
  expect(listing?.entry.clientId).toBe('x'.repeat(64));
});

test('thirty-two offers are kept for one socket, the latest', () => {
  const world = new World();
  const sue = world.join('sue');
  for (let n = 0; n < 40; n++) {
    const session = sessionOf(`poller ${n}`, world.now);
    world.answer({ roomId: 'lobby', contextId: `c${n}`, session }, { ...LIMITS, maxPeers: 100 });
    world.receive(
      sue,
      { type: 'signal', targetId: `poller ${n}`, signal: offer() },
      { ...LIMITS, maxMessageBytes: 9999 },
    );
  }
  expect(sue.offers.map(({ pollerId }) => pollerId)).toEqual(Array.from({ length: 32 }, (_, n) => `poller ${n + 8}`));
});

test('pollers make a room owe members that do not read no more than other members may; the rest is answered later', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 100, maxMessageBytes: 64 * 1024, messagesPerSecond: 50 };
  const members = Array.from({ length: 40 }, (_, n) => world.join(`W${n}`, {}, limits));
  const candidates = Array.from({ length: 16 }, (_, n) => `candidate:${n} 1 udp 1 ${n % 2 ? '::1' : '192.0.2.1'} `);
  const poll = (n: number, packages?: Package[]): void => {
    const { packages: _none, ...session } = sessionOf(`P${n}`, world.now);
    const posted = { ...session, ...(packages && { packages }) };
    expect(world.answer({ roomId: 'lobby', contextId: `c${n}`, session: posted }, limits).status).toBe(200);
  };
  for (let n = 0; n < 10; n++)
    poll(
      n,
      members.map(({ id }) => packed(id, `P${n}`, 0, 0, 0, 0, 0, 1, candidates)),
    );
  const mid = `a=mid:${'"'.repeat(256)}`;
  const offerAnew = (n: number, turn: number): void => {
    const sdp = CHROMIUM.map((line) => (line.startsWith('a=mid') ? mid : line.replace('Wufr', `ufr${turn}`)));
    const signal = offer([...sdp, 'a=end-of-candidates']);
    for (const member of members) world.receive(member, { type: 'signal', targetId: `P${n}`, signal }, limits);
  };
  const owed = (): number => members.reduce((sum, { heard }) => sum + JSON.stringify(heard).length, 0);
  for (let turn = 0; turn < 50; turn++) {
    for (let n = 0; n < 10; n++) {
      offerAnew(n, turn);
      poll(n);
    }
    for (const member of members) member.outbox.spent = 0;
  }
  expect(owed()).toBeGreaterThan(20 * 1024 * 1024);
  expect(owed()).toBeLessThan(30 * 1024 * 1024);
  world.pass(60);
  const before = owed();
  poll(0);
  expect(owed() - before).toBeGreaterThan(40 * 8 * 1024);
});
