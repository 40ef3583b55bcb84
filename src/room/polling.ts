/**
 * What a room decides about peers that poll: each posts what it has for the others and is shown what they posted. What
 * members on sockets hear of pollers is decided here, too.
 */
import { REMOVED } from '../protocol/close.ts';
import type { LeaveReason, PeerJoin } from '../protocol/messages.ts';
import {
  isReactNative,
  type LeaveRequest,
  listed,
  type Package,
  type PollReply,
  type PollRequest,
  replyJson,
  type Session,
} from '../protocol/poll.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { capacityFor, makeWay } from './capacity.ts';
import { answerOffers, dropOffers, offersFor } from './pending-offers.ts';
import { heldPlace, heldPlaces } from './places.ts';
import type { PollRate } from './poll-rate.ts';
import { toSocketId } from './poller-view.ts';
import { farewell, introductions, putOut, sweep } from './presence.ts';
import {
  type Effect,
  isRemoved,
  keptIds,
  type Limits,
  type Listing,
  lengthOf,
  type Member,
  NAME_KEPT_MS,
  type Posting,
  pollersAt,
  type Roster,
  send,
} from './room.ts';
import { isSameSecret } from './secret.ts';
import { type Bearer, type Claims, mayTakeOver, verifiedOf } from './token-claims.ts';

/**
 * Most that pollers may have posted in one room, in UTF-8 bytes: it is all in memory while the room is awake. A posting
 * of no more than its share of it always has room, so that a few large ones keep nobody else out; so the bound of all
 * is twice this, and once more for the names of pollers that have lapsed.
 */
const MAX_POSTINGS_BYTES = 2 * 1024 * 1024;

/**
 * Most that one reply brings in packages, in UTF-8 bytes. If there is more, the packages of the pollers that have most
 * for this session are left out: so nobody keeps others' packages from it.
 */
const MAX_REPLY_BYTES = 512 * 1024;

/** Who polls, as far as the Worker knows it. */
export interface Requester extends Bearer {
  /** Stands for the network that it polls from; undefined where that is not known. */
  readonly address: string | undefined;
}

/** What a poll is answered: for 200 the reply as JSON, else a sentence. */
export interface PollResponse {
  readonly status: 200 | 403 | 404 | 409 | 429 | 503;
  readonly body: string;
  readonly retryAfterSeconds?: number;
}

/** What a poll comes to. */
export interface PollOutcome<M> {
  readonly response: PollResponse;
  readonly effects: Effect<M>[];
}

/** A peer polls. */
export function poll<M extends Member>(
  { contextId, session }: PollRequest,
  { claims, address }: Requester,
  roster: Roster<M>,
  limits: Limits,
  rate: PollRate,
  makeKey: () => string,
  now: number,
): PollOutcome<M> {
  const waitMs = rate.poll(contextId, address, now);
  if (waitMs > 0) return tooFast(waitMs);
  if (isRemoved({ claims }, roster, now)) return refused(403, `${REMOVED.reason}.`);
  const pollers = [...pollersAt(roster, now)].sort((a, b) => a.since - b.since);
  const mine = pollers.find((posting) => posting.contextId === contextId);
  const others = pollers.filter((posting) => posting !== mine);
  const countMembers = (): number => roster.count() + heldPlaces(roster, now).length;
  // Told that nobody is there, p2pcf posts itself at once, which saves it a second or two: with a peer on a socket it
  // takes no more than that to be offered a connection. Who else polls it hears at its next poll.
  if (!session) return answered(replyFor('', countMembers() > 0 ? [] : others));
  const { sessionId } = session.entry;
  // P2PCF trusts whatever session a poll names. A poll under another's id would be handed the packages for that.
  if (isMember(sessionId, roster, now) || isKeptFor(sessionId, contextId, claims, roster, now))
    return refused(409, 'Taken: another peer in this room goes by the session id d[0].');
  const offers = offersFor(sessionId, roster, now);
  const reply = replyFor(sessionId, [...others, ...offers]);
  const known = pollers.find(({ entry }) => entry.sessionId === sessionId);
  const answers = (poller: Listing | undefined): Effect<M>[] =>
    poller ? answerOffers(poller, known?.packages ?? [], offers, roster, limits, now) : [];
  if (!session.packages) return answered(reply, answers(known));
  const way = mine ? { mutes: [] } : wayFor({ claims }, others.length, roster, limits, now);
  if ('capacity' in way)
    return refused(503, `Full: this room has its ${way.capacity} peers. Try again when one has left.`, 30);
  const deleteKey = mine?.deleteKey ?? makeKey();
  if (mine && isPosted(session, mine, now)) return answered({ ...reply, deleteKey }, answers(known));
  const { entry, postedAt, packages, keepMs } = session;
  const posting = {
    contextId,
    entry,
    postedAt,
    packages,
    deleteKey,
    since: mine?.since ?? now,
    claims,
    // A poller needs a token at each poll: what it has posted ends with the token at the latest.
    expiresAt: Math.min(now + keepMs, claims?.until ?? Number.POSITIVE_INFINITY),
  };
  if (!hasRoomFor(posting, roster, limits))
    return refused(503, 'Full: the pollers in this room have posted as much as it takes. Try again later.', 30);
  const waitToPostMs = rate.post(contextId, address, now);
  if (waitToPostMs > 0) return tooFast(waitToPostMs);
  const room = putOut(way.mutes, roster.others(), now);
  // Another session of this context may be open yet, so it has not left: a tab and its duplicate share a context.
  const news = [...room.effects, ...announce(pollers, [...others, posting], 'timeout', room.others, limits, now)];
  const waitToTellMs = rate.tell(lengthOf(news), now);
  if (waitToTellMs > 0) return tooFast(waitToTellMs);
  return answered({ ...reply, deleteKey }, [{ do: 'keepPosting', posting }, ...news, ...answers(posting)]);
}

