/** Who is in the room: what happens when somebody comes, goes, drops or falls silent, and who hears of it. */
import { type Close, DUPLICATE, FULL, heldBy, RESUMED, SILENT, TAKEN } from '../protocol/close.ts';
import type { JoinAnswer } from '../protocol/join.ts';
import type { LeaveReason, PeerJoin, Peers } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { toSessionId } from './package.ts';
import {
  type Effect,
  heldPlaces,
  type Limits,
  type Listing,
  type Member,
  type Newcomer,
  type PendingOffer,
  pollersAt,
  type Roster,
  send,
} from './room.ts';
import { isSameSecret } from './secret.ts';

/** Most offers handed to one joiner: it makes a connection for each at once, and browsers make some hundreds at most. */
const MAX_OFFERS_TAKEN = 32;

/**
 * Most metadata in one room, in characters of JSON in ASCII: every joiner is sent all of it, and every member holds it.
 * 128 peers with the 2,048 bytes that the library promises an app fit in.
 */
const MAX_METADATA_LENGTH = 256 * 1024;

/** How long after its join a member that has neither pinged nor sent anything may be put out of a full room, in ms. */
const MUTE_AFTER_MS = 60_000;

/** What becomes of a newcomer. The effects are due in any case, and concern others. */
export type Admission<M> = Admitted<M> | Refused<M>;

export interface Admitted<M> {
  readonly isAdmitted: true;
  readonly effects: readonly Effect<M>[];
  /** To be sent to it when the effects have been carried out. */
  readonly welcome: Peers;
  /** What it had offered to pollers before it lost its connection. */
  readonly offers: readonly PendingOffer[];
}

export interface Refused<M> {
  readonly isAdmitted: false;
  readonly effects: readonly Effect<M>[];
  readonly close: Close;
}

/**
 * `newcomer` has come; nothing is accepted yet. If it is let in, the others hear of it, then it hears who they are, and if
 * it `wantsOffers` gets those that were published ahead, the first of which gets the `answer` that it brought. A newcomer
 * that is back with the token of its place goes on as if it had never been away.
 */
