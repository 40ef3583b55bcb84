/**
 * What a room decides: who should get what, and whose socket should close. Pure: the caller brings the members, the
 * clock and the limits, and carries out the effects in their order.
 */
import { type Close, DUPLICATE, FLOOD, FULL, held, RESUMED, SILENT, TAKEN, TOO_LARGE } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import {
  BROADCAST_TARGET,
  type ErrorMessage,
  type LeaveReason,
  type PeerJoin,
  type Peers,
  parseClientMessage,
  type ServerMessage,
} from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { utf8Length } from '../protocol/utf8.ts';
import type { Posting } from './board.ts';
import { answer, type Crossing, carry } from './bridge.ts';
import { type Bucket, spend } from './bucket.ts';
import { isSameSecret } from './secret.ts';

/** One open socket, as far as the room's decisions go. */
export interface Member {
  /** The client id it joined under. */
  readonly id: string;
  /** Whether it has ever pinged; the silence of one that has not means nothing. */
  readonly pings: boolean;
  /** Last sign of life, be it the join, a message or a ping, in ms since the epoch. */
  readonly lastSeen: number;
  /** What it can prove by that its place is its own; undefined for one that has not asked to have it held. */
  readonly token: string | undefined;
  /** What it has sent lately. */
  readonly bucket: Bucket;
  /** What it brought when it joined; undefined for nothing. */
  readonly metadata: unknown;
  /** The offer it has published ahead and nobody has taken; undefined for none. */
  readonly offer: unknown;
}

/** A place held for a member whose connection was lost: it counts as present, and cannot be reached. */
export interface Place {
  readonly id: string;
  readonly token: string;
  readonly metadata: unknown;
  /** When it lapses, in ms since the epoch. */
  readonly until: number;
}

/** The members as the sockets tell them, and the places held. */
export interface Roster<M extends Member> {
  /** The member with this id: one look-up, however large the room. */
  find(id: string): M | undefined;
  /** Every member but this one, longest there first. Touches every socket: for what concerns everyone, no more. */
  others(than?: M): readonly M[];
  /** The places held, those that have lapsed without anybody's notice included. */
  held(): readonly Place[];
  /** The peers that poll. Asked only when somebody joins, or for one who is no member. */
  pollers(): readonly Posting[];
  /** What members have offered to a poller. */
  crossings(pollerId: string): readonly Crossing[];
  /** How many others there are, give or take what has changed within this very event. */
  countOthers(): number;
}

export interface Limits {
  /** Most members of one room. */
  readonly maxPeers: number;
  /** Longest message from a client, in UTF-8 bytes. */
  readonly maxMessageBytes: number;
  /** Sustained messages per second and socket; 0 for no limit. */
  readonly messagesPerSecond: number;
  /** How long a place is held after the last sign of life, in seconds; 0 for not at all. */
  readonly graceSeconds: number;
  /** After how many silent seconds a member that has pinged before is taken for a ghost. */
  readonly ghostAfterSeconds: number;
}

/** Most offers handed to one joiner: it makes a connection for each at once, and browsers make some hundreds at most. */
const MAX_OFFERS_TAKEN = 32;

/**
 * One thing for the caller to do. A member that is closed is no member from then on. `keep` is the member's new
 * `offer`, undefined when it has been taken. `hold` is a place to keep for `member`, `release` one to forget. `cross` is
 * to be kept for a poller, in place of what was between the same two, and `uncross` to be forgotten.
 */
export type Effect<M> =
  | { send: ServerMessage; to: readonly M[] }
  | { close: Close; member: M }
  | { keep: unknown; member: M }
  | { hold: Place; member: M }
  | { release: Place }
  | { cross: Crossing }
  | { uncross: Crossing };

