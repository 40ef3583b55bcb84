/** What a room makes of tokens: whose an id is, and who is put out when a token has expired. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { claimsOf, LIMITS, sessionOf, type TestMember, World } from '../../test/support/world.ts';
import { bearerOf, type Claims } from './token-claims.ts';

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

/** A member whose place is held when it is lost. */
function joinedOwner(world: World): TestMember {
  const owner = world.join('owner', { token: 't9' });
  owner.speaks = true;
  return owner;
}

function pollAgain(world: World): void {
  world.answer({ roomId: 'lobby', contextId: 'context', session: sessionOf('p', 1_000_000) });
}

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
    [
      'is not spoken to',
      (world: World, other: TestMember) => world.receive(other, { type: 'signal', targetId: 'young', signal: 1 }),
    ],
    ['sees an offer published ahead', (world: World, other: TestMember) => world.receive(other, { type: 'ahead' })],
    ['sees bad input', (world: World, other: TestMember) => world.receive(other, '{')],
    ['sees somebody lost', (world: World) => world.drop(joinedOwner(world))],
    ['sees a poll like the one before', (world: World) => pollAgain(world)],
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

interface Token extends Omit<Partial<Claims>, 'until'> {
  readonly seconds: number;
}

type Step =
  | { do: 'join'; id: string; resume: 'nothing' | 'a new token' | 'the last token'; token: Token | undefined }
  | { do: 'leave' | 'drop' | 'broadcast'; who: number }
  | { do: 'remove' | 'signal'; who: number; targetId: string }
  | { do: 'wait'; seconds: number }
  | { do: 'lapse' };

