import { expect, test } from 'vitest';
import { type Joining, LIMITS, sessionOf, type TestMember, World } from '../../test/support/world.ts';

const LARGE = { ...LIMITS, maxPeers: 1000, messagesPerSecond: 0 };
const END = 1_000_000 + 3_600_000;
const mallory = { sub: 'mallory', until: END };
const REMOVED = { closeCode: 4403, closeReason: 'Removed by a host' };

function roomWithHost(): { world: World; host: TestMember; remove: (targetId: string) => void } {
  const world = new World();
  const host = world.join('host', { claims: { sub: 'host', isHost: true } }, LARGE);
  return { world, host, remove: (targetId) => world.receive(host, { type: 'remove', targetId }, LARGE) };
}

test('a member without a host’s token gets a sentence, and nothing happens', () => {
  const { world } = roomWithHost();
  const target = world.join('target', { claims: mallory });
  for (const entry of [{}, { claims: {} }, { claims: { sub: 'other' }, metadata: { isHost: true } }]) {
    const member = world.join('member', entry);
    world.receive(member, { type: 'remove', targetId: 'target' });
    expect(member.heard.at(-1)).toMatchObject({ type: 'error', code: 'not_host', message: /\./ });
    world.leave(member);
  }
  expect([target.closeCode, world.removed]).toEqual([undefined, []]);
});

test('a subject that is removed is put out under all its ids, and comes in under none until its token has expired', () => {
  const { world, host, remove } = roomWithHost();
  const witness = world.join('witness', {}, LARGE);
  const tab = world.join('a', { claims: mallory }, LARGE);
  const other = world.join('b', { claims: { ...mallory, until: END - 1 } }, LARGE);
  world.drop(world.join('c', { claims: mallory, token: 't1' }, LARGE), true);
  world.answer({ roomId: 'lobby', contextId: 'p', session: sessionOf('p', world.now) }, LARGE, mallory);
  expect(witness.view).toEqual(['a', 'b', 'c', 'host', 'p']);
  remove('b');
  expect([tab, other]).toMatchObject([REMOVED, REMOVED]);
  expect([world.held, world.posted]).toEqual([[], []]);
  for (const rest of [host, witness]) {
    const gone = rest.heard.flatMap((news) => (news.type === 'peer_leave' ? [`${news.clientId} ${news.reason}`] : []));
    expect(gone.sort()).toEqual(['a removed', 'b removed', 'c removed', 'p removed']);
  }
  const heard = witness.heard.length;
  for (const entry of [
    { claims: mallory },
    { claims: { ...mallory, until: END + 9_000_000 } },
    { claims: mallory, token: 't1' },
  ])
    expect(world.join('c', entry, LARGE)).toMatchObject(REMOVED);
  for (const request of [
    { roomId: 'lobby', contextId: 'p' },
    { roomId: 'lobby', contextId: 'q', session: sessionOf('q', world.now) },
  ])
    expect(world.answer(request, LARGE, mallory)).toEqual({ status: 403, body: 'Removed by a host.' });
  expect(witness.heard.length).toBe(heard);
  expect(world.join('d', { claims: { sub: 'mallory2', until: END } }, LARGE).closeCode).toBeUndefined();
  world.pass(3_600);
  expect(world.join('a', { claims: { ...mallory, until: END + 9_000_000 } }, LARGE).closeCode).toBeUndefined();
});

