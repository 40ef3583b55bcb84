/** Who is in the room: what happens when somebody comes, goes, drops or falls silent, and who hears of it. */
import {
  type Close,
  DUPLICATE,
  EXPIRED,
  FULL,
  fullAt,
  heldBy,
  REMOVED,
  RESUMED,
  SILENT,
  TAKEN,
} from '../protocol/close.ts';
import type { JoinAnswer } from '../protocol/join.ts';
import type { LeaveReason, PeerJoin, Peers } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { capacityFor, fixedLimit } from './capacity.ts';
import { type Bearer, hasExpired, mayTakeOver, verifiedOf } from './claims.ts';
import { toSessionId } from './package.ts';
import {
  type Effect,
  heldPlaces,
  isRemoved,
  keptIds,
  type Limits,
  type Member,
  type Newcomer,
  type PendingOffer,
  type Posting,
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
  /** Most peers in the room, as it was opened: to be kept with the newcomer. */
  readonly maxPeers: number | undefined;
  /** What the others know of it: what it brings, or if it is back, what it brought when it first came. */
  readonly metadata: unknown;
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
  const swept = sweep(twin ? present.filter((member) => member !== twin) : present, limits, now, twin);
  const audience = twin ? [...swept.living, twin] : swept.living;
  const effects = [...swept.effects, ...freeLapsedPlaces(roster, audience, now)];
  const refuse = (close: Close): Admission<M> => ({ isAdmitted: false, close, effects });

  if (isRemoved(newcomer, roster, now)) return refuse(REMOVED);
  const place = roster.places().find(({ id, until }) => id === newcomer.id && until > now);
  // Whose token has expired comes back with a new one; nobody else has to wait for it.
  const isAway = twin && (isGhost(twin, limits, now) || (hasExpired(twin, now) && !isTokenOf(twin, newcomer)));
  const owner = twin && !isAway ? twin : place;
  const isOwner = isTokenOf(owner, newcomer);
  if ((owner?.token !== undefined && !isOwner) || !mayTakeOver(owner, newcomer))
    return refuse(owner === twin || !place ? TAKEN : heldBy(Math.ceil((place.until - now) / 1000)));
  // Of one that has changed its subject the others have to hear.
  const resumed = isOwner && owner && mayTakeOver(newcomer, owner) ? owner : undefined;
  const pollers = pollersAt(roster, now);
  const names = [newcomer.id, toSessionId(newcomer.id)];
  if (keptIds(roster, now).some(({ entry }) => names.includes(entry.sessionId))) return refuse(TAKEN);

  const away = heldPlaces(roster, now).filter((each) => each !== place);
  let others = swept.living;
  const maxPeers = fixedLimit(newcomer, others[0] ?? away[0] ?? owner);
  const capacity = capacityFor(newcomer, maxPeers, limits);
  const expelled: Effect<M>[] = [];
  while (!resumed) {
    const full = fullness(newcomer, [...others, ...away], pollers.length, capacity);
    if (!full) break;
    const mute = others.find((member) => isMute(member, now));
    // One goes for one that comes: a bearer whose own limit is below what is here puts nobody out.
    if (!mute || others.length + away.length + pollers.length > capacity) return refuse(full);
    others = others.filter((member) => member !== mute);
    expelled.push({ do: 'close', member: mute, close: SILENT }, farewell(mute.id, 'timeout', others, now));
  }
  effects.push(...expelled);
  if (twin) effects.push({ do: 'close', member: twin, close: resumed ? RESUMED : DUPLICATE });
  if (place) effects.push({ do: 'freePlace', place });

  const polling = introductions(pollers);
  const listed = [...others, ...away, ...polling];
  const welcome: Peers = { type: 'peers', peers: listed.map(({ id }) => id), yourId: newcomer.id };
  const withMetadata = listed.filter(({ metadata }) => metadata !== undefined);
  if (withMetadata.length > 0)
    welcome.metadata = Object.fromEntries(withMetadata.map(({ id, metadata }) => [id, metadata]));
  const known = listed.flatMap((each) => {
    const verified = verifiedOf(each);
    return verified ? [[each.id, verified] as const] : [];
  });
  if (known.length > 0) welcome.verified = Object.fromEntries(known);
  if (polling.length > 0) welcome.polling = polling.map(({ id }) => id);
  if (newcomer.token !== undefined) {
    welcome.resumeToken = newcomer.token;
    welcome.resumed = resumed !== undefined;
    welcome.graceSeconds = limits.graceSeconds;
    welcome.maxMessageBytes = limits.maxMessageBytes;
  }
  if (resumed)
    return { isAdmitted: true, effects, welcome, maxPeers, metadata: resumed.metadata, offers: resumed.offers };

  const givers = wantsOffers ? others.filter(({ ahead }) => ahead !== undefined).slice(0, MAX_OFFERS_TAKEN) : [];
  const news: PeerJoin = { type: 'peer_join', clientId: newcomer.id, timestamp: now };
  if (newcomer.metadata !== undefined) news.metadata = newcomer.metadata;
  const verified = verifiedOf(newcomer);
  if (verified) news.verified = verified;
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
  return { isAdmitted: true, effects, welcome, maxPeers, metadata: newcomer.metadata, offers: [] };
}

