import { expect, test, vi } from 'vitest';
import { LIMITS, type TestMember, World } from '../../test/support/world.ts';

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

test('whoever comes while a member’s socket is closing knows of it, whether it comes back or has said goodbye', () => {
  const world = new World();
  const alice = world.join('alice');
  for (const id of ['bob', 'carol']) world.ping(world.join(id, { token: `of ${id}`, metadata: id }));
  const [, bob, carol] = world.members;
  if (!bob || !carol) throw new Error('three are here');
  for (const each of [bob, carol]) world.beginToLeave(each);
  const dave = world.join('dave', { token: 'of dave' });
  expect(dave.heard).toMatchObject([{ peers: ['alice', 'bob', 'carol'], metadata: { bob: 'bob', carol: 'carol' } }]);
  world.drop(bob);
  world.leave(carol);
  expect(world.join('bob', { token: 'of bob' }).heard).toMatchObject([{ peers: ['alice', 'dave'], resumed: true }]);
  expect(dave.heard.slice(1)).toMatchObject([{ type: 'peer_leave', clientId: 'carol', reason: 'left' }]);
  expect(alice.view).toEqual(['bob', 'dave']);
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

test('a signal to nobody, in a room where many places are held, costs two look-ups', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 1000 };
  for (let n = 0; n < 500; n++) world.drop(world.join(`${n}`, { token: `t${n}` }, limits), true);
  const alice = world.join('alice', {}, limits);
  const finds = vi.spyOn(world, 'find');
  world.receive(alice, { type: 'signal', targetId: 'nobody', signal: 1 }, limits);
  world.receive(alice, { type: 'signal', targetId: '7', signal: 1 }, limits);
  expect(alice.heard.slice(-2)).toMatchObject([{ code: 'unknown_peer' }, { code: 'peer_away' }]);
  expect(finds.mock.calls.length).toBeLessThanOrEqual(4);
});

test('a poller that came under the id of a place which had lapsed unnoticed is not said to have left', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob', { token: 'token of bob' });
  world.drop(bob, true);
  world.pass(31); // and the alarm is late
  world.poll('bob');
  expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'bob', polling: true });
  world.lapse();
  expect([world.held, alice.view]).toEqual([[], ['bob']]);
});