test('whoever was away hears of a removal when it is back; whoever has no connections yet does not', () => {
  const { world, remove } = roomWithHost();
  const guest = { claims: { sub: 'guest' }, token: 't' };
  const witness = world.join('witness', guest, LARGE);
  for (const id of ['a', 'b']) world.join(id, { claims: mallory }, LARGE);
  world.drop(witness, true);
  remove('a');
  world.join('late', { claims: mallory }, LARGE);
  world.join('nameless', { claims: { hash: 'h', until: END } }, LARGE);
  remove('nameless');
  const removed = (id: string, entry: Joining): unknown => Object(world.join(id, entry, LARGE).heard[0]).removed;
  expect(removed('witness', guest)).toEqual(['a', 'b', 'nameless']);
  expect(removed('newcomer', { wantsOffers: true })).toBeUndefined();
  expect(removed('nameless', { claims: { sub: 'another' } })).toEqual(['a', 'b']);
  expect(removed('bare', {})).toEqual(['a', 'b']);
  world.pass(3_600);
  expect(removed('later', {})).toBeUndefined();
});

test('whoever was away hears of the id that was removed, however many others its subject has brought', () => {
  const { world, remove } = roomWithHost();
  const guest = { token: 't' };
  const witness = world.join('witness', guest, LARGE);
  const ids = Array.from({ length: 20 }, (_, n) => `id ${n}`);
  for (const id of ids) world.join(id, { claims: mallory }, LARGE);
  world.drop(witness, true);
  remove('id 12');
  const { removed } = Object(world.join('witness', guest, LARGE).heard[0]);
  expect(removed).toEqual(['id 12', ...ids.slice(0, 7)]);
});

test('whoever is let in again with another token is none of the removed any more, also while it is away', () => {
  const { world, remove } = roomWithHost();
  const named = (hash: string): Joining => ({ claims: { hash, until: END }, token: 't' });
  for (const id of ['a', 'b']) world.join(id, named(`first of ${id}`), LARGE);
  for (const id of ['a', 'b']) remove(id);
  expect(world.join('a', named('first of a'), LARGE)).toMatchObject(REMOVED);
  world.drop(world.join('a', named('second'), LARGE), true);
  world.pass(31);
  expect(world.join('witness', {}, LARGE).heard[0]).toMatchObject({ peers: ['host'], removed: ['b'] });
  expect(world.join('a', named('first of a'), LARGE)).toMatchObject(REMOVED);
});

test.each([undefined, 'mallory'])(
  'a member that has been silent for long (%s) is removed all the same, and stays out',
  (sub) => {
    const { world, remove } = roomWithHost();
    const claims = { ...(sub ? { sub } : { hash: 'h' }), until: END };
    const silent = world.join('silent', { claims, token: 't1' }, LARGE);
    world.ping(silent);
    world.pass(151);
    remove('silent');
    expect(silent).toMatchObject(REMOVED);
    world.receive(silent, { type: 'broadcast', data: 1 }, LARGE);
    expect(world.join('silent', { claims, token: 't1' }, LARGE)).toMatchObject(REMOVED);
  },
);

test.each([
  ['a member', (world: World) => world.join('id', { claims: { hash: 'h', until: END } }, LARGE)],
  [
    'a member whose place is held',
    (world: World) => world.drop(world.join('id', { token: 't', claims: { hash: 'h', until: END } }, LARGE), true),
  ],
  [
    'a poller',
    (world: World) => {
      const session = sessionOf('id', world.now);
      world.answer({ roomId: 'lobby', contextId: 'c', session }, LARGE, { hash: 'h', until: END });
    },
  ],
])('of a token without a subject %s goes alone, and this token opens the room no more', (_what, enter) => {
  const { world, host, remove } = roomWithHost();
  const same = world.join('same', { claims: { hash: 'h', until: END } }, LARGE);
  enter(world);
  expect(host.view).toEqual(['id', 'same']);
  remove('id');
  expect(host.view).toEqual(['same']);
  expect(same.closeCode).toBeUndefined();
  expect(world.join('id', { claims: { hash: 'h', until: END } }, LARGE)).toMatchObject(REMOVED);
  expect(world.join('id', { claims: { hash: 'another', until: END } }, LARGE).closeCode).toBeUndefined();
});