/**
 * Who is put out so that one more poller fits in beside `others`: as for a socket, ghosts do not count, and mute
 * members go. Or, if it does not fit in, the `capacity` of the room.
 */
function wayFor<M extends Member>(
  newcomer: Bearer,
  others: number,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): { mutes: readonly M[] } | { capacity: number } {
  const { living } = sweep(roster.others(), limits, now);
  const away = heldPlaces(roster, now);
  const capacity = capacityFor(newcomer, (living[0] ?? away[0])?.maxPeers, limits);
  const way = makeWay({ metadataLength: 0 }, living, away, others, capacity, now);
  return 'full' in way ? { capacity } : way;
}

/** A poller leaves. */
export function leaveByPoll<M extends Member>(
  request: LeaveRequest,
  { address }: Requester,
  roster: Roster<M>,
  limits: Limits,
  rate: PollRate,
  now: number,
): PollOutcome<M> {
  const waitMs = rate.poll(request.contextId, address, now);
  if (waitMs > 0) return tooFast(waitMs);
  const pollers = pollersAt(roster, now);
  const posting = pollers.find(({ contextId }) => contextId === request.contextId);
  if (posting?.entry.sessionId !== request.sessionId || !isSameSecret(posting.deleteKey, request.deleteKey))
    return refused(404, 'No delete key: nothing was posted under this session, context and key.');
  const after = pollers.filter((each) => each !== posting);
  const effects = announce(pollers, after, 'left', roster.others(), limits, now);
  return { response: { status: 200, body: '{}' }, effects: [{ do: 'dropPosting', posting }, ...effects] };
}

/**
 * Time has passed: pollers that have not renewed their postings are gone, and after a while their session ids are free.
 */
export function lapsePollers<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const postings = roster.postings();
  const due = postings.filter(({ expiresAt }) => expiresAt <= now);
  if (due.length === 0) return [];
  const lapsed = due.filter(({ isName }) => !isName);
  const names = lapsed.map(nameOf).filter(({ expiresAt }) => expiresAt > now);
  const kept = new Set(names.map(({ contextId }) => contextId));
  const pollers = pollersAt(roster, now);
  return [
    ...names.map((posting) => ({ do: 'keepPosting', posting }) as const),
    ...due.filter(({ contextId }) => !kept.has(contextId)).map((posting) => ({ do: 'dropPosting', posting }) as const),
    ...announce([...pollers, ...lapsed], pollers, 'timeout', roster.others(), limits, now),
  ];
}

/** The pollers are others than `before`: `members` hear who has gone, for this `reason`, and who has come. */
function announce<M extends Member>(
  before: readonly Posting[],
  after: readonly Posting[],
  reason: LeaveReason,
  members: readonly M[],
  limits: Limits,
  now: number,
): Effect<M>[] {
  const gone = missing(before, after);
  const come = missing(after, before);
  if (gone.length + come.length === 0) return [];
  const { living, effects } = sweep(members, limits, now);
  const goneIds = new Set(gone.map(({ entry }) => entry.sessionId));
  if (gone.length > 0) effects.push(...living.flatMap((member) => dropOffers(member, goneIds)));
  for (const { id } of introductions(gone)) effects.push(farewell(id, reason, living, now));
  for (const { id, metadata, claims } of introductions(come)) {
    const news: PeerJoin = { type: 'peer_join', clientId: id, timestamp: now, metadata, polling: true };
    const verified = verifiedOf({ claims });
    effects.push(send(verified ? { ...news, verified } : news, ...living));
  }
  return effects;
}

