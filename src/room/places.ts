/** Places that are held for members which have lost their connection: for whom, how long, and whose they are. */
import { farewell, hasSent, introductions, leave, sweep } from './presence.ts';
import { type Effect, type Limits, type Member, type Newcomer, type Place, pollersAt, type Roster } from './room.ts';
import { isSameSecret } from './secret.ts';

/**
 * The connection of `member` was lost: its place is held, so that the others hear nothing, if it asked for that. But
 * not for a member that has sent nothing at all, unless it `saysSo` that it is coming back: that is a page which went
 * away while its socket opened, and nobody will come back from it.
 */
export function drop<M extends Member>(
  member: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  saysSo = false,
): Effect<M>[] {
  const { id, token, metadata, metadataLength, claims, maxPeers, offers, lastSeen } = member;
  const until = lastSeen + limits.graceSeconds * 1000;
  if (token === undefined || until <= now || !(saysSo || hasSent(member)))
    return leave(member, 'timeout', roster, limits, now);
  const place: Place = { id, token, metadata, metadataLength, claims, maxPeers, offers, until };
  return [...sweep(roster.others(member), limits, now).effects, { do: 'holdPlace', place, member }];
}

/** Time has passed: members that have not come back to their places are gone. */
export function lapse<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const { living, effects } = sweep(roster.others(), limits, now);
  return [...effects, ...freeLapsedPlaces(roster, living, now)];
}

/**
 * Frees the places whose time is over, and tells the others that their members have left. Not where the member is back,
 * and only its row was left over because it could not be deleted; nor where a poller has come under the id meanwhile.
 */
export function freeLapsedPlaces<M extends Member>(roster: Roster<M>, living: readonly M[], now: number): Effect<M>[] {
  const lapsed = roster.places().filter(({ until }) => until <= now);
  if (lapsed.length === 0) return [];
  return lapsed.flatMap((place): Effect<M>[] => [
    { do: 'freePlace', place },
    ...(isPresent(place.id, roster, now) ? [] : [farewell(place.id, 'timeout', living, now)]),
  ]);
}

/** Whether the others know somebody who is there under this id, on a socket or as a poller. */
export function isPresent<M extends Member>(id: string, roster: Roster<M>, now: number): boolean {
  return roster.find(id) !== undefined || introductions(pollersAt(roster, now)).some((each) => each.id === id);
}

/**
 * The places held at `now`: without places that have lapsed, and without rows left over from a member that is back. With
 * the places of members that are leaving, which may be held in a moment: whoever comes in between would never hear of
 * them, as nobody is told when such a member is back. If it said goodbye instead, all are told of that.
 */
export function heldPlaces<M extends Member>(roster: Roster<M>, now: number): readonly Place[] {
  const places = roster.places().filter(({ until }) => until > now);
  const known = new Set(places.map(({ id }) => id));
  for (const { id, token, metadata, metadataLength, claims, maxPeers, offers } of roster.leaving())
    if (token !== undefined && !known.has(id))
      places.push({ id, token, metadata, metadataLength, claims, maxPeers, offers, until: now });
  return places.filter(({ id }) => !roster.find(id));
}

/** The place held for this id at `now`. */
export function heldPlace<M extends Member>(id: string, roster: Roster<M>, now: number): Place | undefined {
  const place = placeUnder(id, roster, now);
  return place && !roster.find(id) ? place : undefined;
}

/**
 * The place under this id that has not lapsed at `now`, also if its member is back or another connection has the id.
 */
export function placeUnder<M extends Member>(id: string, roster: Roster<M>, now: number): Place | undefined {
  return roster.places().find((each) => each.id === id && each.until > now);
}

/** Whether a newcomer has shown that the place under its id, taken or held, is its own. */
export function ownsPlace<M extends Member>(
  newcomer: Pick<Newcomer, 'id' | 'token'>,
  roster: Roster<M>,
  now: number,
): boolean {
  return isOwnerOf(newcomer, roster.find(newcomer.id) ?? heldPlace(newcomer.id, roster, now));
}

/** Whether it has the resume token of the place. */
export function isOwnerOf({ token }: Pick<Newcomer, 'token'>, place: Pick<Newcomer, 'token'> | undefined): boolean {
  return place?.token !== undefined && isSameSecret(place.token, token);
}
