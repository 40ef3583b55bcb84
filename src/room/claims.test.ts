/** What a room makes of tokens: whose an id is, and who is put out when a token has expired. */
import { describe, expect, test } from 'vitest';
import { LIMITS, sessionOf, type TestMember, World } from '../../test/support/world.ts';

const EXPIRED = { closeCode: 4401, closeReason: 'The token has expired' };
const alice = { sub: 'alice@example.com' };
const mallory = { sub: 'mallory@example.com' };

test('the others are told the subject that is verified, however somebody came', () => {
  const world = new World();
  const resident = world.join('resident');
  world.join('a', { claims: alice, metadata: { verified: mallory } });
  expect(resident.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'a', verified: alice });
  world.join('b', { claims: {}, metadata: { verified: alice } });
  expect(resident.heard.at(-1)).not.toHaveProperty('verified');
  const session = sessionOf('p', world.now);
  world.answer({ roomId: 'lobby', contextId: 'p', session }, { ...LIMITS, maxPeers: 10 }, mallory);
  expect(resident.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'p', verified: mallory });
  const late = world.join('late', {}, { ...LIMITS, maxPeers: 10 });
  expect(late.heard).toMatchObject([{ type: 'peers', verified: { a: alice, p: mallory } }]);
  expect(Object.keys(Object(late.heard[0]).verified)).toEqual(['a', 'p']);
});

test('in a room without tokens nobody hears of any', () => {
  const world = new World();
  const resident = world.join('a');
  expect(world.join('b').heard[0]).not.toHaveProperty('verified');
  expect(resident.heard.at(-1)).not.toHaveProperty('verified');
});

describe.each([
  ['while it is connected', () => undefined],
  ['while its place is held', (world: World, held: TestMember) => world.drop(held, true)],
  [
    'when it is back',
    (world: World, held: TestMember) => {
      world.drop(held, true);
      world.join(held.id, { token: 't1', claims: alice });
    },
  ],
] satisfies [string, (world: World, held: TestMember) => unknown][])('%s an id is its subject’s', (_when, before) => {
  test.each([
    ['nobody', {}],
    ['another', { claims: mallory }],
    ['a token without a subject', { claims: {} }],
    ['another with the same resume token', { claims: mallory, token: 't1' }],
    ['nobody with the same resume token', { token: 't1' }],
  ])('%s does not get it', (_who, entry) => {
    const world = new World();
    const other = world.join('other');
    before(world, world.join('id', { token: 't1', claims: alice }));
    const heard = other.heard.length;
    expect(world.join('id', entry).closeCode).toBe(4009);
    expect(other.heard.length).toBe(heard);
    expect(world.join('id', { token: 't1', claims: alice }).heard).toMatchObject([{ type: 'peers', resumed: true }]);
  });
});

test('without a resume token the same subject takes its id over, and nobody else', () => {
  const world = new World();
  const first = world.join('id', { claims: alice });
  expect(world.join('id', { claims: mallory }).closeCode).toBe(4009);
  expect(first.closeCode).toBeUndefined();
  expect(world.join('id', { claims: alice }).closeCode).toBeUndefined();
  expect(first.closeCode).toBe(4000);
});

test('who comes back with a subject where it had none is announced anew', () => {
  const world = new World();
  const other = world.join('other');
  world.drop(world.join('id', { token: 't1' }), true);
  expect(world.join('id', { token: 't1', claims: alice }).heard).toMatchObject([{ type: 'peers', resumed: false }]);
  expect(other.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'id', verified: alice });
});

test('a session id that a subject polls under is not another’s who knows the context', () => {
  const world = new World();
  const post = (claims: object): number =>
    world.answer({ roomId: 'lobby', contextId: 'context', session: sessionOf('p', world.now) }, LIMITS, claims).status;
  expect(post(alice)).toBe(200);
  expect(post(mallory)).toBe(409);
  expect(post({})).toBe(409);
  expect(post(alice)).toBe(200);
});

describe('a member whose token has expired', () => {
  const SOON = 1_000_000 + 5_000;

  test.each([
    [
      'speaks',
      (world: World, _other: TestMember, old: TestMember) => world.receive(old, { type: 'broadcast', data: 1 }),
    ],
    [
      'is spoken to',
      (world: World, other: TestMember) => world.receive(other, { type: 'signal', targetId: 'old', signal: 1 }),
    ],
    ['hears a broadcast', (world: World, other: TestMember) => world.receive(other, { type: 'broadcast', data: 1 })],
    ['sees somebody come', (world: World) => world.join('new')],
    ['sees somebody poll', (world: World) => world.poll(`p${world.now}`)],
    ['sees somebody go', (world: World) => world.leave(world.join('new'))],
    ['is looked at by the alarm', (world: World) => world.lapse()],
  ])('is put out when it %s', (_what, wake) => {
    const world = new World();
    const other = world.join('other');
    const old = world.join('old', { claims: { until: SOON }, token: 't1' });
    const young = world.join('young', { claims: { until: SOON + 60_000 } });
    wake(world, other, old);
    expect(old.closeCode).toBeUndefined();
    world.pass(5);
    wake(world, other, old);
    expect(old).toMatchObject(EXPIRED);
    const heard = old.heard.filter(({ type }) => type === 'signal' || type === 'broadcast').length;
    expect(heard).toBeLessThanOrEqual(1); // what came before it had expired
    expect(young.closeCode).toBeUndefined();
    expect(other.heard).toContainEqual({
      type: 'peer_leave',
      clientId: 'old',
      timestamp: world.now,
      reason: 'timeout',
    });
  });

  test('comes back to its place with a new one, and its id is free for others', () => {
    for (const [entry, isResumed] of [
      [{ token: 't1', claims: {} }, true],
      [{ token: 't2', claims: {} }, false],
      [{ claims: {} }, undefined],
    ] as const) {
      const world = new World();
      world.join('id', { claims: { until: SOON }, token: 't1' });
      world.pass(5);
      const next = world.join('id', entry);
      expect([next.closeCode, Object(next.heard[0]).resumed]).toEqual([undefined, isResumed]);
      world.join('other');
      expect(next.closeCode).toBeUndefined();
    }
  });

  test('polls no longer than its token lasts', () => {
    const world = new World();
    const other = world.join('other');
    const session = sessionOf('p', world.now);
    world.answer({ roomId: 'lobby', contextId: 'p', session }, LIMITS, { until: SOON });
    expect(world.posted).toMatchObject([{ expiresAt: SOON }]);
    expect(other.view).toEqual(['p']);
  });
});
