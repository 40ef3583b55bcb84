import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS, type TestMember, World } from '../../test/support/world.ts';
import type { ServerMessage } from '../protocol/messages.ts';

type Step =
  | { do: 'join'; id: string; with: 'nothing' | 'a new token' | 'the last token' | 'a wrong token' }
  | { do: 'leave' | 'ping' | 'broadcast'; who: number }
  | { do: 'drop'; who: number; saysSo: boolean }
  | { do: 'wait'; seconds: number }
  | { do: 'lapse' }
  | { do: 'signal'; who: number; targetId: string }
  | { do: 'poll'; ids: string[] };

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const who = fc.nat(10);
const token = fc.constantFrom('nothing', 'a new token', 'the last token', 'a wrong token');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('join'), id, with: token }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave'), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drop'), who, saysSo: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ping'), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.constantFrom(1, 29, 31, 100, 149, 151) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lapse') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('signal'), who, targetId: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('broadcast'), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('poll'), ids: fc.uniqueArray(id, { maxLength: 2 }) }) },
);

test('whatever happens, everyone knows who is here, signals reach whom they should, and no place is taken', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const world = new World();
      const lastToken = new Map<string, string>();
      for (const [n, step] of steps.entries()) {
        const before = new Map(world.members.map((member) => [member, member.heard.length]));
        const newsOf = (member: TestMember): ServerMessage[] => member.heard.slice(before.get(member) ?? 0);
        const member = 'who' in step ? world.members[step.who % Math.max(1, world.members.length)] : undefined;
        if (step.do === 'join') {
          const brought = { nothing: undefined, 'a new token': `new ${n}`, 'a wrong token': 'wrong' };
          const token = step.with === 'the last token' ? lastToken.get(step.id) : brought[step.with];
          const live = world.find(step.id);
          const isGhost = live?.pings === true && world.now - live.lastSeen > 150_000;
          const place = world.held.find(({ id, until }) => id === step.id && until > world.now);
          const ownerToken = isGhost ? undefined : (live ?? place)?.token;
          const joiner = world.join(step.id, { token });
          const [welcome] = joiner.heard;
          const isPoller = world.posted.some(({ entry }) => entry.sessionId === step.id);
          const isRefused = ownerToken !== undefined && ownerToken !== token;
          expect(joiner.closeCode === 4009).toBe(isRefused || isPoller);
          if (isRefused) {
            expect(world.find(step.id)).toBe(live);
            expect(world.held.find(({ id }) => id === step.id)).toBe(place);
            expect(joiner.closeReason).toBe(
              live ? 'Id is taken' : `Id is held for ${Math.ceil(((place?.until ?? 0) - world.now) / 1000)} s`,
            );
          }
          const isResumed = ownerToken !== undefined && ownerToken === token;
          if (isResumed) expect(welcome).toMatchObject({ type: 'peers', resumed: true, resumeToken: token });
          else if (token !== undefined && welcome)
            expect(welcome).toMatchObject({ resumed: false, resumeToken: token });
          else if (welcome) {
            const more = world.posted.length > 0 ? ['metadata', 'polling'] : [];
            expect(Object.keys(welcome)).toEqual(['type', 'peers', 'yourId', ...more]);
          }
          if (joiner.closeCode === undefined && token !== undefined) lastToken.set(step.id, token);
          for (const other of world.members.filter((member) => member !== joiner)) {
            const heardOf = newsOf(other).filter((news) => 'clientId' in news && news.clientId === step.id);
            expect(heardOf.some(({ type }) => type === 'peer_join')).toBe(joiner.closeCode === undefined && !isResumed);
          }
        }
        if (step.do === 'wait') world.pass(step.seconds);
        if (step.do === 'lapse') world.lapse();
        if (step.do === 'poll') {
          const free = LIMITS.maxPeers - world.members.length - world.held.length;
          const taken = [...world.members, ...world.held].map(({ id }) => id);
          world.poll(...step.ids.filter((id) => !taken.includes(id)).slice(0, free));
        }
        if (member && step.do === 'leave') world.leave(member);
        if (member && step.do === 'drop') world.drop(member, step.saysSo);
        if (member && step.do === 'ping') world.ping(member);
        if (member && step.do === 'signal')
          world.receive(member, { type: 'signal', targetId: step.targetId, signal: n });
        if (member && step.do === 'broadcast') world.receive(member, { type: 'broadcast', data: n });

        const polling = world.posted.map(({ entry }) => entry.sessionId);
        const ids = [...[...world.members, ...world.held].map(({ id }) => id), ...polling];
        expect(new Set(ids).size, 'one socket or place per id').toBe(ids.length);
        expect(ids.length).toBeLessThanOrEqual(LIMITS.maxPeers);
        if (step.do === 'lapse') expect(world.held.filter(({ until }) => until <= world.now)).toEqual([]);
        for (const present of world.members) {
          expect(present.closeCode).toBeUndefined();
          expect(present.view).toEqual(ids.filter((id) => id !== present.id).sort());
          const news = newsOf(present);
          const carried = news.filter(({ type }) => type === 'signal' || type === 'broadcast');
          const isTarget = step.do === 'signal' && present.id === step.targetId;
          const isAddressed = isTarget || (step.do === 'broadcast' && present !== member);
          const payload = step.do === 'signal' ? { type: 'signal', signal: n } : { type: 'broadcast', data: n };
          expect(carried).toEqual(isAddressed && member ? [{ ...payload, fromId: member.id }] : []);
          const leaves = news.flatMap((message) => (message.type === 'peer_leave' ? [message.clientId] : []));
          expect(new Set(leaves).size, 'a departure is told once').toBe(leaves.length);
          if (member === present && step.do === 'signal') {
            const isHere = world.find(step.targetId) !== undefined || polling.includes(step.targetId);
            const isAway = world.held.some(({ id, until }) => id === step.targetId && until > world.now);
            const code = isAway ? 'peer_away' : 'unknown_peer';
            const answers = news.filter(({ type }) => type === 'error');
            expect(answers).toMatchObject(isHere ? [] : [{ code, targetId: step.targetId }]);
          }
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('a member that drops and is back within the grace was never away, for the others', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob', { token: 't1', metadata: 7 });
  const heard = alice.heard.length;
  world.pass(5);
  world.drop(bob, true);
  expect(world.held).toEqual([
    { id: 'bob', token: 't1', metadata: 7, metadataLength: 1, offers: [], until: world.now + 25_000 },
  ]);
  world.pass(24);
  world.receive(alice, { type: 'signal', targetId: 'bob', signal: 1 });
  expect(alice.heard.splice(heard)).toMatchObject([{ type: 'error', code: 'peer_away', targetId: 'bob' }]);
  const carol = world.join('carol');
  expect(carol.heard).toEqual([{ type: 'peers', peers: ['alice', 'bob'], yourId: 'carol', metadata: { bob: 7 } }]);
  expect(world.join('bob', { token: 't1' }).heard).toEqual([
    {
      type: 'peers',
      peers: ['alice', 'carol'],
      yourId: 'bob',
      resumeToken: 't1',
      resumed: true,
      graceSeconds: 30,
      maxMessageBytes: 1000,
    },
  ]);
  expect(world.held).toEqual([]);
  expect(alice.heard.slice(heard)).toMatchObject([{ type: 'peer_join', clientId: 'carol' }]);
  expect(carol.heard).toHaveLength(1);
});

test.each([
  ['has sent nothing', false, () => undefined],
  ['says that it is coming back', true, (world: World, bob: TestMember) => world.drop(bob, true)],
  ['has pinged', true, (world: World, bob: TestMember) => world.ping(bob)],
  ['has sent a message, be it a bad one', true, (world: World, bob: TestMember) => world.receive(bob, '')],
  [
    'has come back by its token, and has sent nothing since',
    true,
    (world: World, bob: TestMember) => {
      world.drop(bob, true);
      world.join('bob', { token: 't1' });
    },
  ],
])('a member that drops and %s: its place is held, %s', (_what, isHeld, before) => {
  const world = new World();
  const alice = world.join('alice');
  before(world, world.join('bob', { token: 't1' }));
  const bob = world.find('bob');
  if (bob) world.drop(bob);
  expect(world.held.map(({ id }) => id)).toEqual(isHeld ? ['bob'] : []);
  const heard = alice.heard.filter(({ type }) => type === 'peer_leave');
  expect(heard).toMatchObject(isHeld ? [] : [{ clientId: 'bob', reason: 'timeout' }]);
  const back = world.join('bob', { token: 't1' });
  expect(back.heard).toMatchObject([{ type: 'peers', peers: ['alice'], resumed: isHeld }]);
});

test('a member that does not come back has timed out, a member that says goodbye has left', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob', { token: 't1' });
  world.drop(bob, true);
  world.pass(31);
  world.lapse();
  expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_leave', clientId: 'bob', reason: 'timeout' });
  const back = world.join('bob', { token: 't1' });
  expect(back.heard).toMatchObject([{ resumed: false, resumeToken: 't1' }]);
  expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'bob' });
  world.leave(back);
  expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_leave', clientId: 'bob', reason: 'left' });
});