test('of one that the room has lost all hear that it is removed: they may be connected to it yet', () => {
  const { world, host, remove } = roomWithHost();
  const witness = world.join('witness', {}, LARGE);
  world.drop(world.join('lost', { token: 't1', claims: mallory }, LARGE), true);
  world.pass(31); // and no alarm has come yet
  remove('lost');
  remove('lost');
  remove('x'.repeat(300));
  remove('__broadcast__');
  const [lapsed, removed] = ['timeout', 'removed'].map((reason) => ({ type: 'peer_leave', clientId: 'lost', reason }));
  expect(witness.heard.slice(-3)).toMatchObject([lapsed, removed, removed]);
  const answers = ['lost', 'lost', 'x'.repeat(300), '__broadcast__'].map((targetId) => ({
    code: 'unknown_peer',
    targetId,
  }));
  const [first, second, ...rest] = answers;
  expect(host.heard.slice(-7)).toMatchObject([lapsed, removed, first, removed, second, ...rest]);
  expect(world.removed).toEqual([]);
});

test('to remove those whom the room has lost costs as much as to broadcast', () => {
  const { world, host } = roomWithHost();
  const [witness] = ['witness', 'another'].map((id) => world.join(id, {}));
  const limits = { ...LARGE, messagesPerSecond: 50 };
  for (let n = 0; n < 400; n++) world.receive(host, { type: 'remove', targetId: 'lost' }, limits);
  expect(witness?.heard.filter(({ type }) => type === 'peer_leave')).toHaveLength(270);
  expect(host.heard.at(-1)).toMatchObject({ code: 'rate_limited' });
});

test('of a removal that is more than the host may say it hears no more than the others: it can try again', () => {
  const { world, host } = roomWithHost();
  const [witness] = ['witness', 'another', 'third'].map((id) => world.join(id, {}));
  const limits = { ...LARGE, messagesPerSecond: 50 };
  for (let n = 0; n < 400; n++) world.receive(host, { type: 'remove', targetId: 'lost' }, limits);
  const [told, own] = [witness, host].map((each) => each?.heard.filter(({ type }) => type === 'peer_leave').length);
  expect(own).toBe(told);
});

test('nobody removes itself, under whatever id, nor an id that nobody has', () => {
  const { world, host, remove } = roomWithHost();
  const tab = world.join('tab', { claims: { sub: 'host' } }, LARGE);
  for (const id of ['host', 'tab']) {
    remove(id);
    expect(host.heard.at(-1)).toMatchObject({ type: 'error', code: 'bad_message' });
  }
  remove('nobody');
  expect(host.heard.at(-1)).toMatchObject({ type: 'error', code: 'unknown_peer', targetId: 'nobody' });
  expect([host.closeCode, tab.closeCode, world.removed]).toEqual([undefined, undefined, []]);
});

test('a host whose token has no subject does not shut itself out with another page that has the same token', () => {
  const world = new World();
  const claims = { hash: 'of the host', isHost: true, until: END };
  const host = world.join('host', { claims }, LARGE);
  const tab = world.join('tab', { claims }, LARGE);
  world.receive(host, { type: 'remove', targetId: 'tab' }, LARGE);
  expect(host.heard.at(-1)).toMatchObject({ type: 'error', code: 'bad_message' });
  expect([tab.closeCode, world.removed]).toEqual([undefined, []]);
});

test('a room remembers 256 removals, the ones that last longest, and each to its end', () => {
  const { world, remove } = roomWithHost();
  for (let n = 0; n < 300; n++) {
    world.join(`peer ${n}`, { claims: { sub: `sub ${n}`, until: END + ((n * 7) % 299) } }, LARGE);
    remove(`peer ${n}`);
  }
  expect(world.removed).toHaveLength(256);
  expect(world.removed.at(-1)?.bearer).toBe('subject sub 299');
  const last = Math.max(...world.removed.map(({ until }) => until));
  world.now = last;
  world.lapse();
  expect(world.removed).toEqual([]);
});
