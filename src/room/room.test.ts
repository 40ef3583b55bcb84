import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ServerMessage } from '../protocol/messages.ts';
import type { Posting } from './board.ts';
import type { Crossing } from './bridge.ts';
import {
  drop,
  type Effect,
  join,
  type Limits,
  lapse,
  leave,
  type Member,
  type Place,
  type Roster,
  receive,
  turnOver,
} from './room.ts';

const LIMITS: Limits = {
  maxPeers: 4,
  maxMessageBytes: 1000,
  messagesPerSecond: 0,
  graceSeconds: 30,
  ghostAfterSeconds: 150,
};

/** A socket as a plain object: what it heard, and how it was closed. */
class TestMember implements Member {
  readonly bucket = { spent: 0, at: 0 };
  readonly heard: ServerMessage[] = [];
  readonly id: string;
  readonly token: string | undefined;
  readonly metadata: unknown;
  pings = false;
  lastSeen: number;
  offer: unknown;
  closeCode: number | undefined;
  closeReason: string | undefined;

  constructor(id: string, { token, metadata }: Entry, now: number) {
    this.id = id;
    this.token = token;
    this.metadata = metadata;
    this.lastSeen = now;
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

/** How one joins. */
interface Entry {
  wantsOffers?: boolean;
  metadata?: unknown;
  token?: string | undefined;
}

/** A room whose sockets are an array. */
class World implements Roster<TestMember> {
  now = 1_000_000;
  members: TestMember[] = [];
  places: Place[] = [];
  board: Posting[] = [];
  offers: Crossing[] = [];
  touchedAll = 0;

  find(id: string): TestMember | undefined {
    return this.members.find((member) => member.id === id);
  }

  others(than?: TestMember): TestMember[] {
    this.touchedAll++;
    return this.members.filter((member) => member !== than);
  }

  held(): Place[] {
    return this.places;
  }

  pollers(): Posting[] {
    return this.board;
  }

  crossings(pollerId: string): Crossing[] {
    return this.offers.filter((crossing) => crossing.pollerId === pollerId);
  }

  countOthers(): number {
    return this.members.length - 1;
  }

  join(id: string, entry: Entry = {}, limits = LIMITS): TestMember {
    const joiner = new TestMember(id, entry, this.now);
    this.members.push(joiner);
    this.apply(join(joiner, this, limits, this.now, entry.wantsOffers));
    return joiner;
  }

  leave(member: TestMember): void {
    this.members = this.members.filter((other) => other !== member);
    this.apply(leave(member, 'left', this, LIMITS, this.now));
  }

  drop(member: TestMember): void {
    this.members = this.members.filter((other) => other !== member);
    this.apply(drop(member, this, LIMITS, this.now));
  }

  ping(member: TestMember): void {
    member.pings = true;
    member.lastSeen = this.now;
  }

  pass(seconds: number): void {
    this.now += seconds * 1000;
  }

  /** What the alarm does. */
  lapse(): void {
    this.apply(lapse(this, LIMITS, this.now));
  }

  receive(sender: TestMember, message: unknown, limits = LIMITS): void {
    sender.lastSeen = this.now;
    const frame = typeof message === 'string' ? message : JSON.stringify(message);
    this.apply(receive(frame, sender, this, limits, this.now, () => 'k'.repeat(32)));
  }

  /** Those who poll are these from now on. */
  poll(...ids: string[]): void {
    const before = this.board;
    this.board = ids.map((sessionId) => ({
      contextId: sessionId,
      entry: {
        sessionId,
        clientId: 'MyUsername',
        isSymmetric: false,
        fingerprint: `${'A'.repeat(43)}=`,
        startedAt: 1,
        reflexiveIps: [],
      },
      postedAt: this.now,
      packages: [],
    }));
    this.apply(turnOver(before, this.board, 'left', this, LIMITS, this.now));
  }

  apply(effects: Effect<TestMember>[]): void {
    for (const effect of effects) {
      if ('close' in effect) {
        effect.member.closeCode = effect.close.code;
        effect.member.closeReason = effect.close.reason;
        this.members = this.members.filter((other) => other !== effect.member);
      } else if ('keep' in effect) {
        effect.member.offer = effect.keep;
      } else if ('hold' in effect) {
        this.places = [...this.places.filter(({ id }) => id !== effect.hold.id), effect.hold];
      } else if ('release' in effect) {
        expect(this.places).toContain(effect.release);
        this.places = this.places.filter((place) => place !== effect.release);
      } else if ('cross' in effect) {
        const { socketId, pollerId } = effect.cross;
        this.offers = this.offers.filter((each) => each.socketId !== socketId || each.pollerId !== pollerId);
        this.offers.push(effect.cross);
      } else if ('uncross' in effect) {
        expect(this.offers).toContain(effect.uncross);
        this.offers = this.offers.filter((each) => each !== effect.uncross);
      } else {
        for (const member of effect.to) member.heard.push(effect.send);
      }
    }
  }
}

type Step =
  | { do: 'join'; id: string; with: 'nothing' | 'a new token' | 'the last token' | 'a wrong token' }
  | { do: 'leave' | 'drop' | 'ping' | 'broadcast'; who: number }
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
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drop'), who }) },
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
          const place = world.places.find(({ id, until }) => id === step.id && until > world.now);
          const ownerToken = isGhost ? undefined : (live ?? place)?.token;
          const joiner = world.join(step.id, { token });
          const [welcome] = joiner.heard;
          const isPoller = world.board.some(({ entry }) => entry.sessionId === step.id);
          const isRefused = ownerToken !== undefined && ownerToken !== token;
          expect(joiner.closeCode === 4009).toBe(isRefused || isPoller);
          if (isRefused) {
            expect(world.find(step.id)).toBe(live);
            expect(world.places.find(({ id }) => id === step.id)).toBe(place);
            expect(joiner.closeReason).toBe(
              live ? 'Id is taken' : `Id is held for ${Math.ceil(((place?.until ?? 0) - world.now) / 1000)} s`,
            );
          }
          const isResumed = ownerToken !== undefined && ownerToken === token;
          if (isResumed) expect(welcome).toMatchObject({ type: 'peers', resumed: true, resumeToken: token });
          else if (token !== undefined && welcome)
            expect(welcome).toMatchObject({ resumed: false, resumeToken: token });
          else if (welcome) {
            const more = world.board.length > 0 ? ['metadata', 'polling'] : [];
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
          const free = LIMITS.maxPeers - world.members.length - world.places.length;
          const taken = [...world.members, ...world.places].map(({ id }) => id);
          world.poll(...step.ids.filter((id) => !taken.includes(id)).slice(0, free));
        }
        if (member && step.do === 'leave') world.leave(member);
        if (member && step.do === 'drop') world.drop(member);
        if (member && step.do === 'ping') world.ping(member);
        if (member && step.do === 'signal')
          world.receive(member, { type: 'signal', targetId: step.targetId, signal: n });
        if (member && step.do === 'broadcast') world.receive(member, { type: 'broadcast', data: n });

        const polling = world.board.map(({ entry }) => entry.sessionId);
        const ids = [...[...world.members, ...world.places].map(({ id }) => id), ...polling];
        expect(new Set(ids).size, 'one socket or place per id').toBe(ids.length);
        expect(ids.length).toBeLessThanOrEqual(LIMITS.maxPeers);
        if (step.do === 'lapse') expect(world.places.filter(({ until }) => until <= world.now)).toEqual([]);
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
            const isAway = world.places.some(({ id, until }) => id === step.targetId && until > world.now);
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

test('one that drops and is back within the grace was never away, for the others', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob', { token: 't1', metadata: 7 });
  const heard = alice.heard.length;
  world.pass(5);
  world.drop(bob);
  expect(world.places).toEqual([{ id: 'bob', token: 't1', metadata: 7, until: world.now + 25_000 }]);
  world.pass(24);
  world.receive(alice, { type: 'signal', targetId: 'bob', signal: 1 });
  expect(alice.heard.splice(heard)).toMatchObject([{ type: 'error', code: 'peer_away', targetId: 'bob' }]);
  const carol = world.join('carol');
  expect(carol.heard).toEqual([{ type: 'peers', peers: ['alice', 'bob'], yourId: 'carol', metadata: { bob: 7 } }]);
  expect(world.join('bob', { token: 't1' }).heard).toEqual([
    { type: 'peers', peers: ['alice', 'carol'], yourId: 'bob', resumeToken: 't1', resumed: true, graceSeconds: 30 },
  ]);
  expect(world.places).toEqual([]);
  expect(alice.heard.slice(heard)).toMatchObject([{ type: 'peer_join', clientId: 'carol' }]);
  expect(carol.heard).toHaveLength(1);
});

test('one that does not come back has timed out, one that says goodbye has left', () => {
  const world = new World();
  const alice = world.join('alice');
  const bob = world.join('bob', { token: 't1' });
  world.drop(bob);
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
    world.drop(bob);
    expect(world.places).toEqual([]);
    expect(alice.heard.at(-1)).toMatchObject({ type: 'peer_leave', clientId: bob.id, reason: 'timeout' });
  }
});