/** `leaver` is gone: the others hear of it. */
export function leave<M extends Member>(
  leaver: M,
  reason: LeaveReason,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = sweep(roster.others(leaver), limits, now);
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
  const { id, token, metadata, metadataLength, claims, maxPeers, offers, lastSeen } = member;
  const until = lastSeen + limits.graceSeconds * 1000;
  if (token === undefined || until <= now || !(saysSo || hasSent(member)))
    return leave(member, 'timeout', roster, limits, now);
  return [{ do: 'holdPlace', place: { id, token, metadata, metadataLength, claims, maxPeers, offers, until }, member }];
}

/** Time has passed: members that have not come back to their places are gone. */
export function lapse<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const { living, effects } = sweep(roster.others(), limits, now);
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
 * Closes those of `members` whose time is over. The others hear of it, and so does `twin`, a member that is not among
 * those looked at.
 */
export function sweep<M extends Member>(
  members: readonly M[],
  limits: Limits,
  now: number,
  twin?: M,
): { living: readonly M[]; effects: Effect<M>[] } {
  const living: M[] = [];
  const effects: Effect<M>[] = [];
  const gone: M[] = [];
  for (const member of members) {
    const close = endOf(member, limits, now);
    if (!close) living.push(member);
    else {
      gone.push(member);
      effects.push({ do: 'close', member, close });
    }
  }
  const audience = twin ? [...living, twin] : living;
  for (const { id } of gone) effects.push(farewell(id, 'timeout', audience, now));
  return { living, effects };
}

/** The close frame for a member whose time is over: it is a ghost, or its token has expired. */
export function endOf(member: Member, limits: Limits, now: number): Close | undefined {
  if (isGhost(member, limits, now)) return SILENT;
  return hasExpired(member, now) ? EXPIRED : undefined;
}

function isGhost(member: Member, { ghostAfterSeconds }: Limits, now: number): boolean {
  return member.pings && now - member.lastSeen > ghostAfterSeconds * 1000;
}

export function farewell<M>(clientId: string, reason: LeaveReason, to: readonly M[], now: number): Effect<M> {
  return send({ type: 'peer_leave', clientId, timestamp: now, reason }, ...to);
}

/** Pollers as members are told of them, their labels where the library has its own. p2pcf.rn is not told of. */
export function introductions(pollers: readonly Posting[]): (Bearer & { id: string; metadata: unknown })[] {
  return pollers
    .filter(({ entry }) => !isReactNative(entry.sessionId))
    .map(({ entry, claims }) => ({ id: entry.sessionId, metadata: { client_id: entry.clientId }, claims }));
}

function isTokenOf(owner: Pick<Newcomer, 'token'> | undefined, { token }: Newcomer): boolean {
  return owner?.token !== undefined && isSameSecret(owner.token, token);
}

/** Why there is no room for one more, if so: it would be one too many, or bring too much. */
function fullness(
  newcomer: Newcomer,
  present: readonly Newcomer[],
  pollers: number,
  capacity: number,
): Close | undefined {
  if (present.length + pollers >= capacity) return fullAt(capacity);
  const metadataLength = present.reduce((sum, each) => sum + each.metadataLength, newcomer.metadataLength);
  return metadataLength > MAX_METADATA_LENGTH ? FULL : undefined;
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
