import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from './error.ts';
import { isReactNative, listed, parseLeave, parsePoll } from './poll.ts';

const NOW = 1_790_000_000_000;
const FINGERPRINT = `${'A'.repeat(43)}=`;
const D: readonly unknown[] = ['session', 'Alice', false, FINGERPRINT, NOW - 5000, ['203.0.113.7', '2001:db8::1']];
const POLL = { r: 'lobby', k: 'context', d: D, t: NOW, x: 120_000, p: [['bob', 'session', 'ufrag', 'pwd']] };

const faultOf = (body: unknown, parse: typeof parsePoll | typeof parseLeave = parsePoll): string => {
  try {
    parse(typeof body === 'string' ? body : JSON.stringify(body), NOW);
    return 'none';
  } catch (error) {
    if (error instanceof ProtocolError) return error.message.split(':')[0] ?? '';
    throw error;
  }
};

test('what p2pcf and p2pcf.rn send', () => {
  expect(parsePoll('{"r":"lobby","k":"context"}', NOW)).toEqual({ roomId: 'lobby', contextId: 'context' });
  const entry = {
    sessionId: 'session',
    clientId: 'Alice',
    isSymmetric: false,
    fingerprint: FINGERPRINT,
    startedAt: NOW - 5000,
    reflexiveIps: ['203.0.113.7', '2001:db8::1'],
  };
  const session = { entry, postedAt: NOW, keepMs: 120_000 };
  const listening = { roomId: 'lobby', contextId: 'context', session };
  expect(parsePoll(JSON.stringify({ ...POLL, p: undefined }), NOW)).toEqual(listening);
  const posting = { ...listening, session: { ...session, packages: [{ to: 'bob', json: JSON.stringify(POLL.p[0]) }] } };
  expect(parsePoll(JSON.stringify(POLL), NOW)).toEqual(posting);
  const leaving = { roomId: 'lobby', contextId: 'context', sessionId: 'session', deleteKey: 'key' };
  expect(parseLeave(JSON.stringify({ ...POLL, p: undefined, dk: 'key' }), NOW)).toEqual(leaving);
  expect(listed(entry, NOW)).toEqual([...D, NOW]);
});

test('fields nobody knows fall away', () => {
  expect(parsePoll('{"r":"lobby","k":"context","a":1,"t":0}', NOW)).toEqual({ roomId: 'lobby', contextId: 'context' });
});

test.each([1, null, '', 'x'.repeat(65), 'x'.repeat(60_000)])(
  'a first look from what is no context is from none',
  (k) => {
    expect(parsePoll(JSON.stringify({ r: 'lobby', k }), NOW)).toEqual({ roomId: 'lobby', contextId: '' });
  },
);

test('a posting is kept for half a minute at least and fifteen minutes at most', () => {
  for (const [x, keepMs] of [
    [1, 30_000],
    [30_001, 30_001],
    [900_000, 900_000],
    [900_001, 900_000],
    [86_400_000, 900_000],
  ]) {
    expect(parsePoll(JSON.stringify({ ...POLL, x }), NOW).session?.keepMs).toBe(keepMs);
  }
});

const withD = (index: number, value: unknown) => ({ ...POLL, d: D.with(index, value) });

test.each([
  ['', 'Bad JSON'],
  ['{', 'Bad JSON'],
  ['null', 'Bad room id'],
  ['[]', 'Bad room id'],
  ['"lobby"', 'Bad room id'],
  [{}, 'Bad room id'],
  [{ r: 'abc' }, 'Bad room id'],
  [{ r: 'x'.repeat(65) }, 'Bad room id'],
  [{ r: 'a room' }, 'Bad room id'],
  [{ r: 'lobby\n' }, 'Bad room id'],
  [{ r: ['lobby', 'lobby', 'lobby', 'lobby'] }, 'Bad room id'],
  [{ r: 'x'.repeat(64) }, 'none'],
  [{ r: '-_aZ' }, 'none'],
  [{ ...POLL, x: undefined }, 'Bad expiration'],
  [{ ...POLL, x: '120000' }, 'Bad expiration'],
  [{ ...POLL, x: 86_400_001 }, 'Bad expiration'],
  [{ ...POLL, x: -1 }, 'Bad expiration'],
  [{ ...POLL, t: undefined }, 'Bad timestamp'],
  [{ ...POLL, t: String(NOW) }, 'Bad timestamp'],
  [{ ...POLL, t: NOW + 600_001 }, 'Bad timestamp'],
  [{ ...POLL, t: NOW - 600_001 }, 'Bad timestamp'],
  [{ ...POLL, t: NOW - 600_000 }, 'none'],
  [{ ...POLL, k: undefined }, 'Bad context id'],
  [{ ...POLL, k: 'k'.repeat(65) }, 'Bad context id'],
  [{ ...POLL, k: '\ud800' }, 'Bad context id'],
  [{ ...POLL, d: D.slice(1) }, 'Bad data length'],
  [{ ...POLL, d: { length: 6 } }, 'Bad data length'],
  [withD(0, ''), 'Bad session id'],
  [withD(0, 'x'.repeat(65)), 'Bad session id'],
  [withD(0, '__broadcast__'), 'Bad session id'],
  [withD(0, 'a\nb'), 'Bad session id'],
  [withD(0, 7), 'Bad session id'],
  [withD(1, ''), 'Bad client id'],
  [withD(1, 'x'.repeat(65)), 'Bad client id'],
  [withD(2, 0), 'Bad is symmetric'],
  [withD(3, 'A'.repeat(43)), 'Bad dtls'],
  [withD(3, `${'A'.repeat(43)}-`), 'Bad base64 encoding'],
  [withD(4, 0), 'Bad joined at timestamp'],
  [withD(5, 'x'), 'Bad reflexive IPs'],
  [withD(5, ['router.local']), 'Bad reflexive IPs'],
  [withD(5, ['1.2.3.4', 7]), 'Bad reflexive IPs'],
  [withD(5, []), 'none'],
  [withD(5, ['::', 'fe80::1%eth0', '::ffff:203.0.113.7']), 'none'],
  [{ ...POLL, p: {} }, 'Bad packages'],
  [{ ...POLL, p: [null] }, 'Bad packages'],
  [{ ...POLL, p: [['bob', 'mallory']] }, 'Bad packages'],
  [{ ...POLL, p: [[7, 'session']] }, 'Bad packages'],
  [{ ...POLL, p: [] }, 'none'],
])('%j: %s', (body, fault) => {
  expect(faultOf(body)).toBe(fault);
});

