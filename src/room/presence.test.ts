import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS, type TestMember, World } from '../../test/support/world.ts';
import type { ServerMessage } from '../protocol/messages.ts';

type Step =
  | { do: 'join'; id: string; with: 'nothing' | 'a new token' | 'the last token' | 'a wrong token' }
  | { do: 'leave' | 'ping' | 'broadcast'; who: number }
  | { do: 'drop'; who: number; saysSo: boolean }
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
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drop'), who, saysSo: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ping'), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.constantFrom(1, 29, 31, 100, 149, 151) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lapse') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('signal'), who, targetId: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('broadcast'), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('poll'), ids: fc.uniqueArray(id, { maxLength: 2 }) }) },
);

test('whatever happens, everyone knows who is here, signals reach whom they should, and no place is taken', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
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
          const isGhost = live?.lastPing !== undefined && world.now - live.lastSeen > 150_000;
          const place = world.held.find(({ id, until }) => id === step.id && until > world.now);
          const ownerToken = isGhost ? undefined : (live ?? place)?.token;
          const joiner = world.join(step.id, { token });
          const [welcome] = joiner.heard;
          const isPoller = world.posted.some(({ entry }) => entry.sessionId === step.id);
          const isRefused = ownerToken !== undefined && ownerToken !== token;
          expect(joiner.closeCode === 4009).toBe(isRefused || isPoller);
          if (isRefused) {
            expect(world.find(step.id)).toBe(live);
            expect(world.held.find(({ id }) => id === step.id)).toBe(place);
            expect(joiner.closeReason).toBe(
              live ? 'Id is taken' : `Id is held for ${Math.ceil(((place?.until ?? 0) - world.now) / 1000)} s`,
            );
          }
          const isResumed = ownerToken !== undefined && ownerToken === token;
          if (isResumed) expect(welcome).toMatchObject({ type: 'peers', resumed: true, resumeToken: token });
          else if (token !== undefined && welcome)
            expect(welcome).toMatchObject({ resumed: false, resumeToken: token });
          else if (welcome) {
            const more = world.posted.length > 0 ? ['metadata', 'polling'] : [];
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
          const free = LIMITS.maxPeers - world.members.length - world.held.length;
          const taken = [...world.members, ...world.held].map(({ id }) => id);
          world.poll(...step.ids.filter((id) => !taken.includes(id)).slice(0, free));
        }
        if (member && step.do === 'leave') world.leave(member);
        if (member && step.do === 'drop') world.drop(member, step.saysSo);
        if (member && step.do === 'ping') world.ping(member);
        if (member && step.do === 'signal')
          world.receive(member, { type: 'signal', targetId: step.targetId, signal: n });
        if (member && step.do === 'broadcast') world.receive(member, { type: 'broadcast', data: n });

        const polling = world.posted.map(({ entry }) => entry.sessionId);
        const ids = [...[...world.members, ...world.held].map(({ id }) => id), ...polling];
        expect(new Set(ids).size, 'one socket or place per id').toBe(ids.length);
        expect(ids.length).toBeLessThanOrEqual(LIMITS.maxPeers);
        if (step.do === 'lapse') expect(world.held.filter(({ until }) => until <= world.now)).toEqual([]);
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
            const isAway = world.held.some(({ id, until }) => id === step.targetId && until > world.now);
            const code = isAway ? 'peer_away' : 'unknown_peer';
            const answers = news.filter(({ type }) => type === 'error');
            expect(answers).toMatchObject(isHere ? [] : [{ code, targetId: step.targetId }]);
          }
        }
      }
    }),
    { numRuns: 300 },
  );
});
