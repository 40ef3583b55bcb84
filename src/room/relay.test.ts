import { expect, test } from 'vitest';
import { LIMITS, World } from '../../test/support/world.ts';

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
  expect(alice.offer).toBe('x'.repeat(8190));
});

test('our own bugs are not answered as bad input', () => {
  const world = new World();
  const alice = world.join('alice');
  world.find = () => {
    throw new TypeError('a bug');
  };
  expect(() => world.receive(alice, { type: 'signal', targetId: 'bob', signal: 1 })).toThrow('a bug');
});