const id = fc.constantFrom('a', 'b', 'c', 'd');
const who = fc.nat(10);
const more = { isHost: fc.boolean(), max: fc.constantFrom(2, 3, 4), seconds: fc.constantFrom(20, 100, 400) };
const requiredKeys = ['isHost', 'seconds'] as const;
const token: fc.Arbitrary<Token> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ sub: fc.constantFrom('s', 't'), ...more }, { requiredKeys: [...requiredKeys, 'sub'] }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ hash: fc.constantFrom('h', 'i'), ...more }, { requiredKeys: [...requiredKeys, 'hash'] }),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('join'),
      id,
      resume: fc.constantFrom('nothing', 'a new token', 'the last token'),
      token: fc.option(token, { nil: undefined, freq: 8 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('leave', 'drop', 'drop', 'broadcast'), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('remove', 'remove', 'signal'), who, targetId: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.constantFrom(1, 19, 31, 101) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lapse') }) },
);

test('whatever happens, an id stays its subject’s, whoever is removed stays out, limits hold, and the expired go', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const world = new World();
      const lastToken = new Map<string, string>();
      const outUntil = new Map<string, number>();
      const isExpired = ({ claims }: { claims: Claims | undefined }): boolean =>
        (claims?.until ?? Infinity) <= world.now;
      let fixed: number | undefined;
      for (const [n, step] of steps.entries()) {
        const before = world.members;
        const heard = new Map(before.map((member) => [member, member.heard.length]));
        const living = before.filter((member) => !isExpired(member));
        const held = world.held.filter(({ until }) => until > world.now);
        const member = 'who' in step ? before[step.who % Math.max(1, before.length)] : undefined;
        let mayLinger: TestMember | undefined;
        if (step.do === 'join') {
          const { seconds, ...said } = step.token ?? { seconds: 0 };
          const claims = step.token && claimsOf({ ...said, until: world.now + seconds * 1000 });
          const brought = { nothing: undefined, 'a new token': `new ${n}`, 'the last token': lastToken.get(step.id) };
          const resume = brought[step.resume];
          const twin = world.find(step.id);
          const place = held.find(({ id }) => id === step.id);
          const isFree = twin && isExpired(twin) && (resume === undefined || resume !== twin.token);
          const owner = isFree ? place : (twin ?? place);
          const isOwner = resume !== undefined && resume === owner?.token;
          const isResumed = isOwner && owner?.claims?.sub === (claims?.sub ?? owner?.claims?.sub);
          const others = [...living, ...held].filter(({ id }) => id !== step.id);
          const opened = others.length === 0 && !owner ? claims?.max : fixed;
          const capacity = Math.min(LIMITS.maxPeers, claims?.max ?? opened ?? LIMITS.maxPeers);
          const joiner = world.join(step.id, { token: resume, ...(claims && { claims }) });
          joiner.speaks = true; // so that none is put out of a full room for having said nothing
          if (claims && (outUntil.get(bearerOf(claims)) ?? 0) > world.now) expect(joiner.closeCode).toBe(4403);
          else if (owner?.claims?.sub !== undefined && owner.claims.sub !== claims?.sub)
            expect(joiner.closeCode, 'an id is its subject’s').toBe(4009);
          else if (owner?.token !== undefined && !isOwner) expect(joiner.closeCode).toBe(4009);
          else if (!isResumed && others.length >= capacity)
            expect(joiner.closeReason).toBe(`Room is full: ${capacity} peers`);
          else expect(joiner.closeCode).toBeUndefined();
          if (joiner.closeCode !== undefined) {
            expect(world.find(step.id)).toBe(twin);
            mayLinger = twin; // what is not replaced goes when the room wakes next
          } else {
            fixed = opened; // whoever is refused opens nothing
            if (resume !== undefined) lastToken.set(step.id, resume);
          }
        }
        if (step.do === 'wait') world.pass(step.seconds);
        if (step.do === 'lapse') world.lapse();
        if (member && step.do === 'leave') world.leave(member);
        if (member && step.do === 'drop') world.drop(member);
        if (member && step.do === 'broadcast') world.receive(member, { type: 'broadcast', data: n });
        if (member && step.do === 'signal')
          world.receive(member, { type: 'signal', targetId: step.targetId, signal: n });
        if (member && step.do === 'remove') {
          const present = [...before, ...held]; // also those whose tokens have expired
          const target = present.find(({ id }) => id === step.targetId);
          const isMeant = (each: { claims: Claims | undefined }): boolean =>
            each === target || (target?.claims?.sub !== undefined && each.claims?.sub === target.claims.sub);
          const bearers = [target, member].map((each) => each?.claims && bearerOf(each.claims));
          const isOwn = isMeant(member) || bearers[0] === bearers[1];
          const isDone = target && !isExpired(member) && member.claims?.isHost === true && !isOwn;
          const meant = isDone ? present.filter(isMeant) : [];
          world.receive(member, { type: 'remove', targetId: step.targetId });
          for (const each of living) expect(each.closeCode === 4403, each.id).toBe(meant.includes(each));
          for (const { id } of meant) expect(world.held.map((place) => place.id)).not.toContain(id);
          if (isDone && target.claims) {
            const bearer = bearerOf(target.claims);
            const until = Math.max(...meant.map(({ claims }) => claims?.until ?? 0));
            // With tokens that have expired it cannot come back anyway.
            if (until > world.now)
              expect(world.removed).toContainEqual({ bearer, until, ids: expect.arrayContaining([step.targetId]) });
            outUntil.set(bearer, until);
          }
        }

        if (step.do === 'join' || step.do === 'lapse' || (member && step.do !== 'wait'))
          expect(world.members.filter((each) => isExpired(each) && each !== mayLinger)).toEqual([]);
        for (const each of before) {
          const news = each.heard.slice(heard.get(each));
          const isSpeaking = member !== undefined && !isExpired(member) && (each !== member || step.do === 'signal');
          const isAddressed = step.do === 'broadcast' || (step.do === 'signal' && step.targetId === each.id);
          const carried = news.filter(({ type }) => type === 'signal' || type === 'broadcast');
          expect(carried).toHaveLength(isSpeaking && isAddressed && !isExpired(each) ? 1 : 0);
          if (member === each && isExpired(each) && ['broadcast', 'signal', 'remove'].includes(step.do))
            expect(each).toMatchObject(EXPIRED);
        }
        const present = [...world.members, ...world.held];
        for (const each of world.members) {
          const others = present.filter((other) => other !== each);
          expect(each.view).toEqual(others.map(({ id }) => id).sort());
          const known = others.map(({ id }) => [id, subjectOf(each, id)]);
          expect(known).toEqual(others.map(({ id, claims }) => [id, claims?.sub]));
        }
      }
    }),
    { numRuns: 6000 },
  );
});

/** The subject of another, by the last that `member` heard of it. */
function subjectOf({ heard }: TestMember, id: string): string | undefined {
  const last = heard.findLast((news) => news.type === 'peers' || (news.type === 'peer_join' && news.clientId === id));
  if (last?.type === 'peers') return last.verified?.[id]?.sub;
  return last?.type === 'peer_join' ? last.verified?.sub : undefined;
}
