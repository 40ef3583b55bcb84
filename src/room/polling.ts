/**
 * What a room decides about peers that poll: each posts what it has for the others and is shown what they posted. What
 * members on sockets hear of pollers is decided here, too.
 */
import type { LeaveReason } from '../protocol/messages.ts';
import {
  isReactNative,
  type LeaveRequest,
  listed,
  type PollReply,
  type PollRequest,
  type Session,
} from '../protocol/poll.ts';
import { answerOffers, offersFor } from './bridge.ts';
import { toSocketId } from './package.ts';
import { closeGhosts, farewell, introductions } from './presence.ts';
import {
  type Effect,
  heldPlace,
  heldPlaces,
  type Limits,
  type Listing,
  type Member,
  type Posting,
  type Roster,
} from './room.ts';
import { isSameSecret } from './secret.ts';

/** What a poll is answered: for 200 the reply as JSON, else a sentence. */
export interface PollResponse {
  readonly status: 200 | 404 | 409 | 503;
  readonly body: string;
}

/** What a poll comes to. */
export interface PollOutcome<M> {
  readonly response: PollResponse;
  readonly effects: Effect<M>[];
}

/** A peer polls. */
export function poll<M extends Member>(
  { contextId, session }: PollRequest,
  roster: Roster<M>,
  limits: Limits,
  makeKey: () => string,
  now: number,
): PollOutcome<M> {
  const postings = roster.postings();
  const living = postings.filter((posting) => !isLapsed(posting, now)).sort((a, b) => a.since - b.since);
  const mine = living.find((posting) => posting.contextId === contextId);
  const others = living.filter((posting) => posting !== mine);
  const countMembers = (): number => roster.count() + heldPlaces(roster, now).length;
  // Told that nobody is there, p2pcf posts itself at once, which saves it a second or two: with a peer on a socket it
  // takes no more than that to be offered a connection. Who else polls it hears at its next poll.
  if (!session) return answered(countMembers() > 0 ? { ps: [], pk: [] } : replyFor('', others));
  const { sessionId } = session.entry;
  // P2PCF trusts whatever session a poll names. A poll under another's id would be handed the packages for that.
  if (isMember(sessionId, roster, now) || others.some(({ entry }) => entry.sessionId === sessionId))
    return refused(409, 'Taken: another peer in this room goes by the session id d[0].');
  const offers = offersFor(sessionId, roster, now);
  const reply = replyFor(sessionId, [...others, ...offers]);
  const known = postings.find(({ entry }) => entry.sessionId === sessionId);
  const answers = (poller: Listing | undefined): Effect<M>[] =>
    poller ? answerOffers(poller, known?.packages ?? [], offers, roster, now) : [];
  if (!session.packages) return answered(reply, answers(known));
  if (!mine && others.length + countMembers() >= limits.maxPeers)
    return refused(503, `Full: this room has its ${limits.maxPeers} peers. Try again when one has left.`);
  reply.dk = mine?.deleteKey ?? makeKey();
  if (mine && isPosted(session, mine, now)) return answered(reply, answers(known));
  const { entry, postedAt, packages, keepMs } = session;
  const since = mine?.since ?? now;
  const posting = { contextId, entry, postedAt, packages, deleteKey: reply.dk, since, expiresAt: now + keepMs };
  const after = [...postings.filter((each) => each.contextId !== contextId), posting];
  return answered(reply, [
    { do: 'keepPosting', posting },
    // A page that is back under another session has left the first.
    ...announce(postings, after, 'left', roster, limits, now),
    ...answers(posting),
  ]);
}

/** A poller leaves. */
export function leaveByPoll<M extends Member>(
  request: LeaveRequest,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): PollOutcome<M> {
  const postings = roster.postings();
  const posting = postings.find(({ contextId }) => contextId === request.contextId);
  if (
    !posting ||
    isLapsed(posting, now) ||
    posting.entry.sessionId !== request.sessionId ||
    !isSameSecret(posting.deleteKey, request.deleteKey)
  )
    return refused(404, 'No delete key: nothing was posted under this session, context and key.');
  const after = postings.filter((each) => each !== posting);
  const effects = announce(postings, after, 'left', roster, limits, now);
  return { response: { status: 200, body: '{}' }, effects: [{ do: 'dropPosting', posting }, ...effects] };
}

/** Time has passed: pollers that have not posted anew are gone. */
export function lapsePollers<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  const postings = roster.postings();
  const [lapsed, living] = [
    postings.filter((each) => isLapsed(each, now)),
    postings.filter((each) => !isLapsed(each, now)),
  ];
  if (lapsed.length === 0) return [];
  return [
    ...lapsed.map((posting) => ({ do: 'dropPosting', posting }) as const),
    ...announce(postings, living, 'timeout', roster, limits, now),
  ];
}

/** The pollers are others than `before`: the members hear who has gone, for this `reason`, and who has come. */
function announce<M extends Member>(
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
  const { living, effects } = closeGhosts(roster.others(), limits, now);
  for (const { entry } of gone) {
    for (const offer of roster.pendingOffers(entry.sessionId)) effects.push({ do: 'dropOffer', offer });
  }
  for (const { id } of introductions(gone)) effects.push(farewell(id, reason, living, now));
  for (const { id, metadata } of introductions(come)) {
    const message = { type: 'peer_join', clientId: id, timestamp: now, metadata, polling: true } as const;
    effects.push({ do: 'send', message, to: living });
  }
  return effects;
}

function missing(from: readonly Posting[], to: readonly Posting[]): Posting[] {
  return from.filter(({ entry }) => to.every((other) => other.entry.sessionId !== entry.sessionId));
}

function isLapsed({ expiresAt }: Posting, now: number): boolean {
  return expiresAt <= now;
}

/** Whether a peer on a socket, present or with its place held, goes by this session id, or by what it is an alias of. */
function isMember<M extends Member>(sessionId: string, roster: Roster<M>, now: number): boolean {
  return [sessionId, toSocketId(sessionId)].some((id) => roster.find(id) ?? heldPlace(id, roster, now));
}

/** What others have posted for a session; for a poller that has none yet, who is there. */
function replyFor(sessionId: string, others: readonly Listing[]): PollReply {
  const seen = others.filter(({ entry }) => isReactNative(entry.sessionId) === isReactNative(sessionId));
  return {
    ps: seen.map(({ entry, postedAt }) => listed(entry, postedAt)),
    pk: seen.flatMap(({ packages }) => packages.filter(([to]) => to === sessionId)),
  };
}

/**
 * Whether what a poller posts is what it has posted before. p2pcf says so with the `t` it posts. p2pcf.rn posts with a
 * new one every three seconds, and nobody looks at it: the same is written anew only when half its time is over.
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
  return { response: { status: 200, body: JSON.stringify(reply) }, effects };
}

function refused<M>(status: PollResponse['status'], body: string): PollOutcome<M> {
  return { response: { status, body }, effects: [] };
}
