import { expect, test, vi } from 'vitest';
import { LIMITS, TestMember, World } from '../../test/support/world.ts';

test('held places count towards a full room, and a return is never refused for it', () => {
  const world = new World();
  for (const id of ['a', 'b', 'c', 'd']) world.join(id, { token: `token of ${id}` });
  const d = world.find('d');
  if (d) world.drop(d, true);
  expect(world.join('e').closeCode).toBe(4003);
  expect(world.join('d', { token: 'token of d' }).closeCode).toBeUndefined();
  const limits = { ...LIMITS, maxPeers: 1 };
  expect(world.join('a', { token: 'token of a' }, limits).closeCode).toBeUndefined();
});

test('a full room closes the newcomer 4003 and tells nobody, but replaces a duplicate', () => {
  const world = new World();
  const [alice] = ['a', 'b', 'c', 'd'].map((id) => world.join(id));
  const heard = alice?.heard.length;
  const late = world.join('e');
  expect([late.closeCode, late.heard]).toEqual([4003, []]);
  expect(alice?.heard.length).toBe(heard);
  expect(world.join('a').closeCode).toBeUndefined();
  expect(alice?.closeCode).toBe(4000);
});

test('ghosts do not count towards a full room', () => {
  const world = new World();
  for (const id of ['a', 'b', 'c', 'd']) world.ping(world.join(id));
  world.pass(151);
  expect(world.join('e').heard).toEqual([{ type: 'peers', peers: [], yourId: 'e' }]);
});

test('an offer published ahead is handed out once, to a joiner that asks, and its owner hears of it', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob');
  world.receive(alice, { type: 'ahead', offer: { sdp: 'old' } });
  world.receive(alice, { type: 'ahead', offer: { sdp: 'new' } });
  expect(world.join('bare').heard).toEqual([{ type: 'peers', peers: ['alice', 'bob'], yourId: 'bare' }]);
  expect(alice.heard.at(-1)).toEqual({ type: 'peer_join', clientId: 'bare', timestamp: world.now });
  const dora = world.join('dora', { wantsOffers: true });
  expect(dora.heard).toMatchObject([{ peers: ['alice', 'bob', 'bare'], offers: { alice: { sdp: 'new' } } }]);
  expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'dora', offerTaken: true });
  expect(bob.heard.at(-1)).toEqual({ type: 'peer_join', clientId: 'dora', timestamp: world.now });
  world.leave(dora);
  expect(world.join('erin', { wantsOffers: true }).heard).toEqual([
    { type: 'peers', peers: ['alice', 'bob', 'bare'], yourId: 'erin' },
  ]);
});

test('one joiner takes at most 32 offers', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 100, maxMessageBytes: 100_000 };
  const residents = Array.from({ length: 40 }, (_, n) => world.join(`peer ${n}`, {}, limits));
  for (const resident of residents) world.receive(resident, { type: 'ahead', offer: resident.id }, limits);
  const [welcome] = world.join('first', { wantsOffers: true }, limits).heard;
  expect(Object.keys(Object(welcome).offers)).toEqual(residents.slice(0, 32).map(({ id }) => id));
  const [next] = world.join('second', { wantsOffers: true }, limits).heard;
  expect(Object.keys(Object(next).offers)).toEqual(residents.slice(32).map(({ id }) => id));
});

test('metadata is told to the others and to later joiners, whatever the id', () => {
  const world = new World();
  const alice = world.join('__proto__', { metadata: { name: 'Alice' } });
  const bob = world.join('bob', { metadata: null });
  expect(alice.heard.at(-1)).toEqual({ type: 'peer_join', clientId: 'bob', timestamp: world.now, metadata: null });
  expect(JSON.stringify(bob.heard)).toContain('"metadata":{"__proto__":{"name":"Alice"}}');
});

test('pollers count towards the fullness of a room', () => {
  const world = new World();
  world.poll('p1', 'p2', 'p3');
  const alice = world.join('alice');
  expect(alice.heard).toMatchObject([{ type: 'peers', peers: ['p1', 'p2', 'p3'], polling: ['p1', 'p2', 'p3'] }]);
  expect(world.join('bob').closeCode).toBe(4003);
  world.poll('p1', 'p2');
  expect(world.join('bob').closeCode).toBeUndefined();
});

