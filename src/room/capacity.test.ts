/** How many peers a room takes: by whoever opened it, by a token, by the server. */
import { expect, test } from 'vitest';
import { LIMITS, sessionOf, World } from '../../test/support/world.ts';

const LARGE = { ...LIMITS, maxPeers: 10 };

test('the client that opens the room fixes its limit, and later ones neither raise nor lower it', () => {
  const world = new World();
  const opener = world.join('a', { maxPeers: 3 }, LARGE);
  world.join('b', { maxPeers: 1 }, LARGE);
  world.join('c', { maxPeers: 9 }, LARGE);
  expect(world.join('d', { maxPeers: 9 }, LARGE)).toMatchObject({
    closeCode: 4003,
    closeReason: 'Room is full: 3 peers',
    heard: [],
  });
  world.leave(opener);
  expect(world.join('d', {}, LARGE).closeCode).toBeUndefined();
  expect(world.join('e', { maxPeers: 9 }, LARGE).closeReason).toBe('Room is full: 3 peers');
});

test('a place that is held keeps the limit, counts, and is come back to; an empty room is opened anew', () => {
  const world = new World();
  world.drop(world.join('a', { maxPeers: 2, token: 't1' }, LARGE), true);
  world.join('b', { maxPeers: 9 }, LARGE);
  expect(world.join('c', {}, LARGE).closeCode).toBe(4003);
  const back = world.join('a', { maxPeers: 9, token: 't1' }, LARGE);
  expect(back.closeCode).toBeUndefined();
  expect(world.join('c', {}, LARGE).closeReason).toBe('Room is full: 2 peers');
  for (const member of [...world.members]) world.leave(member);
  world.join('d', { maxPeers: 3 }, LARGE);
  expect(world.members[0]?.maxPeers).toBe(3);
});

test('a room that was opened without a limit has the server’s, whatever later ones say', () => {
  const world = new World();
  for (const id of ['a', 'b', 'c', 'd'])
    expect(world.join(id, { maxPeers: id === 'a' ? 99 : 2 }).closeCode).toBe(undefined);
  expect(world.join('e').closeReason).toBe('Room is full: 4 peers');
  const open = new World();
  open.join('a');
  open.join('b', { maxPeers: 1 });
  expect(open.join('c').closeCode).toBeUndefined();
});

test('the max of a token counts for its bearer in place of the room’s, below the server’s', () => {
  const world = new World();
  world.join('a', { maxPeers: 2 }, LARGE);
  world.join('b', { claims: { max: 3 } }, LARGE);
  expect(world.join('c', { claims: {} }, LARGE).closeReason).toBe('Room is full: 2 peers');
  expect(world.join('c', { claims: { max: 2 }, maxPeers: 9 }, LARGE).closeReason).toBe('Room is full: 2 peers');
  expect(world.join('c', { claims: { max: 3 } }, LARGE).closeCode).toBeUndefined();
  expect(world.join('d', { claims: { max: 99 } }, { ...LIMITS, maxPeers: 3 }).closeReason).toBe(
    'Room is full: 3 peers',
  );
  const opened = new World();
  opened.join('a', { claims: { max: 2 }, maxPeers: 9 }, LARGE);
  opened.join('b', {}, LARGE);
  expect(opened.join('c', {}, LARGE).closeReason).toBe('Room is full: 2 peers');
});

test('a member makes room for another only where that is enough', () => {
  const world = new World();
  for (const id of ['a', 'b', 'c']) world.join(id, {}, LARGE);
  world.pass(61);
  expect(world.join('d', { claims: { max: 2 } }, LARGE).closeCode).toBe(4003);
  expect(world.members).toHaveLength(3);
  expect(world.join('d', { claims: { max: 3 } }, LARGE).closeCode).toBeUndefined();
  expect(world.members).toHaveLength(3);
});

test('pollers count and are counted', () => {
  const world = new World();
  const post = (id: string, claims?: object): unknown =>
    world.answer({ roomId: 'lobby', contextId: id, session: sessionOf(id, world.now) }, LARGE, claims);
  world.join('a', { maxPeers: 2 }, LARGE);
  expect(post('p')).toMatchObject({ status: 200 });
  expect(post('q')).toMatchObject({ status: 503, body: expect.stringContaining('its 2 peers') });
  expect(world.join('b', {}, LARGE).closeReason).toBe('Room is full: 2 peers');
  expect(post('q', { max: 3 })).toMatchObject({ status: 200 });
});

test.each(['a socket', 'a poller'])('%s is not kept out by ghosts, nor by the mute once a minute is over', (comer) => {
  const world = new World();
  const comes = (id: string): boolean => {
    if (comer === 'a socket') return world.join(id).closeCode === undefined;
    return world.answer({ roomId: 'lobby', contextId: id, session: sessionOf(id, world.now) }).status === 200;
  };
  const [opener, ghost, mute, witness] = ['opener', 'ghost', 'mute', 'witness'].map((id) =>
    world.join(id, { maxPeers: 4 }),
  );
  if (!opener || !ghost || !mute || !witness) throw new Error('somebody has not come in');
  world.ping(ghost);
  world.pass(151);
  world.ping(opener);
  world.ping(witness);
  expect(comes('first')).toBe(true);
  expect([ghost.closeCode, mute.closeCode]).toEqual([4006, undefined]);
  expect(comes('second')).toBe(true);
  expect(mute.closeCode).toBe(4006);
  expect(comes('third')).toBe(false);
  expect(witness.view).toEqual(['first', 'opener', 'second']);
  const left = witness.heard.filter(({ type }) => type === 'peer_leave');
  expect(left).toMatchObject([{ clientId: 'ghost' }, { clientId: 'mute' }]);
  expect(mute.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'first' });
});

test('many that are put out for the metadata of one are not told of each other', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 1_000 };
  const witness = world.join('witness', {}, limits);
  world.ping(witness);
  // 262,144 characters in all is the most: large ones that stay, and small ones that say nothing.
  for (let n = 0; n < 109; n++) world.ping(world.join(`large ${n}`, { metadata: 'x'.repeat(2_390) }, limits));
  const mutes = Array.from({ length: 400 }, (_, n) => world.join(`mute ${n}`, { metadata: 1 }, limits));
  world.pass(61);
  for (const { id } of world.members) if (!id.startsWith('mute')) world.ping(world.find(id) ?? witness);
  expect(world.join('last', { metadata: 'x'.repeat(1_400) }, limits).closeCode).toBeUndefined();
  const gone = mutes.filter(({ closeCode }) => closeCode === 4006);
  expect(gone.length).toBeGreaterThan(300);
  const farewells = gone.flatMap(({ heard }) => heard.filter(({ type }) => type === 'peer_leave'));
  expect(farewells).toEqual([]);
  const others = world.members.filter((member) => member !== witness);
  expect(witness.view).toEqual(others.map(({ id }) => id).sort());
});