/**
 * `joiner` has connected. The others hear of it, then the joiner hears who they are, and if it `wantsOffers` gets those
 * that were published ahead. One that is back with the token of its place goes on as if it had never been away.
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
  const { living: others, effects } = layGhosts(
    twin ? present.filter((member) => member !== twin) : present,
    limits,
    now,
    twin,
  );
  const places = roster.held();
  effects.push(...lapses(places, twin ? [...others, twin] : others, now));
  const place = places.find(({ id, until }) => id === joiner.id && until > now);
  const away = places.filter(({ id, until }) => id !== joiner.id && until > now);

  const owner = twin && !isGhost(twin, limits, now) ? twin : place;
  const isResumed = owner?.token !== undefined && isSameSecret(owner.token, joiner.token);
  if (owner?.token !== undefined && !isResumed) {
    const refusal = owner === twin || !place ? TAKEN : held(Math.ceil((place.until - now) / 1000));
    return [...effects, { close: refusal, member: joiner }];
  }
  const pollers = roster.pollers();
  if (pollers.some(({ entry }) => entry.sessionId === joiner.id)) return [...effects, { close: TAKEN, member: joiner }];
  if (!isResumed && others.length + away.length + pollers.length >= limits.maxPeers) {
    return [...effects, { close: FULL, member: joiner }];
  }
  if (twin) effects.push({ close: isResumed ? RESUMED : DUPLICATE, member: twin });
  if (place) effects.push({ release: place });

  const polling = introductions(pollers);
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
  if (isResumed) return [...effects, { send: welcome, to: [joiner] }];

  const givers = wantsOffers ? others.filter(({ offer }) => offer !== undefined).slice(0, MAX_OFFERS_TAKEN) : [];
  const news: PeerJoin = { type: 'peer_join', clientId: joiner.id, timestamp: now };
  if (joiner.metadata !== undefined) news.metadata = joiner.metadata;
  if (givers.length > 0) {
    welcome.offers = Object.fromEntries(givers.map(({ id, offer }) => [id, offer]));
    effects.push({ send: { ...news, offerTaken: true }, to: givers });
    for (const member of givers) effects.push({ keep: undefined, member });
  }
  effects.push(
    { send: news, to: givers.length > 0 ? others.filter((member) => !givers.includes(member)) : others },
    { send: welcome, to: [joiner] },
  );
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
  const { living, effects } = layGhosts(roster.others(leaver), limits, now);
  return [...effects, farewell(leaver.id, reason, living, now)];
}

/** The connection of `member` was lost: its place is held, so that the others hear nothing, if it asked for that. */
export function drop<M extends Member>(member: M, roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const { id, token, metadata, lastSeen } = member;
  const until = lastSeen + limits.graceSeconds * 1000;
  if (token === undefined || until <= now) return leave(member, 'timeout', roster, limits, now);
  return [{ hold: { id, token, metadata, until }, member }];
}

/** Time has passed: who has not come back to its place is gone. */
export function lapse<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const { living, effects } = layGhosts(roster.others(), limits, now);
  return [...effects, ...lapses(roster.held(), living, now)];
}

/** Those who poll are others than they were: the members hear who has gone, for this `reason`, and who has come. */
export function turnOver<M extends Member>(
  before: readonly Posting[],
  after: readonly Posting[],
  reason: LeaveReason,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const gone = missing(before, after);
  const come = missing(after, before);
  if (gone.length + come.length === 0) return [];
  const { living, effects } = layGhosts(roster.others(), limits, now);
  for (const { entry } of gone) {
    effects.push(...roster.crossings(entry.sessionId).map((crossing) => ({ uncross: crossing })));
  }
  for (const { id } of introductions(gone)) effects.push(farewell(id, reason, living, now));
  for (const { id, metadata } of introductions(come)) {
    effects.push({ send: { type: 'peer_join', clientId: id, timestamp: now, metadata, polling: true }, to: living });
  }
  return effects;
}

function missing(from: readonly Posting[], to: readonly Posting[]): Posting[] {
  return from.filter(({ entry }) => to.every((other) => other.entry.sessionId !== entry.sessionId));
}

/** Pollers as members are told of them, their labels where the library has its own. p2pcf.rn is left to itself. */
function introductions(pollers: readonly Posting[]): { id: string; metadata: unknown }[] {
  return pollers
    .filter(({ entry }) => !isReactNative(entry.sessionId))
    .map(({ entry }) => ({ id: entry.sessionId, metadata: { client_id: entry.clientId } }));
}

function lapses<M>(places: readonly Place[], living: readonly M[], now: number): Effect<M>[] {
  return places
    .filter(({ until }) => until <= now)
    .flatMap((place) => [{ release: place }, farewell(place.id, 'timeout', living, now)]);
}

/**
 * `sender` sent `frame`. Bad input is answered with an `error` message; only our own bugs are thrown. `makeKey` makes
 * random keys of at least 22 characters that a UUID may have, hyphens aside.
 */
export function receive<M extends Member>(
  frame: string | ArrayBuffer,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  makeKey: () => string,
): Effect<M>[] {
  if (isTooLarge(frame, limits.maxMessageBytes)) {
    const message = `The message is over ${limits.maxMessageBytes} bytes, the most this server takes. Send less.`;
    const error: ErrorMessage = { type: 'error', code: 'too_large', message, maxBytes: limits.maxMessageBytes };
    return [{ send: error, to: [sender] }, ...expel(sender, TOO_LARGE, roster, limits, now)];
  }
  const refusal = pay(1, sender, roster, limits, now);
  if (refusal) return refusal;
  try {
    if (typeof frame !== 'string')
      throw new ProtocolError('binary', 'Messages are JSON in text frames; this one was binary.');
    const request = parseClientMessage(frame);
    if (request.type === 'ahead') return [{ keep: request.offer, member: sender }];
    if (request.type === 'broadcast') {
      return toOthers({ type: 'broadcast', fromId: sender.id, data: request.data }, sender, roster, limits, now);
    }
    const delivery: ServerMessage = { type: 'signal', fromId: sender.id, signal: request.signal };
    if (request.targetId === BROADCAST_TARGET) return toOthers(delivery, sender, roster, limits, now);
    const target = roster.find(request.targetId);
    if (target && !isGhost(target, limits, now)) return [{ send: delivery, to: [target] }];
    const poller = roster.pollers().find(({ entry }) => entry.sessionId === request.targetId);
    if (poller && !isReactNative(request.targetId)) return cross(request.signal, sender, poller, roster, makeKey, now);
    const departure = target ? expel(target, SILENT, roster, limits, now) : [];
    return [...departure, unreachable(request.targetId, sender, roster, now)];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [{ send: { type: 'error', code: error.code, message: error.message }, to: [sender] }];
  }
}