test('a room takes 256 KiB of metadata, a return aside, and then is full', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 1000, maxMessageBytes: 65_536 };
  const metadata = 'x'.repeat(2046);
  const members = Array.from({ length: 200 }, (_, n) => world.join(`peer ${n}`, { metadata, token: `t${n}` }, limits));
  const admitted = members.filter(({ closeCode }) => closeCode === undefined);
  expect(admitted).toHaveLength(128);
  expect(members.at(-1)?.closeCode).toBe(4003);
  expect(world.join('bare', {}, limits).closeCode).toBeUndefined();
  expect(JSON.stringify(world.find('bare')?.heard).length).toBeLessThan(280 * 1024);
  const [first] = admitted;
  if (first) world.drop(first, true);
  expect(world.join('another', { metadata }, limits).closeCode).toBe(4003);
  expect(world.join('peer 0', { metadata, token: 't0' }, limits).closeCode).toBeUndefined();
});

test.each([
  ['from its place', true],
  ['before anybody noticed', false],
])('a return %s brings no other metadata than the others know', (_how, drops) => {
  const world = new World();
  const first = world.join('alice', { token: 't1', metadata: 'small' });
  if (drops) world.drop(first, true);
  const again = world.join('alice', { token: 't1', metadata: 'x'.repeat(2046) });
  expect(again.heard).toMatchObject([{ resumed: true }]);
  expect(world.join('bob').heard).toMatchObject([{ metadata: { alice: 'small' } }]);
});

test('a room whose metadata is used up is full: the mute go, as many as it takes, and none in vain', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 1000 };
  const fill = (name: string, count: number, length: number): TestMember[] =>
    Array.from({ length: count }, (_, n) => world.join(`${name} ${n}`, { metadata: 'x'.repeat(length - 2) }, limits));
  const mute = fill('mute', 64, 2048);
  const living = fill('living', 15, 8192);
  world.pass(61);
  for (const member of living) world.ping(member);
  expect(fill('early', 1, 8192)[0]?.closeCode).toBeUndefined();
  expect(fill('later', 1, 4096)[0]?.closeCode).toBeUndefined();
  expect(mute.filter(({ closeCode }) => closeCode === 4006)).toHaveLength(2);
  expect(fill('vain', 1, 200_000)[0]?.closeCode).toBe(4003);
  expect(mute.filter(({ closeCode }) => closeCode === 4006)).toHaveLength(2);
});

test('where metadata alone is too much, the mute that brought none stay', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 1000 };
  const listener = world.join('listener', {}, limits);
  const living = Array.from({ length: 15 }, (_, n) => world.join(`${n}`, { metadata: 'x'.repeat(16_382) }, limits));
  const mute = world.join('mute', { metadata: 'x'.repeat(16_382) }, limits);
  world.pass(61);
  for (const member of living) world.ping(member);
  expect(world.join('late', { metadata: 1 }, limits).closeCode).toBeUndefined();
  expect([listener.closeCode, mute.closeCode]).toEqual([undefined, 4006]);
});

test('whoever is refused in a large room costs one look at each that is there', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 1000 };
  for (let n = 0; n < 500; n++) world.join(`mute ${n}`, {}, limits);
  const living = Array.from({ length: 16 }, (_, n) => world.join(`${n}`, { metadata: 'x'.repeat(16_382) }, limits));
  world.pass(61);
  for (const member of living) world.ping(member);
  const looks = vi.spyOn(TestMember.prototype, 'metadataLength', 'get');
  expect(world.join('late', { metadata: 1 }, limits).closeCode).toBe(4003);
  expect(looks.mock.calls.length).toBeLessThan(3 * world.members.length);
  looks.mockRestore();
});

test('members that have never given a sign of life make room in a full room, once a minute is over', () => {
  const world = new World();
  const [pings, speaks, mute] = ['pings', 'speaks', 'mute', 'mute too'].map((id) => world.join(id));
  if (pings) world.ping(pings);
  if (speaks) world.receive(speaks, { type: 'broadcast', data: 1 });
  world.pass(59);
  expect(world.join('early').closeCode).toBe(4003);
  world.pass(2);
  const late = world.join('late');
  expect(late.heard).toMatchObject([{ peers: ['pings', 'speaks', 'mute too'] }]);
  expect(mute?.closeCode).toBe(4006);
  expect(pings?.heard.slice(-2)).toMatchObject([
    { type: 'peer_leave', clientId: 'mute', reason: 'timeout' },
    { type: 'peer_join', clientId: 'late' },
  ]);
  expect(world.join('later').closeCode).toBeUndefined();
  expect(world.join('last').closeCode).toBe(4003);
});

test('limits are told to clients that ask for an extension', () => {
  const world = new World();
  expect(world.join('bare').heard[0]).not.toHaveProperty('maxMessageBytes');
  expect(world.join('alice', { token: 't1' }).heard).toMatchObject([{ maxMessageBytes: 1000 }]);
});