test('without a token, or after the grace, a drop is a departure at once', () => {
  const world = new World();
  const alice = world.join('alice');
  for (const [bob, seconds] of [
    [world.join('bob'), 0],
    [world.join('bobby', { token: 't1' }), 30],
  ] as const) {
    world.pass(seconds);
    world.drop(bob, true);
    expect(world.held).toEqual([]);
    expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_leave', clientId: bob.id, reason: 'timeout' });
  }
});

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

test('a place whose row outlived the return of its member counts for nobody and lapses without a word', () => {
  const world = new World();
  const bob = world.join('bob');
  world.drop(world.join('alice', { token: 't1' }), true);
  const rows = world.held;
  const alice = world.join('alice', { token: 't1' });
  world.held = rows; // it could not be deleted
  expect(world.join('carol').heard).toMatchObject([{ peers: ['bob', 'alice'] }]);
  world.pass(31);
  world.lapse();
  expect(world.held).toEqual([]);
  expect([...bob.heard, ...alice.heard].filter(({ type }) => type === 'peer_leave')).toEqual([]);
});

test('limits are told to clients that ask for an extension', () => {
  const world = new World();
  expect(world.join('bare').heard[0]).not.toHaveProperty('maxMessageBytes');
  expect(world.join('alice', { token: 't1' }).heard).toMatchObject([{ maxMessageBytes: 1000 }]);
});
