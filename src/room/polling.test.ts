import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS, packed, sessionOf, World } from '../../test/support/world.ts';
import type { ListedEntry, PollRequest, Session } from '../protocol/poll.ts';

const START = 1_790_000_000_000;
const hex = (digit: string): string => digit.repeat(32);

/** A reply as a client reads it. */
interface PollReply {
  ps: ListedEntry[];
  pk: unknown[][];
  dk?: string;
}

/** A room, and what pollers do in it. */
class Pollers {
  readonly world = new World();
  limits = { ...LIMITS, maxPeers: 10 };

  constructor() {
    this.world.now = START;
  }

  get now(): number {
    return this.world.now;
  }

  set now(now: number) {
    this.world.now = now;
  }

  get written(): number {
    return this.world.written;
  }

  look(contextId = ''): PollReply {
    return this.#poll({ roomId: 'lobby', contextId });
  }

  listen(contextId: string, sessionId: string, postedAt = this.now): PollReply {
    const { packages, ...session } = sessionOf(sessionId, postedAt);
    return this.#poll({ roomId: 'lobby', contextId, session });
  }

  post(contextId: string, sessionId: string, more: Partial<Session> = {}): PollReply {
    return this.#poll({ roomId: 'lobby', contextId, session: { ...sessionOf(sessionId, this.now), ...more } });
  }

  leave(contextId: string, sessionId: string, deleteKey = ''): number {
    return this.world.leaveByPoll({ roomId: 'lobby', contextId, sessionId, deleteKey }).status;
  }

  #poll(request: PollRequest): PollReply {
    const { status, body } = this.world.answer(request, this.limits);
    if (status !== 200) throw new Error(`${status} ${body}`);
    return JSON.parse(body);
  }
}

const idsIn = ({ ps }: PollReply): string[] => ps.map(([sessionId]) => sessionId);

