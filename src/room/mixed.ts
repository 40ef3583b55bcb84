/** What a room decides when one polls where there are members on sockets: who it is shown, and what they hear of it. */
import type { Package } from '../protocol/poll.ts';
import type { Posting } from './board.ts';
import { answer, posting, toSessionId, trickle } from './bridge.ts';
import type { Effect, Member, Place, Roster } from './room.ts';

/** The members that have offered to a poller, as it is shown them. */
export function membersFor<M extends Member>(pollerId: string, roster: Roster<M>, now: number): Posting[] {
  return roster.crossings(pollerId).flatMap((crossing) => {
    const member = roster.find(crossing.socketId);
    const peer = member ?? placeOf(crossing.socketId, roster, now);
    return (peer && posting(crossing, clientIdOf(peer), !member, now)) ?? [];
  });
}

/**
 * `poller` has polled and was shown `shown`: the members whose offers it sees for the first time get their answers, the
 * others what candidates it has posted since it posted `before`. Whoever is gone for good is no longer shown to it.
 */
export function polled<M extends Member>(
  poller: Posting,
  before: readonly Package[],
  shown: readonly Posting[],
  roster: Roster<M>,
  now: number,
): Effect<M>[] {
  const fromId = poller.entry.sessionId;
  const known = new Set(before.map((each) => JSON.stringify(each)));
  const added = poller.packages.filter((each) => !known.has(JSON.stringify(each)));
  const names = new Set(shown.map(({ entry }) => entry.sessionId));
  return roster.crossings(fromId).flatMap((crossing): Effect<M>[] => {
    const { socketId, isTaken } = crossing;
    const member = roster.find(socketId);
    if (!member) return placeOf(socketId, roster, now) ? [] : [{ uncross: crossing }];
    if (!isTaken && names.has(toSessionId(socketId))) {
      const signal = answer(crossing, poller.entry, poller.packages);
      return [{ cross: { ...crossing, isTaken: true } }, { send: { type: 'signal', fromId, signal }, to: [member] }];
    }
    const signal = isTaken && trickle(crossing, added);
    return signal ? [{ send: { type: 'signal', fromId, signal }, to: [member] }] : [];
  });
}

/** The place held for one whose connection was lost. */
function placeOf<M extends Member>(id: string, roster: Roster<M>, now: number): Place | undefined {
  return roster.held().find((place) => place.id === id && place.until > now);
}

/** The label of a member, if it brought one where the library has it; else its id. */
function clientIdOf({ id, metadata }: Pick<Member, 'id' | 'metadata'>): string {
  const { client_id } = Object(metadata);
  return typeof client_id === 'string' ? client_id : id;
}