function missing(from: readonly Posting[], to: readonly Posting[]): Posting[] {
  return from.filter(({ entry }) => to.every((other) => other.entry.sessionId !== entry.sessionId));
}

/**
 * Whether a peer on a socket, present or with its place held, goes by this session id, or by what it is an alias of.
 */
function isMember<M extends Member>(sessionId: string, roster: Roster<M>, now: number): boolean {
  return [sessionId, toSocketId(sessionId)].some((id) => roster.find(id) ?? heldPlace(id, roster, now));
}

/** Whether this session id is another context's, or another subject's, be its poller there or lapsed not long ago. */
function isKeptFor<M extends Member>(
  sessionId: string,
  contextId: string,
  claims: Claims | undefined,
  roster: Roster<M>,
  now: number,
): boolean {
  return keptIds(roster, now).some((posting) => {
    const isMine = posting.contextId === contextId && mayTakeOver(posting, { claims });
    return posting.entry.sessionId === sessionId && !isMine;
  });
}

/** All that is left of a poller that has lapsed: whose session id it was. */
function nameOf(posting: Posting): Posting {
  const entry = { ...posting.entry, clientId: '', reflexiveIps: [] };
  return { ...posting, entry, packages: [], isName: true, expiresAt: posting.expiresAt + NAME_KEPT_MS };
}

/** What others have posted for a session; for a poller that has none yet, who is there. */
function replyFor(sessionId: string, others: readonly Listing[]): PollReply {
  const seen = others.filter(({ entry }) => isReactNative(entry.sessionId) === isReactNative(sessionId));
  let bytes = 0;
  const packages = seen
    .map((other) => other.packages.filter(({ to }) => to === sessionId))
    .sort((a, b) => sizeOf(a) - sizeOf(b))
    .flat()
    .filter(({ json }) => {
      // What comes after is not measured: a room is polled up to a hundred times a second.
      if (bytes <= MAX_REPLY_BYTES) bytes += utf8Length(json);
      return bytes <= MAX_REPLY_BYTES;
    });
  return { others: seen.map(({ entry, postedAt }) => listed(entry, postedAt)), packages };
}

/** In UTF-16 units: to compare by, which is done more often than once for each. */
function sizeOf(packages: readonly Package[]): number {
  return packages.reduce((sum, { json }) => sum + json.length, 0);
}

function hasRoomFor<M extends Member>(posting: Posting, roster: Roster<M>, { maxPeers }: Limits): boolean {
  const rest = roster.postings().filter(({ contextId }) => contextId !== posting.contextId);
  const isLarge = bytesOf(posting) > MAX_POSTINGS_BYTES / maxPeers;
  const counted = isLarge ? [...rest, posting] : rest.filter(({ isName }) => isName);
  return counted.reduce((sum, each) => sum + bytesOf(each), 0) <= MAX_POSTINGS_BYTES;
}

/** About how many bytes of a room's memory a posting takes. */
function bytesOf({ entry, packages }: Posting): number {
  const ofEntry = utf8Length(JSON.stringify(entry)) + 256;
  return packages.reduce((sum, { to, json }) => sum + utf8Length(to) + utf8Length(json) + 64, ofEntry);
}

/**
 * Whether what a poller posts is what it has posted before. p2pcf says so with the `t` it posts. p2pcf.rn posts with a
 * new `t` every three seconds, and nobody reads that: the same posting is written again only when half its time is
 * over.
 */
function isPosted({ entry, postedAt, packages, keepMs }: Session, posting: Posting, now: number): boolean {
  if (posting.postedAt === postedAt) return true;
  return (
    isReactNative(entry.sessionId) &&
    posting.expiresAt - now > keepMs / 2 &&
    JSON.stringify([entry, packages]) === JSON.stringify([posting.entry, posting.packages])
  );
}

function answered<M>(reply: PollReply, effects: Effect<M>[] = []): PollOutcome<M> {
  return { response: { status: 200, body: replyJson(reply) }, effects };
}

function refused<M>(status: PollResponse['status'], body: string, retryAfterSeconds?: number): PollOutcome<M> {
  return { response: { status, body, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) }, effects: [] };
}

function tooFast<M>(waitMs: number): PollOutcome<M> {
  const seconds = Math.ceil(waitMs / 1000);
  return refused(429, `Too fast: poll again in ${seconds} s.`, seconds);
}