describe('pollers', () => {
  test('two who post see each other and their packages, and nothing of their own', () => {
    const room = new Pollers();
    expect(room.look('a')).toEqual({ ps: [], pk: [] });
    const alice = room.post('a', 'alice');
    expect(alice).toEqual({ ps: [], pk: [], dk: expect.any(String) });
    const forAlice = ['alice', 'bob', 'ufrag', ['candidate']] as const;
    const forCarol = ['carol', 'bob', 'ufrag', ['candidate']] as const;
    const bob = room.post('b', 'bob', { packages: [packed(...forCarol), packed(...forAlice)] });
    expect(idsIn(bob)).toEqual(['alice']);
    expect(room.listen('a', 'alice')).toEqual({
      ps: [['bob', 'a label', false, `${'A'.repeat(43)}=`, 1, [], START]],
      pk: [forAlice],
    });
    expect(room.listen('a', 'alice').pk).toEqual([forAlice]); // until Bob posts anew
    expect(idsIn(room.look())).toEqual(['alice', 'bob']);
    expect(room.look().pk).toEqual([]);
    expect(bob.dk).not.toBe(alice.dk);
  });

  test('only a changed timestamp makes a post worth writing', () => {
    const room = new Pollers();
    const { dk } = room.post('a', 'alice');
    expect(room.post('a', 'alice', { packages: [packed('bob', 'alice')] }).dk).toBe(dk);
    room.listen('a', 'alice', START + 1);
    expect(room.written).toBe(1);
    room.now += 1;
    expect(room.post('a', 'alice', { packages: [packed('bob', 'alice')] }).dk).toBe(dk);
    expect(room.written).toBe(2);
    expect(room.listen('b', 'bob').pk).toEqual([['bob', 'alice']]);
  });

  test('a posting lapses to the millisecond, and its context begins anew', () => {
    const room = new Pollers();
    const { dk } = room.post('a', 'alice');
    room.now += 119_999;
    expect(idsIn(room.look())).toEqual(['alice']);
    room.now += 1;
    expect(idsIn(room.look())).toEqual([]);
    expect(room.leave('a', 'alice', dk)).toBe(404);
    expect(room.post('a', 'alice').dk).not.toBe(dk);
  });

  test('who reloads the page takes over its row, key and place in the line', () => {
    const room = new Pollers();
    const { dk } = room.post('a', 'alice');
    room.now += 1000;
    room.post('b', 'bob');
    room.now += 1000;
    expect(room.post('a', 'alice reloaded').dk).toBe(dk);
    expect(idsIn(room.look())).toEqual(['alice reloaded', 'bob']);
    expect(room.leave('a', 'alice', dk)).toBe(404);
    expect(room.leave('a', 'alice reloaded', dk)).toBe(200);
    expect(idsIn(room.look())).toEqual(['bob']);
  });

  test('one leaves by context, session and key together', () => {
    const room = new Pollers();
    const { dk = '' } = room.post('a', 'alice');
    for (const [context, session, key] of [
      ['b', 'alice', dk],
      ['a', 'bob', dk],
      ['a', '', dk],
      ['a', 'alice', ''],
      ['a', 'alice', `${dk}x`],
      ['a', 'alice', dk.replace(/.$/, 'x')],
    ] as const) {
      expect(room.leave(context, session, key)).toBe(404);
    }
    expect(room.leave('a', 'alice', dk)).toBe(200);
    expect(room.leave('a', 'alice', dk)).toBe(404);
  });

  test('nobody polls as another: not as a poller of another context, not as a socket', () => {
    const room = new Pollers();
    room.post('a', 'alice');
    room.world.join('sue');
    room.world.drop(room.world.join('dropped', { token: 't1' }), true);
    expect(() => room.listen('m', 'alice')).toThrow(/^409 Taken: /);
    expect(() => room.post('m', 'alice')).toThrow(/^409 /);
    expect(() => room.listen('m', 'sue')).toThrow(/^409 /);
    expect(() => room.post('m', 'sue')).toThrow(/^409 /);
    expect(() => room.listen('m', 'dropped')).toThrow(/^409 /);
    expect(() => room.listen('m', '~sue')).toThrow(/^409 /);
    expect(idsIn(room.listen('m', 'mallory'))).toEqual(['alice']);
    room.now += 120_000;
    expect(idsIn(room.look())).toEqual([]); // she has lapsed, and her session id is kept for her
    expect(() => room.listen('m', 'alice')).toThrow(/^409 /);
    expect(() => room.post('m', 'alice')).toThrow(/^409 /);
    expect(idsIn(room.post('a', 'alice'))).toEqual([]);
    room.now += 120_000 + 15 * 60_000;
    expect(idsIn(room.post('m', 'alice'))).toEqual([]);
  });

  test('a full room takes no newcomer, and goes on serving those in it', () => {
    const room = new Pollers();
    room.limits = { ...LIMITS, maxPeers: 3 };
    room.world.join('sue');
    const { dk } = room.post('a', 'alice');
    room.post('b', 'bob');
    expect(() => room.post('c', 'carol')).toThrow(/^503 Full: /);
    expect(idsIn(room.listen('c', 'carol'))).toEqual(['alice', 'bob']);
    room.now += 1;
    room.post('b', 'bob');
    expect(room.leave('a', 'alice', dk)).toBe(200);
    room.post('c', 'carol');
  });

  test('p2pcf and p2pcf.rn do not see each other', () => {
    const room = new Pollers();
    room.post('a', 'alice', { packages: [packed(hex('b'), 'alice')] });
    room.post('b', hex('b'), { packages: [packed('alice', hex('b'))] });
    room.post('c', hex('c'), { packages: [packed(hex('b'), hex('c'), 'offer', {})] });
    room.now += 1;
    const reply = room.post('b', hex('b'));
    expect(idsIn(reply)).toEqual([hex('c')]);
    expect(reply.pk).toEqual([[hex('b'), hex('c'), 'offer', {}]]);
    expect(room.listen('a', 'alice')).toEqual({ ps: [], pk: [] });
    expect(idsIn(room.look())).toEqual(['alice']);
  });

  test('p2pcf.rn, which posts every three seconds, is written when it has news and at half its time', () => {
    const room = new Pollers();
    const post = (packages: Session['packages'] = []): PollReply =>
      room.post('a', hex('a'), { keepMs: 60_000, packages });
    post();
    for (let polls = 0; polls < 9; polls++) {
      room.now += 3000;
      post();
    }
    expect(room.written).toBe(1);
    room.now += 3000;
    post();
    expect(room.written).toBe(2);
    post([packed(hex('b'), hex('a'), 'offer', {})]);
    expect(room.written).toBe(2); // the same millisecond is the same posting, as with p2pcf
    room.now += 3000;
    post([packed(hex('b'), hex('a'), 'offer', {})]);
    expect(room.listen('b', hex('b')).pk).toHaveLength(1);
    room.now += 3000;
    post();
    expect(room.listen('b', hex('b')).pk).toHaveLength(0);
    expect(room.written).toBe(4);
  });

  test('peers on sockets are shown with what they have for the poller, and hear of it', () => {
    const room = new Pollers();
    const sue = room.world.join('sue', { metadata: { client_id: 'a label' } });
    room.post('a', 'alice');
    const offer = { ufrag: 'ufrag', pwd: 'pwd', mid: '0', fingerprint: `${'A'.repeat(43)}=` };
    const pollerCredentials = { ufrag: 'their ufrag', pwd: 'their pwd' };
    sue.offers = [
      {
        pollerId: 'alice',
        offer,
        candidates: ['one'],
        isComplete: true,
        pollerCredentials,
        offeredAt: 7,
        isTaken: false,
      },
    ];
    const reply = room.listen('a', 'alice');
    expect(reply.ps).toEqual([['sue', 'a label', false, `${'A'.repeat(43)}=`, 1, [], 7]]);
    const fingerprint = `${'A'.repeat(43)}=`;
    expect(reply.pk).toEqual([['alice', 'sue', 'ufrag', 'pwd', fingerprint, 'their ufrag', 'their pwd', 7, ['one']]]);
    expect(sue.offers).toMatchObject([{ pollerId: 'alice', isTaken: true }]);
    expect(sue.heard.at(-1)).toMatchObject({ type: 'signal', fromId: 'alice', signal: { type: 'answer' } });
    expect(room.listen('b', 'bob').pk).toEqual([]);
  });
});