export function join<M extends Member>(
  newcomer: Newcomer,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  wantsOffers = false,
  answer?: JoinAnswer,
): Admission<M> {
  const present = roster.others();
  const twin = present.find(({ id }) => id === newcomer.id);
  const ghosts = closeGhosts(twin ? present.filter((member) => member !== twin) : present, limits, now, twin);
  const audience = twin ? [...ghosts.living, twin] : ghosts.living;
  const effects = [...ghosts.effects, ...freeLapsedPlaces(roster, audience, now)];
  const refuse = (close: Close): Admission<M> => ({ isAdmitted: false, close, effects });

  const place = roster.places().find(({ id, until }) => id === newcomer.id && until > now);
  const owner = twin && !isGhost(twin, limits, now) ? twin : place;
  const isResumed = owner?.token !== undefined && isSameSecret(owner.token, newcomer.token);
  if (owner?.token !== undefined && !isResumed)
    return refuse(owner === twin || !place ? TAKEN : heldBy(Math.ceil((place.until - now) / 1000)));
  const pollers = pollersAt(roster, now);
  const names = [newcomer.id, toSessionId(newcomer.id)];
  if (pollers.some(({ entry }) => names.includes(entry.sessionId))) return refuse(TAKEN);

  const away = heldPlaces(roster, now).filter((each) => each !== place);
  let others = ghosts.living;
  if (!isResumed) {
    const metadataLength = [newcomer, ...others, ...away].reduce((sum, each) => sum + each.metadataLength, 0);
    if (metadataLength > MAX_METADATA_LENGTH) return refuse(FULL);
    if (others.length + away.length + pollers.length >= limits.maxPeers) {
      const mute = others.find((member) => isMute(member, now));
      if (!mute) return refuse(FULL);
      others = others.filter((member) => member !== mute);
      effects.push({ do: 'close', member: mute, close: SILENT }, farewell(mute.id, 'timeout', others, now));
    }
  }
  if (twin) effects.push({ do: 'close', member: twin, close: isResumed ? RESUMED : DUPLICATE });
  if (place) effects.push({ do: 'freePlace', place });

  const polling = introductions(pollers);
  const listed = [...others, ...away, ...polling];
  const welcome: Peers = { type: 'peers', peers: listed.map(({ id }) => id), yourId: newcomer.id };
  const withMetadata = listed.filter(({ metadata }) => metadata !== undefined);
  if (withMetadata.length > 0)
    welcome.metadata = Object.fromEntries(withMetadata.map(({ id, metadata }) => [id, metadata]));
  if (polling.length > 0) welcome.polling = polling.map(({ id }) => id);
  if (newcomer.token !== undefined) {
    welcome.resumeToken = newcomer.token;
    welcome.resumed = isResumed;
    welcome.graceSeconds = limits.graceSeconds;
    welcome.maxMessageBytes = limits.maxMessageBytes;
  }
  if (isResumed) return { isAdmitted: true, effects, welcome, offers: owner.offers };

  const givers = wantsOffers ? others.filter(({ ahead }) => ahead !== undefined).slice(0, MAX_OFFERS_TAKEN) : [];
  const news: PeerJoin = { type: 'peer_join', clientId: newcomer.id, timestamp: now };
  if (newcomer.metadata !== undefined) news.metadata = newcomer.metadata;
  if (givers.length > 0) {
    welcome.offers = Object.fromEntries(givers.map(({ id, ahead }) => [id, ahead]));
    effects.push(send({ ...news, offerTaken: true }, ...givers));
    for (const member of givers) effects.push({ do: 'setAhead', member, offer: undefined });
  }
  const [first] = givers;
  if (first && answer) {
    welcome.answered = first.id;
    // The joiner cannot know the attempt. With it the answer is told from one to an offer that has been replaced.
    const { attempt } = Object(first.ahead);
    effects.push(send({ type: 'signal', fromId: newcomer.id, signal: { ...answer, attempt } }, first));
  }
  effects.push(send(news, ...(givers.length > 0 ? others.filter((member) => !givers.includes(member)) : others)));
  return { isAdmitted: true, effects, welcome, offers: [] };
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

/**
 * The connection of `member` was lost: its place is held, so that the others hear nothing, if it asked for that. But not
 * for a member that has sent nothing at all, unless it `saysSo` that it is coming back: that is a page which went away
 * while its socket opened, and nobody will come back from it.
 */
export function drop<M extends Member>(
  member: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  saysSo = false,
): Effect<M>[] {
  const { id, token, metadata, metadataLength, offers, lastSeen } = member;
  const until = lastSeen + limits.graceSeconds * 1000;
  if (token === undefined || until <= now || !(saysSo || hasSent(member)))
    return leave(member, 'timeout', roster, limits, now);
  return [{ do: 'holdPlace', place: { id, token, metadata, metadataLength, offers, until }, member }];
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
  return send({ type: 'peer_leave', clientId, timestamp: now, reason }, ...to);
}

/** Pollers as members are told of them, their labels where the library has its own. p2pcf.rn is not told of. */
export function introductions(pollers: readonly Listing[]): { id: string; metadata: unknown }[] {
  return pollers
    .filter(({ entry }) => !isReactNative(entry.sessionId))
    .map(({ entry }) => ({ id: entry.sessionId, metadata: { client_id: entry.clientId } }));
}

/** Whether it has given no sign of life but its join, and had the time to. */
function isMute(member: Member, now: number): boolean {
  return !hasSent(member) && now - member.lastSeen > MUTE_AFTER_MS;
}

/** Whether it has given a sign of life after its join. */
function hasSent({ pings, speaks }: Member): boolean {
  return pings || speaks;
}

/** A place whose row outlived the return of its member, because it could not be deleted, goes without a word. */
function freeLapsedPlaces<M extends Member>(roster: Roster<M>, living: readonly M[], now: number): Effect<M>[] {
  return roster
    .places()
    .filter(({ until }) => until <= now)
    .flatMap((place): Effect<M>[] => [
      { do: 'freePlace', place },
      ...(roster.find(place.id) ? [] : [farewell(place.id, 'timeout', living, now)]),
    ]);
}
