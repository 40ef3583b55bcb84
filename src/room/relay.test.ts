import { describe, expect, test } from 'vitest';
import { LIMITS, type TestMember, World } from '../../test/support/world.ts';

test('a signal never looks at the whole room', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob');
  world.touchedAll = 0;
  for (let n = 0; n < 600; n++) {
    world.receive(alice, { type: 'signal', targetId: 'bob', signal: n }, { ...LIMITS, messagesPerSecond: 1 });
  }
  expect(bob.heard.length).toBeGreaterThan(500);
  expect(world.touchedAll).toBe(0);
});

test('a broadcast costs one token per recipient', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 101, messagesPerSecond: 50 };
  const [alice, bob] = Array.from({ length: 101 }, (_, n) => world.join(`peer ${n}`, {}, limits));
  if (!alice || !bob) throw new Error('no members');
  const burst = 500 + 20 * 100;
  for (let n = 0; n < burst / 100; n++) world.receive(alice, { type: 'broadcast', data: n }, limits);
  expect(bob.heard.filter(({ type }) => type === 'broadcast')).toHaveLength(25);
  const errors = alice.heard.length;
  world.receive(alice, { type: 'broadcast', data: 'one too many' }, limits);
  expect(alice.heard.slice(errors)).toMatchObject([
    { type: 'error', code: 'rate_limited', retryAfterMs: expect.any(Number) },
  ]);
  expect(bob.heard.filter(({ type }) => type === 'broadcast')).toHaveLength(25);
});

test('a member that goes on flooding is closed 4008 and leaves once', () => {
  const world = new World();
  const limits = { ...LIMITS, messagesPerSecond: 50 };
  const alice = world.join('alice');
  const bob = world.join('bob');
  for (let n = 0; n < 2000 && alice.closeCode === undefined; n++) world.receive(alice, 'nonsense', limits);
  expect(alice.closeCode).toBe(4008);
  expect(alice.heard.filter((message) => message.type === 'error' && message.code === 'bad_json')).toHaveLength(520);
  expect(bob.heard.filter(({ type }) => type === 'peer_leave')).toHaveLength(1);
});

test('an offer too large to keep is refused, and the one before stays', () => {
  const world = new World();
  const limits = { ...LIMITS, maxMessageBytes: 100_000 };
  const alice = world.join('alice');
  world.receive(alice, { type: 'ahead', offer: 'x'.repeat(8190) }, limits);
  world.receive(alice, { type: 'ahead', offer: 'x'.repeat(8191) }, limits);
  world.receive(alice, { type: 'ahead', offer: 'ö'.repeat(2000) }, limits);
  expect(alice.heard.slice(1)).toMatchObject([{ code: 'bad_message' }, { code: 'bad_message' }]);
  expect(alice.ahead).toBe('x'.repeat(8190));
});

test('our own bugs are not answered as bad input', () => {
  const world = new World();
  const alice = world.join('alice');
  world.find = () => {
    throw new TypeError('a bug');
  };
  expect(() => world.receive(alice, { type: 'signal', targetId: 'bob', signal: 1 })).toThrow('a bug');
});

/** As wrangler.toml has them. */
const DEFAULTS = { ...LIMITS, maxPeers: 128, maxMessageBytes: 65_536, messagesPerSecond: 50 };
const KIB_60 = 'x'.repeat(60 * 1024);

/** Of what each of `count` messages of `sender` comes to, how much reaches `target`, in characters. */
function flood(world: World, sender: TestMember, target: TestMember, count: number): number {
  const before = target.heard.length;
  for (let n = 0; n < count && sender.closeCode === undefined; n++)
    world.receive(sender, { type: 'signal', targetId: target.id, signal: KIB_60 }, DEFAULTS);
  return target.heard.slice(before).reduce((sum, message) => sum + JSON.stringify(message).length, 0);
}

test('a message costs a token for every 4 KiB: what one sender sends at once is two MiB, not thirty', () => {
  const world = new World();
  const [alice, bob] = [world.join('alice'), world.join('bob')];
  expect(flood(world, alice, bob, 100)).toBeLessThanOrEqual(520 * 4096);
  expect(alice.heard.at(-1)).toMatchObject({ type: 'error', code: 'rate_limited' });
});