test('whatever happens, a poll tells of exactly the pollers that are there, and an idle poll writes nothing', () => {
  const contexts = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({ do: fc.constant('post' as const), context: contexts, keepMs: fc.integer({ min: 1, max: 900_000 }) }),
    fc.record({ do: fc.constant('leave' as const), context: contexts }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 600_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const room = new Pollers();
      const model = new Map<string, { until: number; dk: string | undefined; since: number; postedAt: number }>();
      let order = 0;
      for (const step of steps) {
        if (step.do === 'wait') room.now += step.ms;
        for (const [context, { until }] of model) if (until <= room.now) model.delete(context);
        if (step.do === 'post') {
          const { dk } = room.post(step.context, `session of ${step.context}`, { keepMs: step.keepMs });
          const known = model.get(step.context);
          const until = known?.postedAt === room.now ? known.until : room.now + step.keepMs;
          model.set(step.context, { until, dk, since: known?.since ?? order++, postedAt: room.now });
        }
        if (step.do === 'leave') {
          const known = model.get(step.context);
          expect(room.leave(step.context, `session of ${step.context}`, known?.dk)).toBe(known ? 200 : 404);
          model.delete(step.context);
        }
        const before = room.written;
        const present = [...model.keys()].map((context) => `session of ${context}`);
        expect(new Set(idsIn(room.look()))).toEqual(new Set(present));
        for (const context of ['a', 'b', 'c', 'd']) {
          const rest = present.filter((session) => session !== `session of ${context}`);
          expect(new Set(idsIn(room.listen(context, `session of ${context}`)))).toEqual(new Set(rest));
        }
        expect(room.written).toBe(before);
      }
    }),
  );
});

test('where there are others than pollers, a first look finds nobody, so that p2pcf posts itself at once', () => {
  const room = new Pollers();
  room.post('ca', 'a');
  expect(room.look().ps).toHaveLength(1);
  room.world.join('sue');
  expect(room.look()).toEqual({ ps: [], pk: [] });
  expect(room.listen('cb', 'b').ps).toHaveLength(1);
});

test('a few that post as much as they can for somebody do not keep what others post from it', () => {
  const room = new Pollers();
  room.limits = { ...room.limits, maxPeers: 128 };
  for (let n = 0; n < 20; n++) room.post(`m${n}`, `m${n}`, { packages: [packed('bob', `m${n}`, 'x'.repeat(63_000))] });
  for (let n = 20; n < 60; n++) room.post(`m${n}`, `m${n}`, { packages: Array(60).fill(packed('bob', `m${n}`)) });
  const offer = packed('bob', 'alice', 'x'.repeat(3_000));
  room.post('alice', 'alice', { packages: [offer] });
  expect(room.listen('bob', 'bob').pk).toContainEqual(JSON.parse(offer.json));
});

