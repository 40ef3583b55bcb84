import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ServerMessage } from '../protocol/messages.ts';
import { type Effect, join, type Limits, leave, type Member, type Roster, receive } from './room.ts';

const LIMITS: Limits = { maxPeers: 4, maxMessageBytes: 1000, messagesPerSecond: 0 };

/** A socket as a plain object: what it heard, and how it was closed. */
class TestMember implements Member {
  readonly bucket = { spent: 0, at: 0 };
  readonly heard: ServerMessage[] = [];
  readonly id: string;
  lastSeen: number | undefined;
  metadata: unknown;
  offer: unknown;
  closeCode: number | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /** Who it thinks is here, by what it heard. */
  get view(): string[] {
    const ids = new Set<string>();
    for (const message of this.heard) {
      if (message.type === 'peers') for (const id of message.peers) ids.add(id);
      if (message.type === 'peer_join') ids.add(message.clientId);
      if (message.type === 'peer_leave') ids.delete(message.clientId);
    }
    return [...ids].sort();
  }
}

/** A room whose sockets are an array. */
class World implements Roster<TestMember> {
  now = 1_000_000;
  members: TestMember[] = [];
  touchedAll = 0;

  find(id: string): TestMember | undefined {
    return this.members.find((member) => member.id === id);
  }

  others(than: TestMember): TestMember[] {
    this.touchedAll++;
    return this.members.filter((member) => member !== than);
  }

  countOthers(): number {
    return this.members.length - 1;
  }

  join(id: string, limits = LIMITS, wantsOffers = false, metadata?: unknown): TestMember {
    const joiner = new TestMember(id);
    joiner.metadata = metadata;
    this.members.push(joiner);
    this.apply(join(joiner, this, limits, this.now, wantsOffers));
    return joiner;
  }

  leave(member: TestMember): void {
    this.members = this.members.filter((other) => other !== member);
    this.apply(leave(member, this, this.now));
  }

  receive(sender: TestMember, message: unknown, limits = LIMITS): void {
    this.apply(
      receive(typeof message === 'string' ? message : JSON.stringify(message), sender, this, limits, this.now),
    );
  }

  apply(effects: Effect<TestMember>[]): void {
    for (const effect of effects) {
      if ('close' in effect) {
        effect.member.closeCode = effect.close.code;
        this.members = this.members.filter((other) => other !== effect.member);
      } else if ('keep' in effect) {
        effect.member.offer = effect.keep;
      } else {
        for (const member of effect.to) member.heard.push(effect.send);
      }
    }
  }
}

type Step =
  | { do: 'join'; id: string }
  | { do: 'leave'; who: number }
  | { do: 'ping'; who: number }
  | { do: 'wait'; seconds: number }
  | { do: 'signal'; who: number; targetId: string }
  | { do: 'broadcast'; who: number };

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const who = fc.nat(10);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join' as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ping' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(1, 100, 149, 151) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('signal' as const), who, targetId: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('broadcast' as const), who }) },
);