test('eight senders together send four MiB to a member that may not read, and are told when more would pass', () => {
  const world = new World();
  const bob = world.join('bob');
  const senders = Array.from({ length: 8 }, (_, n) => world.join(`sender ${n}`, {}, DEFAULTS));
  const sent = senders.map((sender) => flood(world, sender, bob, 500)).reduce((sum, each) => sum + each);
  expect(sent).toBeGreaterThan(3 * 1024 * 1024);
  expect(sent).toBeLessThanOrEqual(4 * 1024 * 1024);
  const patient = world.join('patient', {}, DEFAULTS);
  world.receive(patient, { type: 'signal', targetId: 'bob', signal: KIB_60 }, DEFAULTS);
  const refusal = Object(patient.heard.at(-1));
  expect(refusal).toMatchObject({ type: 'error', code: 'rate_limited' });
  const count = patient.heard.length;
  world.receive(patient, { type: 'broadcast', data: KIB_60 }, DEFAULTS);
  expect(bob.heard.at(-1)).not.toMatchObject({ type: 'broadcast' });
  expect(patient.heard).toHaveLength(count); // a full inbox is no reason to refuse the others a broadcast
  world.now += refusal.retryAfterMs;
  world.receive(patient, { type: 'signal', targetId: 'bob', signal: KIB_60 }, DEFAULTS);
  expect(bob.heard.at(-1)).toMatchObject({ type: 'signal', fromId: 'patient' });
});

const MIB = 1024 * 1024;
/** What a room of so many that may not read owes at once at most. */
const owed = (members: number): number => 24 * MIB + members * (MIB / 16);

test('members that may not read, however many they are, are sent 24 MiB in all, and 64 KiB each', () => {
  const world = new World();
  const [alice, bob] = [world.join('alice', {}, DEFAULTS), world.join('bob', {}, DEFAULTS)];
  const readers = Array.from({ length: 20 }, (_, n) => world.join(`reader ${n}`, {}, DEFAULTS));
  const senders = Array.from({ length: 60 }, (_, n) => world.join(`sender ${n}`, {}, DEFAULTS));
  let sent = 0;
  for (const reader of readers) for (const sender of senders) sent += flood(world, sender, reader, 2);
  expect(sent).toBeGreaterThan(24 * MIB);
  expect(sent).toBeLessThanOrEqual(owed(20));
  // Two that are not among them meet all the same.
  const heard = bob.heard.length;
  for (let n = 0; n < 20; n++)
    world.receive(alice, { type: 'signal', targetId: 'bob', signal: 'x'.repeat(3000) }, DEFAULTS);
  expect(bob.heard).toHaveLength(heard + 20);
  world.receive(alice, { type: 'signal', targetId: 'bob', signal: KIB_60 }, DEFAULTS);
  const refusal = Object(alice.heard.at(-1));
  expect(refusal).toMatchObject({ type: 'error', code: 'rate_limited' });
  expect(bob.inbox.spent).toBeLessThan(MIB / 16);
  world.now += refusal.retryAfterMs;
  world.receive(alice, { type: 'signal', targetId: 'bob', signal: KIB_60 }, DEFAULTS);
  expect(bob.heard.at(-1)).toMatchObject({ type: 'signal', fromId: 'alice' });
});

test('what a member that does not ping, or no longer, may be sent after that is a thirty-second part', () => {
  const world = new World();
  const [mute, reader, sender] = ['mute', 'reader', 'sender'].map((id) => world.join(id, {}, DEFAULTS));
  if (!mute || !reader || !sender) throw new Error('three have joined');
  world.ping(reader);
  const inTenMinutes = (target: TestMember, ping?: TestMember): number => {
    let sent = 0;
    for (let second = 0; second < 600; second++) {
      world.pass(1);
      if (ping && second % 25 === 0) world.ping(ping);
      sent += flood(world, sender, target, 2);
    }
    return sent;
  };
  const kept = inTenMinutes(mute);
  expect(kept).toBeGreaterThan(10 * MIB);
  expect(kept).toBeLessThan(14 * MIB);
  expect(inTenMinutes(reader, reader)).toBeGreaterThan(68 * MIB);
  world.pass(61);
  expect(inTenMinutes(reader)).toBeLessThan(14 * MIB);
});

