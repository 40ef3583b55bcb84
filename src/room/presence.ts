/** Who is in the room: what happens when somebody comes, goes, drops or falls silent, and who hears of it. */
import { type Close, DUPLICATE, FULL, heldBy, RESUMED, SILENT, TAKEN } from '../protocol/close.ts';
import type { LeaveReason, PeerJoin, Peers } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { type Effect, heldPlace, heldPlaces, type Limits, type Listing, type Member, type Roster } from './room.ts';
import { isSameSecret } from './secret.ts';

/** Most offers handed to one joiner: it makes a connection for each at once, and browsers make some hundreds at most. */
const MAX_OFFERS_TAKEN = 32;

/**
 * `joiner` has connected. The others hear of it, then the joiner hears who they are, and if it `wantsOffers` gets those
 * that were published ahead. A joiner that is back with the token of its place goes on as if it had never been away.
 */
export function join<M extends Member>(
  joiner: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  wantsOffers = false,
): Effect<M>[] {
  const present = roster.others(joiner);
  const twin = present.find(({ id }) => id === joiner.id);
  const { living: others, effects } = closeGhosts(
    twin ? present.filter((member) => member !== twin) : present,
    limits,
    now,
    twin,
  );
  effects.push(...freeLapsedPlaces(roster, twin ? [...others, twin] : others, now));
  const place = heldPlace(joiner.id, roster, now);
  const away = heldPlaces(roster, now).filter((each) => each !== place);

  const owner = twin && !isGhost(twin, limits, now) ? twin : place;
  const isResumed = owner?.token !== undefined && isSameSecret(owner.token, joiner.token);
  if (owner?.token !== undefined && !isResumed) {
    const refusal = owner === twin || !place ? TAKEN : heldBy(Math.ceil((place.until - now) / 1000));
    return [...effects, { do: 'close', member: joiner, close: refusal }];
  }
  const postings = roster.postings();
  if (postings.some(({ entry }) => entry.sessionId === joiner.id))
    return [...effects, { do: 'close', member: joiner, close: TAKEN }];
  if (!isResumed && others.length + away.length + postings.length >= limits.maxPeers) {
    return [...effects, { do: 'close', member: joiner, close: FULL }];
  }
  if (twin) effects.push({ do: 'close', member: twin, close: isResumed ? RESUMED : DUPLICATE });
  if (place) effects.push({ do: 'freePlace', place });

  const polling = introductions(postings);
  const listed = [...others, ...away, ...polling];
  const welcome: Peers = { type: 'peers', peers: listed.map(({ id }) => id), yourId: joiner.id };
  const withMetadata = listed.filter(({ metadata }) => metadata !== undefined);
  if (withMetadata.length > 0)
    welcome.metadata = Object.fromEntries(withMetadata.map(({ id, metadata }) => [id, metadata]));
  if (polling.length > 0) welcome.polling = polling.map(({ id }) => id);
  if (joiner.token !== undefined) {
    welcome.resumeToken = joiner.token;
    welcome.resumed = isResumed;
    welcome.graceSeconds = limits.graceSeconds;
  }
  if (isResumed) return [...effects, { do: 'send', message: welcome, to: [joiner] }];

  const givers = wantsOffers ? others.filter(({ offer }) => offer !== undefined).slice(0, MAX_OFFERS_TAKEN) : [];
  const news: PeerJoin = { type: 'peer_join', clientId: joiner.id, timestamp: now };
  if (joiner.metadata !== undefined) news.metadata = joiner.metadata;
  if (givers.length > 0) {
    welcome.offers = Object.fromEntries(givers.map(({ id, offer }) => [id, offer]));
    effects.push({ do: 'send', message: { ...news, offerTaken: true }, to: givers });
    for (const member of givers) effects.push({ do: 'setAhead', member, offer: undefined });
  }
  const rest = givers.length > 0 ? others.filter((member) => !givers.includes(member)) : others;
  effects.push({ do: 'send', message: news, to: rest }, { do: 'send', message: welcome, to: [joiner] });
  return effects;
}

/** `leaver` is gone: the others hear of it. */
export function leave<M extends Member>(
  leaver: M,
  reason: LeaveReason,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = closeGhosts(roster.others(leaver), limits, now);
  return [...effects, farewell(leaver.id, reason, living, now)];
}

/** The connection of `member` was lost: its place is held, so that the others hear nothing, if it asked for that. */
export function drop<M extends Member>(member: M, roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const { id, token, metadata, lastSeen } = member;
  const until = lastSeen + limits.graceSeconds * 1000;
  if (token === undefined || until <= now) return leave(member, 'timeout', roster, limits, now);
  return [{ do: 'holdPlace', place: { id, token, metadata, until }, member }];
}

/** Time has passed: members that have not come back to their places are gone. */
export function lapse<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const { living, effects } = closeGhosts(roster.others(), limits, now);
  return [...effects, ...freeLapsedPlaces(roster, living, now)];
}

/** The room ends the connection of `member`, and tells the others. */
export function expel<M extends Member>(
  member: M,
  close: Close,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  return [{ do: 'close', member, close }, ...leave(member, 'timeout', roster, limits, now)];
}

/**
 * Tells the living from the ghosts among `members`, and closes the ghosts. The living hear of it, and so does `twin`, a
 * member that is not among those looked at.
 */
export function closeGhosts<M extends Member>(
  members: readonly M[],
  limits: Limits,
  now: number,
  twin?: M,
): { living: readonly M[]; effects: Effect<M>[] } {
  const ghosts = members.filter((member) => isGhost(member, limits, now));
  if (ghosts.length === 0) return { living: members, effects: [] };
  const living = members.filter((member) => !isGhost(member, limits, now));
  const effects: Effect<M>[] = ghosts.map((member) => ({ do: 'close', member, close: SILENT }));
  const audience = twin ? [...living, twin] : living;
  for (const ghost of ghosts) effects.push(farewell(ghost.id, 'timeout', audience, now));
  return { living, effects };
}

export function isGhost(member: Member, { ghostAfterSeconds }: Limits, now: number): boolean {
  return member.pings && now - member.lastSeen > ghostAfterSeconds * 1000;
}

export function farewell<M>(clientId: string, reason: LeaveReason, to: readonly M[], now: number): Effect<M> {
  return { do: 'send', message: { type: 'peer_leave', clientId, timestamp: now, reason }, to };
}

/** Pollers as members are told of them, their labels where the library has its own. p2pcf.rn is not told of. */
export function introductions(pollers: readonly Listing[]): { id: string; metadata: unknown }[] {
  return pollers
    .filter(({ entry }) => !isReactNative(entry.sessionId))
    .map(({ entry }) => ({ id: entry.sessionId, metadata: { client_id: entry.clientId } }));
}

function freeLapsedPlaces<M extends Member>(roster: Roster<M>, living: readonly M[], now: number): Effect<M>[] {
  return roster
    .places()
    .filter(({ until }) => until <= now)
    .flatMap((place): Effect<M>[] => [{ do: 'freePlace', place }, farewell(place.id, 'timeout', living, now)]);
}