test('held places count towards a full room, and a return is never refused for it', () => {
  const world = new World();
  for (const id of ['a', 'b', 'c', 'd']) world.join(id, { token: `token of ${id}` });
  const d = world.find('d');
  if (d) world.drop(d);
  expect(world.join('e').closeCode).toBe(4003);
  expect(world.join('d', { token: 'token of d' }).closeCode).toBeUndefined();
  const limits = { ...LIMITS, maxPeers: 1 };
  expect(world.join('a', { token: 'token of a' }, limits).closeCode).toBeUndefined();
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
  for (const id of ['a', 'b', 'c', 'd']) world.ping(world.join(id));
  world.pass(151);
  expect(world.join('e').heard).toEqual([{ type: 'peers', peers: [], yourId: 'e' }]);
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
  const alice = world.join('__proto__', { metadata: { name: 'Alice' } });
  const bob = world.join('bob', { metadata: null });
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

test('those who poll count towards the fullness of a room', () => {
  const world = new World();
  world.poll('p1', 'p2', 'p3');
  const alice = world.join('alice');
  expect(alice.heard).toMatchObject([{ type: 'peers', peers: ['p1', 'p2', 'p3'], polling: ['p1', 'p2', 'p3'] }]);
  expect(world.join('bob').closeCode).toBe(4003);
  world.poll('p1', 'p2');
  expect(world.join('bob').closeCode).toBeUndefined();
});