/** `sender` has a signal for one who polls. */
function cross<M extends Member>(
  signal: unknown,
  sender: M,
  poller: Posting,
  roster: Roster<M>,
  makeKey: () => string,
  now: number,
): Effect<M>[] {
  const pair = { socketId: sender.id, pollerId: poller.entry.sessionId };
  const known = roster.crossings(pair.pollerId).find(({ socketId }) => socketId === pair.socketId);
  const carried = carry(signal, pair, known, makeKey, now);
  if (!carried) return [];
  if ('keep' in carried) return [{ cross: carried.keep }];
  const again = answer(carried.answer, poller.entry, poller.packages);
  return [{ send: { type: 'signal', fromId: pair.pollerId, signal: again }, to: [sender] }];
}

function unreachable<M extends Member>(targetId: string, sender: M, roster: Roster<M>, now: number): Effect<M> {
  const isAway = roster.held().some(({ id, until }) => id === targetId && until > now);
  const error: ErrorMessage = isAway
    ? { type: 'error', code: 'peer_away', message: 'The peer has lost its connection and may come back.', targetId }
    : {
        type: 'error',
        code: 'unknown_peer',
        message: 'No peer in this room has that targetId. It may have left: peer_leave tells.',
        targetId,
      };
  return { send: error, to: [sender] };
}

/** One token is paid for every message; one for each further recipient of a broadcast. */
function toOthers<M extends Member>(
  message: ServerMessage,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = layGhosts(roster.others(sender), limits, now, sender);
  const refusal = living.length > 1 ? pay(living.length - 1, sender, roster, limits, now) : undefined;
  return [...effects, ...(refusal ?? [{ send: message, to: living }])];
}

/** Takes tokens from the sender's bucket; what to do instead if there are too few. */
function pay<M extends Member>(
  cost: number,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] | undefined {
  const spending = spend(sender.bucket, cost, limits.messagesPerSecond, now, () => roster.countOthers());
  switch (spending.verdict) {
    case 'pass':
      return undefined;
    case 'wait': {
      const { retryAfterMs } = spending;
      const message = `Too many messages: this one was dropped. It would pass in ${retryAfterMs} ms.`;
      return [{ send: { type: 'error', code: 'rate_limited', message, retryAfterMs }, to: [sender] }];
    }
    case 'flood':
      return expel(sender, FLOOD, roster, limits, now);
  }
}

/** Closes a member and tells the others. */
function expel<M extends Member>(member: M, close: Close, roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  return [{ close, member }, ...leave(member, 'timeout', roster, limits, now)];
}

function farewell<M>(clientId: string, reason: LeaveReason, living: readonly M[], now: number): Effect<M> {
  return { send: { type: 'peer_leave', clientId, timestamp: now, reason }, to: living };
}

/**
 * Tells the living from the ghosts among `members`, and what it takes to be rid of the ghosts. The living hear of it,
 * and so does `witness`, a member who is not among those looked at.
 */
function layGhosts<M extends Member>(
  members: readonly M[],
  limits: Limits,
  now: number,
  witness?: M,
): { living: readonly M[]; effects: Effect<M>[] } {
  const ghosts = members.filter((member) => isGhost(member, limits, now));
  if (ghosts.length === 0) return { living: members, effects: [] };
  const living = members.filter((member) => !isGhost(member, limits, now));
  const effects: Effect<M>[] = ghosts.map((member) => ({ close: SILENT, member }));
  const audience = witness ? [...living, witness] : living;
  for (const ghost of ghosts) effects.push(farewell(ghost.id, 'timeout', audience, now));
  return { living, effects };
}

function isGhost(member: Member, { ghostAfterSeconds }: Limits, now: number): boolean {
  return member.pings && now - member.lastSeen > ghostAfterSeconds * 1000;
}

/** Whether a frame has more than `maxBytes` UTF-8 bytes; a UTF-16 unit becomes 1 to 3, so most need no counting. */
function isTooLarge(frame: string | ArrayBuffer, maxBytes: number): boolean {
  if (typeof frame !== 'string') return frame.byteLength > maxBytes;
  return frame.length > maxBytes || (frame.length * 3 > maxBytes && utf8Length(frame) > maxBytes);
}