test.each<[string, (sender: TestMember) => unknown]>([
  ['nobody by a long name', () => ({ type: 'signal', targetId: 'x'.repeat(4000), signal: 1 })],
  ['no JSON', () => `{${'x'.repeat(4000)}`],
  ['themselves', ({ id }) => ({ type: 'signal', targetId: id, signal: KIB_60 })],
])('members that write to %s, and may not read what they are answered, are owed no more', (_whom, messageOf) => {
  const world = new World();
  const members = Array.from({ length: 60 }, (_, n) => world.join(`member ${n}`, {}, DEFAULTS));
  const before = members.map(({ heard }) => heard.length);
  for (const member of members) {
    for (let n = 0; n < 500; n++) world.receive(member, messageOf(member), DEFAULTS);
  }
  const answered = members.flatMap(({ heard }, n) => heard.slice(before[n]));
  const bytes = answered.reduce((sum, message) => sum + JSON.stringify(message).length, 0);
  expect(answered.length).toBeGreaterThan(60);
  expect(bytes).toBeLessThanOrEqual(owed(60));
});

test('a newcomer to a full room may be sent an offer and ten candidates by everyone at once', () => {
  const world = new World();
  const members = Array.from({ length: 127 }, (_, n) => world.join(`peer ${n}`, {}, DEFAULTS));
  const newcomer = world.join('newcomer', {}, DEFAULTS);
  for (const { id } of members) {
    world.receive(newcomer, { type: 'signal', targetId: id, signal: 'x'.repeat(3900) }, DEFAULTS);
    for (let n = 0; n < 10; n++)
      world.receive(newcomer, { type: 'signal', targetId: id, signal: 'x'.repeat(200) }, DEFAULTS);
  }
  for (const member of members) {
    world.receive(member, { type: 'signal', targetId: 'newcomer', signal: 'x'.repeat(6000) }, DEFAULTS);
    for (let n = 0; n < 10; n++)
      world.receive(member, { type: 'signal', targetId: 'newcomer', signal: 'x'.repeat(200) }, DEFAULTS);
  }
  expect(newcomer.heard.filter(({ type }) => type === 'error')).toEqual([]);
  expect(newcomer.heard.filter(({ type }) => type === 'signal')).toHaveLength(127 * 11);
  expect(members.flatMap(({ heard }) => heard).filter(({ type }) => type === 'error')).toEqual([]);
});

test.each([
  ['signal', 'signal'],
  ['broadcast', 'data'],
  ['ahead', 'offer'],
])('a message of type %s that would grow when it is written again is refused', (type, field) => {
  const world = new World();
  const [alice, bob] = [world.join('alice'), world.join('bob')];
  const heard = bob.heard.length;
  const frame = `{"type":"${type}","targetId":"bob","${field}":[${'1e20,'.repeat(13_000)}1]}`;
  expect(frame.length).toBeLessThan(DEFAULTS.maxMessageBytes);
  world.receive(alice, frame, DEFAULTS);
  expect(alice.heard.at(-1)).toMatchObject({ type: 'error', code: 'bad_message' });
  expect(bob.heard).toHaveLength(heard);
});

describe('new ICE servers', () => {
  test('are had for the asking once the old are about to end', () => {
    const room = new World();
    const alice = room.join('alice');
    alice.iceServersDue = room.now + 5000;
    room.receive(alice, { type: 'ice_servers' });
    expect(alice.heard.at(-1)).toMatchObject({ type: 'error', code: 'rate_limited', retryAfterMs: 5000 });
    room.pass(4.999);
    room.receive(alice, { type: 'ice_servers' });
    expect(alice.heard.at(-1)).toMatchObject({ code: 'rate_limited', retryAfterMs: 1 });
    expect(room.renewed).toEqual([]);
    room.pass(0.001);
    room.receive(alice, { type: 'ice_servers' });
    expect(room.renewed).toEqual([alice]);
  });

  test('are not had by a client that has none that end', () => {
    const room = new World();
    const alice = room.join('alice');
    room.receive(alice, { type: 'ice_servers' });
    expect(alice.heard.at(-1)).toMatchObject({ type: 'error', code: 'bad_message' });
    expect(room.renewed).toEqual([]);
  });
});