test('what others have posted for a poller is measured once, and no more of it than it is brought', () => {
  const room = new Pollers();
  room.limits = { ...room.limits, maxPeers: 128 };
  for (let n = 0; n < 30; n++) room.post(`m${n}`, `m${n}`, { packages: [packed('bob', `m${n}`, 'x'.repeat(63_000))] });
  let measured = 0;
  const text: { charCodeAt: (this: string, at: number) => number } = String.prototype;
  const { charCodeAt } = text;
  text.charCodeAt = function (at) {
    measured++;
    return charCodeAt.call(this, at);
  };
  try {
    expect(room.listen('bob', 'bob').pk).toHaveLength(8);
  } finally {
    text.charCodeAt = charCodeAt;
  }
  expect(measured).toBeGreaterThan(8 * 63_000);
  expect(measured).toBeLessThan(10 * 64_000);
});

test('a few that post as much as they can keep nobody out that posts its share', () => {
  const room = new Pollers();
  room.limits = { ...room.limits, maxPeers: 128 };
  const packages = (bytes: number, id: string) => [packed('bob', id, 'x'.repeat(bytes))];
  room.post('polly', 'polly');
  let full = 0;
  for (let n = 0; n < 60; n++) {
    try {
      room.post(`m${n}`, `m${n}`, { packages: packages(63_000, `m${n}`) });
    } catch (error) {
      expect(String(error)).toMatch(/503 Full: the pollers in this room have posted/);
      full++;
    }
  }
  expect(full).toBe(27); // 33 fill two MiB
  room.now += 60_000;
  expect(room.post('polly', 'polly', { packages: packages(15_000, 'polly') }).dk).toBeDefined();
  expect(room.post('paul', 'paul', { packages: packages(15_000, 'paul') }).dk).toBeDefined();
  expect(() => room.post('paula', 'paula', { packages: packages(17_000, 'paula') })).toThrow('503');
});

test.each([10, 128])('six MiB of small postings end at two MiB and 503, where %i peers fit', (maxPeers) => {
  const world = new World();
  const share = Math.floor((2 * 1024 * 1024) / maxPeers);
  const answers = Array.from({ length: 3 * maxPeers }, (_, n) => {
    const id = `m${n}`;
    const packages = [packed('bob', id, 'x'.repeat(share - 500))];
    const session = { ...sessionOf(id, world.now), packages, keepMs: 900_000 };
    world.pass(0.6); // so that it is not the rate that ends it
    return world.answer({ roomId: 'lobby', contextId: id, session }, { ...LIMITS, maxPeers });
  });
  expect(answers.findIndex(({ status }) => status !== 200)).toBe(maxPeers);
  for (const refusal of answers.slice(maxPeers)) expect(refusal).toMatchObject({ status: 503, retryAfterSeconds: 30 });
  expect(JSON.stringify(world.posted).length).toBeLessThan(2.1 * 1024 * 1024);
});

test('of pollers that come again and again under other sessions, members are owed 8 MiB and what they leave behind', () => {
  const world = new World();
  const limits = { ...LIMITS, maxPeers: 128 };
  const members = Array.from({ length: 120 }, (_, n) => world.join(`m${n}`, {}, limits));
  const heard = (): number => members.reduce((sum, member) => sum + JSON.stringify(member.heard.slice(120)).length, 0);
  const statuses = new Set<number>();
  for (let n = 0; n < 140; n++) {
    const session = sessionOf(String(n).padEnd(64, '"'), world.now + n);
    const entry = { ...session.entry, clientId: '\u0001'.repeat(64) };
    const request = { roomId: 'lobby', contextId: `c${n % 7}`, session: { ...session, entry } };
    statuses.add(world.answer(request, limits).status);
  }
  expect([...statuses]).toEqual([200, 429]);
  expect(heard()).toBeLessThan(9 * 1024 * 1024);
  world.pass(10);
  const request = { roomId: 'lobby', contextId: 'c8', session: sessionOf('polly', world.now) };
  expect(world.answer(request, limits).status).toBe(200);
});