test('whatever happens, everyone knows who is here, and signals reach whom they should', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = new World();
      for (const [n, step] of steps.entries()) {
        const before = new Map(world.members.map((member) => [member, member.heard.length]));
        const member = 'who' in step ? world.members[step.who % Math.max(1, world.members.length)] : undefined;
        if (step.do === 'join') world.join(step.id);
        if (step.do === 'wait') world.now += step.seconds * 1000;
        if (member && step.do === 'leave') world.leave(member);
        if (member && step.do === 'ping') member.lastSeen = world.now;
        if (member && step.do === 'signal')
          world.receive(member, { type: 'signal', targetId: step.targetId, signal: n });
        if (member && step.do === 'broadcast') world.receive(member, { type: 'broadcast', data: n });

        const ids = world.members.map(({ id }) => id);
        expect(new Set(ids).size, 'one socket per id').toBe(ids.length);
        expect(ids.length).toBeLessThanOrEqual(LIMITS.maxPeers);
        for (const present of world.members) {
          expect(present.closeCode).toBeUndefined();
          expect(present.view).toEqual(ids.filter((id) => id !== present.id).sort());
          const news = present.heard.slice(before.get(present) ?? 0);
          const carried = news.filter(({ type }) => type === 'signal' || type === 'broadcast');
          const isTarget = step.do === 'signal' && present.id === step.targetId;
          const isAddressed = isTarget || (step.do === 'broadcast' && present !== member);
          const payload = step.do === 'signal' ? { type: 'signal', signal: n } : { type: 'broadcast', data: n };
          expect(carried).toEqual(isAddressed && member ? [{ ...payload, fromId: member.id }] : []);
          const leaves = news.flatMap((message) => (message.type === 'peer_leave' ? [message.clientId] : []));
          expect(new Set(leaves).size, 'a departure is told once').toBe(leaves.length);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

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
  for (const id of ['a', 'b', 'c', 'd']) world.join(id).lastSeen = world.now;
  world.now += 150_001;
  expect(world.join('e').heard).toEqual([{ type: 'peers', peers: [], yourId: 'e' }]);
});

test('a broadcast costs one token per recipient', () => {
  const world = new World();
  const limits = { maxPeers: 101, maxMessageBytes: 1000, messagesPerSecond: 50 };
  const [alice, bob] = Array.from({ length: 101 }, (_, n) => world.join(`peer ${n}`, limits));
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

test('one that goes on flooding is closed 4008 and leaves once', () => {
  const world = new World();
  const limits = { ...LIMITS, messagesPerSecond: 50 };
  const alice = world.join('alice');
  const bob = world.join('bob');
  for (let n = 0; n < 2000 && alice.closeCode === undefined; n++) world.receive(alice, 'nonsense', limits);
  expect(alice.closeCode).toBe(4008);
  expect(alice.heard.filter((message) => message.type === 'error' && message.code === 'bad_json')).toHaveLength(520);
  expect(bob.heard.filter(({ type }) => type === 'peer_leave')).toHaveLength(1);
});

test('an offer published ahead is handed out once, to one who asks, and its owner hears of it', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob');
  world.receive(alice, { type: 'ahead', offer: { sdp: 'old' } });
  world.receive(alice, { type: 'ahead', offer: { sdp: 'new' } });
  expect(world.join('bare').heard).toEqual([{ type: 'peers', peers: ['alice', 'bob'], yourId: 'bare' }]);
  expect(alice.heard.at(-1)).toEqual({ type: 'peer_join', clientId: 'bare', timestamp: world.now });
  const dora = world.join('dora', LIMITS, true);
  expect(dora.heard).toMatchObject([{ peers: ['alice', 'bob', 'bare'], offers: { alice: { sdp: 'new' } } }]);
  expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_join', clientId: 'dora', offerTaken: true });
  expect(bob.heard.at(-1)).toEqual({ type: 'peer_join', clientId: 'dora', timestamp: world.now });
  world.leave(dora);
  expect(world.join('erin', LIMITS, true).heard).toEqual([
    { type: 'peers', peers: ['alice', 'bob', 'bare'], yourId: 'erin' },
  ]);
});

test('one joiner takes at most 32 offers', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 100, maxMessageBytes: 100_000 };
  const residents = Array.from({ length: 40 }, (_, n) => world.join(`peer ${n}`, limits));
  for (const resident of residents) world.receive(resident, { type: 'ahead', offer: resident.id }, limits);
  const [welcome] = world.join('first', limits, true).heard;
  expect(Object.keys(Object(welcome).offers)).toEqual(residents.slice(0, 32).map(({ id }) => id));
  const [next] = world.join('second', limits, true).heard;
  expect(Object.keys(Object(next).offers)).toEqual(residents.slice(32).map(({ id }) => id));
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

test('metadata is told to the others and to those who come later, whatever the id', () => {
  const world = new World();
  const alice = world.join('__proto__', LIMITS, false, { name: 'Alice' });
  const bob = world.join('bob', LIMITS, false, null);
  expect(alice.heard.at(-1)).toEqual({ type: 'peer_join', clientId: 'bob', timestamp: world.now, metadata: null });
  expect(JSON.stringify(bob.heard)).toContain('"metadata":{"__proto__":{"name":"Alice"}}');
});

test('our own bugs are not answered as bad input', () => {
  const world = new World();
  const alice = world.join('alice');
  world.find = () => {
    throw new TypeError('a bug');
  };
  expect(() => world.receive(alice, { type: 'signal', targetId: 'bob', signal: 1 })).toThrow('a bug');
});
