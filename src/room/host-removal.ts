/** A host of the room removes somebody, who is not let in again until its token expires. */
import { REMOVED } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { dropOffers } from './pending-offers.ts';
import { heldPlaces } from './places.ts';
import { farewell, introductions, sweep } from './presence.ts';
import { type Effect, type Limits, type Member, pollersAt, type Removal, type Roster } from './room.ts';
import { type Bearer, bearerOf } from './token-claims.ts';

/** Most removals kept in one room, a row each; when there are more, the removal that would end first is forgotten. */
const MAX_REMOVALS = 256;

/** Most ids that are kept with each, and most that a client is told of. */
const MAX_IDS = 8;
const MAX_IDS_TOLD = 64;

/**
 * `sender` removes `targetId` and, where the token of that names its subject, all that this subject has in the room,
 * sockets, places and pollers alike. Undefined if nobody has that id. Throws ProtocolError where `sender` is no host,
 * or would remove itself.
 */
export function remove<M extends Member>(
  targetId: string,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] | undefined {
  if (!sender.claims?.isHost)
    throw new ProtocolError('not_host', 'Only a host may remove others: a member whose room token says "host": true.');
  // Silent members, and members whose tokens have expired, too: else a member could stay by being silent when it is to
  // go.
  const present = roster.others();
  const places = heldPlaces(roster, now);
  const pollers = pollersAt(roster, now);
  const target =
    [...present, ...places].find(({ id }) => id === targetId) ??
    pollers.find(({ entry }) => entry.sessionId === targetId);
  if (!target) return undefined;
  const { claims } = target;
  const isMeant = (each: Bearer): boolean =>
    each === target || (claims?.sub !== undefined && each.claims?.sub === claims.sub);
  // A token without a subject is refused from then on: a host that removes a page with its own token would shut itself
  // out.
  if (isMeant(sender) || (claims && bearerOf(claims) === bearerOf(sender.claims)))
    throw new ProtocolError('bad_message', 'This targetId is your own, or of your own subject or token.');

  const members = present.filter(isMeant);
  const { living: rest, effects } = sweep(
    present.filter((member) => !isMeant(member)),
    limits,
    now,
  );
  const away = places.filter(isMeant);
  const polling = pollers.filter(isMeant);
  const until = Math.max(...[...members, ...away, ...polling].map((each) => each.claims?.until ?? 0));
  // Its own id first, then those that are here longest: a member could bring others to push those out.
  const ids = [...members, ...away, ...introductions(polling)]
    .map(({ id }) => id)
    .sort((a, b) => Number(b === targetId) - Number(a === targetId));
  if (claims && until > now) effects.push(...keep({ bearer: bearerOf(claims), until, ids }, roster));
  for (const member of members) effects.push({ do: 'close', member, close: REMOVED });
  for (const place of away) effects.push({ do: 'freePlace', place });
  for (const posting of polling) effects.push({ do: 'dropPosting', posting });
  const sessions = new Set(polling.map(({ entry }) => entry.sessionId));
  if (sessions.size > 0) effects.push(...rest.flatMap((member) => dropOffers(member, sessions)));
  for (const id of ids) effects.push(farewell(id, 'removed', rest, now));
  return effects;
}

/** The ids of those removed, for whoever may have been away then and be connected to them yet. */
export function removedIds<M extends Member>(roster: Roster<M>, now: number): string[] {
  const removals = roster.removals().filter(({ until }) => until > now);
  return removals.flatMap(({ ids = [] }) => ids).slice(-MAX_IDS_TOLD);
}

/** `id` is let in again, with another token: whoever is connected to it from then on is to stay so. */
export function readmit<M extends Member>(id: string, roster: Roster<M>): Effect<M>[] {
  return roster.removals().flatMap((removal) => {
    const { ids = [] } = removal;
    if (!ids.includes(id)) return [];
    return [{ do: 'keepRemoval', removal: { ...removal, ids: ids.filter((each) => each !== id) } }];
  });
}

/** Time has passed: a removal ends with its token, which lets nobody in from then on. */
export function lapseRemovals<M extends Member>(roster: Roster<M>, now: number): Effect<M>[] {
  const due = roster.removals().filter(({ until }) => until <= now);
  return due.map((removal) => ({ do: 'dropRemoval', removal }));
}

function keep<M extends Member>(removal: Removal, roster: Roster<M>): Effect<M>[] {
  const { bearer, until, ids = [] } = removal;
  const before = roster.removals().find((each) => each.bearer === bearer)?.ids ?? [];
  const others = roster.removals().filter((each) => each.bearer !== bearer);
  const surplus = [...others].sort((a, b) => b.until - a.until).slice(MAX_REMOVALS - 1);
  const kept = { bearer, until, ids: [...ids, ...before].slice(0, MAX_IDS) };
  return [
    ...surplus.map((each) => ({ do: 'dropRemoval', removal: each }) as const),
    { do: 'keepRemoval', removal: kept },
  ];
}
