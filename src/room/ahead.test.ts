/** Offers published ahead, and answers made ahead, in any order of coming, going, coming back and trying again. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Joining, type TestMember, World } from '../../test/support/world.ts';
import type { JoinAnswer } from '../protocol/join.ts';
import type { ServerMessage } from '../protocol/messages.ts';

type Step =
  | { do: 'join'; id: string; hasToken: boolean; wantsOffers: boolean; brings: boolean }
  /** A client that has not heard the answer to its join sends the same join again. */
  | { do: 'retry'; id: string }
  | { do: 'resume'; id: string }
  | { do: 'renew' | 'leave'; who: number }
  | { do: 'drop'; who: number; saysSo: boolean }
  | { do: 'wait'; seconds: number };

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const who = fc.nat(10);
const flag = fc.boolean();
const often = fc.constantFrom(true, true, true, false);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('join'), id, hasToken: often, wantsOffers: often, brings: often }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('retry'), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resume'), id }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('renew'), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave'), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('drop'), who, saysSo: flag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.constantFrom(1, 31, 61) }) },
);

test('an offer ahead is taken once, and an answer brought along goes to the first that gave one, and to nobody else', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const world = new World();
      const joins = new Map<string, Joining>();
      /** The attempts of the offers that are out. */
      const out = new Map<TestMember, string>();
      const everyone = new Set<TestMember>();
      const taken = new Set<string>();
      for (const [n, step] of steps.entries()) {
        const heard = new Map(Array.from(everyone, (member) => [member, member.heard.length]));
        const newsOf = (member: TestMember): ServerMessage[] => member.heard.slice(heard.get(member) ?? 0);
        const gone = [...everyone].filter((member) => !world.members.includes(member));
        const member = 'who' in step ? world.members[step.who % Math.max(1, world.members.length)] : undefined;
        if (member && step.do === 'renew') {
          world.receive(member, { type: 'ahead', offer: { type: 'offer', attempt: `offer ${n}` } });
          out.set(member, `offer ${n}`);
        }
        if (member && step.do === 'leave') world.leave(member);
        if (member && step.do === 'drop') world.drop(member, step.saysSo);
        if (step.do === 'wait') world.pass(step.seconds);

        let joiner: TestMember | undefined;
        let givers: TestMember[] = [];
        let answer: JoinAnswer | undefined;
        if ('id' in step) {
          const entry = entryFor(step, joins.get(step.id), n);
          const { token } = entry;
          const place = world.held.find(({ id, until }) => id === step.id && until > world.now);
          const isBack = token !== undefined && (world.find(step.id) ?? place)?.token === token;
          joiner = world.join(step.id, entry);
          everyone.add(joiner);
          const isIn = joiner.closeCode === undefined;
          if (isIn) joins.set(step.id, entry);
          if (isIn && !isBack && entry.wantsOffers)
            givers = world.members.filter((other) => other !== joiner && out.has(other));
          answer = givers.length > 0 ? entry.answer : undefined;
          const offers = givers.map((giver) => [giver.id, { type: 'offer', attempt: out.get(giver) }]);
          const [welcome] = joiner.heard;
          expect([Object(welcome).offers, Object(welcome).answered]).toEqual([
            offers.length > 0 ? Object.fromEntries(offers) : undefined,
            answer && givers[0]?.id,
          ]);
          const announced = world.members.flatMap(newsOf).filter(({ type }) => type === 'peer_join');
          if (isBack) expect(announced).toEqual([]);
        }

        const told = [...everyone].filter((other) => newsOf(other).some((news) => 'offerTaken' in news));
        expect(told.map(({ id }) => id)).toEqual(givers.map(({ id }) => id));
        const signals = [...everyone].flatMap((other) =>
          newsOf(other).flatMap((news) => (news.type === 'signal' ? [{ to: other.id, ...news }] : [])),
        );
        const [first] = givers;
        if (first && answer) {
          const signal = { ...answer, attempt: out.get(first) };
          expect(signals).toEqual([{ to: first.id, type: 'signal', fromId: joiner?.id, signal }]);
          const news = newsOf(first);
          const at = news.findIndex(({ type }) => type === 'signal');
          expect(news[at - 1], 'right before it').toMatchObject({ clientId: joiner?.id, offerTaken: true });
        } else expect(signals).toEqual([]);
        expect(gone.filter((other) => newsOf(other).length > 0)).toEqual([]);
        for (const giver of givers) {
          const attempt = out.get(giver) ?? '';
          expect(taken).not.toContain(attempt);
          taken.add(attempt);
          out.delete(giver);
        }
      }
    }),
    { numRuns: 200 },
  );
});

/** How the client of a step joins. */
function entryFor(step: Extract<Step, { id: string }>, last: Joining = {}, n: number): Joining {
  switch (step.do) {
    case 'retry':
      return last;
    case 'resume':
      return { token: last.token }; // a client that comes back has prepared nothing
    case 'join':
      return {
        token: step.hasToken ? `token ${n}` : undefined,
        wantsOffers: step.wantsOffers,
        answer: step.brings ? { type: 'answer', sdp: `answer ${n}`, candidates: [] } : undefined,
      };
  }
}
