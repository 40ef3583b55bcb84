/** The largest thing that a room ever sends: each kind of message at its worst, beside its bound in PROTOCOL.md. */
import { expect, test } from 'vitest';
import { LIMITS, sessionOf, type TestMember, World } from '../../test/support/world.ts';
import { MAX_JOIN_METADATA_BYTES } from '../protocol/join.ts';
import { MAX_OFFER_BYTES } from '../protocol/messages.ts';
import { utf8Length } from '../protocol/utf8.ts';

const KIB = 1024;
const limits = { ...LIMITS, maxPeers: 128, maxMessageBytes: 64 * KIB };
const bytesOf = (message: unknown): number => utf8Length(JSON.stringify(message));

/** The id number `n` that is longest in JSON. */
const longestId = (n: number, length = 128): string => String(n).padStart(length, '"');

/** Number `n` of the subjects of tokens that are longest in JSON: 256 bytes there (src/worker/tokens.ts). */
const longestSubject = (n: number): string => `${String(n).padStart(4)}${'"'.repeat(126)}`;

/** A poller with the longest entry there is, and what it posts for `to`. */
function post(world: World, n: number, to = '', length = 0): void {
  const session = sessionOf(longestId(n, 64), world.now);
  const entry = {
    ...session.entry,
    clientId: '\u0001'.repeat(64),
    startedAt: -Number.MAX_VALUE,
    reflexiveIps: Array<string>(16).fill(`${'a:'.repeat(22)}a%${'x'.repeat(32)}`),
  };
  const packages = length > 0 ? [{ to, json: JSON.stringify([to, entry.sessionId, 'x'.repeat(length)]) }] : [];
  const request = { roomId: 'lobby', contextId: `context ${n}`, session: { ...session, entry, packages } };
  expect(world.answer(request, limits, { sub: longestSubject(n) }).status).toBe(200);
}

test('peers: 528 KiB, and 2 KiB for each that there may be', () => {
  const world = new World();
  for (let n = 0; n < 63; n++) post(world, n);
  for (let n = 0; n < 64; n++) {
    const claims = { sub: longestSubject(n) };
    const member = world.join(longestId(n), { metadata: 'x'.repeat(4 * KIB - 2), claims }, limits);
    if (n < 40) world.receive(member, { type: 'ahead', offer: 'x'.repeat(MAX_OFFER_BYTES - 2) }, limits);
  }
  const [peers] = world.join(longestId(64), { wantsOffers: true, token: 't'.repeat(36) }, limits).heard;
  expect(peers).toMatchObject({ type: 'peers', peers: { length: 127 }, polling: { length: 63 } });
  expect(bytesOf(peers)).toBeLessThanOrEqual((528 + 2 * 128) * KIB);
  expect(bytesOf(peers)).toBeGreaterThan(656 * KIB);
});

test('the reply to a poll: 512 KiB, and 2 KiB for each that there may be', () => {
  const world = new World();
  for (let n = 0; n < 127; n++) post(world, n, 'bob', n < 20 ? 64 * KIB - 300 : 0);
  const { postedAt, keepMs, entry } = sessionOf('bob', world.now);
  const { body } = world.answer({ roomId: 'lobby', contextId: 'bob', session: { postedAt, keepMs, entry } }, limits);
  expect(JSON.parse(body).ps).toHaveLength(127);
  expect(utf8Length(body)).toBeLessThanOrEqual((512 + 2 * 128) * KIB);
  expect(utf8Length(body)).toBeGreaterThan(640 * KIB);
});

test('peer_join: 4 KiB; peer_leave: 1 KiB', () => {
  const world = new World();
  const bob = world.join('bob', {}, limits);
  const claims = { sub: longestSubject(1) };
  const alice = world.join(longestId(1), { metadata: 'x'.repeat(MAX_JOIN_METADATA_BYTES - 2), claims }, limits);
  world.leave(alice);
  expect(bob.heard).toMatchObject([{ type: 'peers' }, { type: 'peer_join' }, { type: 'peer_leave' }]);
  const [, join, leave] = bob.heard.map(bytesOf);
  expect(join).toBeLessThanOrEqual(4 * KIB);
  expect(leave).toBeLessThanOrEqual(KIB);
});

test.each([
  ['signal', (fill: string) => ({ type: 'signal', targetId: 'bob', signal: fill }), 'signal'],
  ['broadcast', (fill: string) => ({ type: 'broadcast', data: fill }), 'broadcast'],
  ['error', (fill: string) => ({ type: 'signal', targetId: fill, signal: 0 }), 'error'],
])('%s: MAX_MESSAGE_BYTES and 1 KiB', (_name, messageWith, type) => {
  const world = new World();
  const sender = world.join(longestId(1), {}, limits);
  const bob = world.join('bob', {}, limits);
  const room = limits.maxMessageBytes - bytesOf(messageWith(''));
  const message = messageWith('"'.repeat(room / 2));
  expect(bytesOf(message)).toBeGreaterThanOrEqual(limits.maxMessageBytes - 1);
  world.receive(sender, message, limits);
  const heard = [sender, bob].flatMap((member: TestMember) => member.heard).filter((each) => each.type === type);
  expect(heard).toHaveLength(1);
  expect(bytesOf(heard[0])).toBeLessThanOrEqual(limits.maxMessageBytes + KIB);
});

test('the answer of a poller: 24 KiB', () => {
  const world = new World();
  const bob = world.join('bob', {}, limits);
  const lines = Array.from({ length: 64 }, (_, n) =>
    `candidate:${n} 1 udp 1 ${n % 2 ? '::1' : '192.0.2.1'} `.padEnd(512, 'x'),
  );
  post(world, 1);
  const { entry, ...session } = sessionOf(longestId(2, 64), world.now);
  const packages = [{ to: 'bob', json: JSON.stringify(['bob', entry.sessionId, ...Array(6).fill(1), lines]) }];
  const reflexiveIps = Array<string>(16).fill(`${'a:'.repeat(22)}a%${'x'.repeat(32)}`);
  const poller = { ...session, entry: { ...entry, reflexiveIps }, packages };
  world.answer({ roomId: 'lobby', contextId: 'context', session: poller }, limits);
  const hash = Array.from({ length: 32 }, () => 'AB').join(':');
  const long = '"'.repeat(256);
  const sdp = `m=application 9\r\na=ice-ufrag:${long}\r\na=ice-pwd:${long}\r\na=mid:${long}\r\na=fingerprint:sha-256 ${hash}\r\na=end-of-candidates\r\n`;
  world.receive(
    bob,
    { type: 'signal', targetId: entry.sessionId, signal: { type: 'offer', sdp, attempt: '"'.repeat(128) } },
    limits,
  );
  world.answer({ roomId: 'lobby', contextId: 'context', session: { ...session, entry: poller.entry } }, limits);
  const answer = bob.heard.at(-1);
  expect(answer).toMatchObject({ type: 'signal', signal: { type: 'answer', candidates: { length: 16 } } });
  expect(bytesOf(answer)).toBeLessThanOrEqual(24 * KIB);
});