const packedWith = (...content: unknown[]): unknown[] => ['bob', 'session', ...content];
const CANDIDATE = 'candidate:1 1 udp 1 192.0.2.1 5000 typ host';

test.each([
  [packedWith('ufrag', 'pwd', FINGERPRINT, 'theirs', 'theirs', NOW, [CANDIDATE]), 'none'],
  [packedWith('back\\slash n: \\n', 'pwd\\\\r'), 'none'], // a backslash, then a letter
  [packedWith('ufrag\r\na=setup:active', 'pwd'), 'Bad packages'],
  [packedWith('ufrag', 'pwd\n'), 'Bad packages'],
  [packedWith('ufrag', 'pwd', FINGERPRINT, '\rtheirs'), 'Bad packages'],
  [
    packedWith('ufrag', 'pwd', FINGERPRINT, 'theirs', 'theirs', NOW, [CANDIDATE, `${CANDIDATE}\r\na=x`]),
    'Bad packages',
  ],
  [packedWith('\\\n'), 'Bad packages'],
  [packedWith([[{ deep: { 'in a name\n': 1 } }]]), 'Bad packages'],
  [['bob\n', 'session'], 'Bad packages'],
])('a package %j from poller to poller: %s', (content, fault) => {
  expect(faultOf({ ...POLL, p: [packedWith(), content] })).toBe(fault);
});

test('p2pcf.rn sends whole descriptions, to its like alone', () => {
  const id = '0123456789abcdef0123456789abcdef';
  const offer = { type: 'offer', sdp: 'v=0\r\ns=-\r\n' };
  expect(faultOf({ ...withD(0, id), p: [['f'.repeat(32), id, 'offer', offer]] })).toBe('none');
});

test.each([
  [POLL, 'Missing delete key'],
  [{ ...POLL, dk: 7 }, 'Missing delete key'],
  [{ dk: 'key' }, 'Bad room id'],
  [{ r: 'lobby', dk: 'key' }, 'none'],
  [{ ...POLL, dk: 'key', x: 0 }, 'Bad expiration'],
])('leaving with %j: %s', (body, fault) => {
  expect(faultOf(body, parseLeave)).toBe(fault);
});

test('any text is a poll or a ProtocolError that names the fault', () => {
  const anything = fc.jsonValue();
  const d = fc.tuple(...D.map((good) => fc.oneof({ weight: 5, arbitrary: fc.constant(good) }, anything)));
  const body = fc.record(
    { r: anything, k: anything, d: fc.oneof(d, anything), t: anything, x: anything, p: anything },
    { requiredKeys: [] },
  );
  const bodies = body.map((fields) => JSON.stringify({ ...POLL, ...fields }));
  fc.assert(
    fc.property(fc.oneof(bodies, fc.json(), fc.string({ unit: 'binary' })), (text) => {
      for (const parse of [parsePoll, parseLeave]) expect(faultOf(text, parse)).toMatch(/^(none|(Bad|Missing) .+)$/);
    }),
  );
});

test('p2pcf.rn is told by its session ids', () => {
  expect(isReactNative(crypto.randomUUID().replaceAll('-', ''))).toBe(true);
  expect(isReactNative(crypto.randomUUID())).toBe(false);
  expect(isReactNative('A1b2C3d4E5f6G7h8I9j0')).toBe(false);
});
