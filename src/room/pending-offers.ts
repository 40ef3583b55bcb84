/**
 * How a peer on a socket and a peer that polls meet. The first makes an ordinary offer, which the second is shown as a
 * package of P2PCF's; once it has been, the first gets an ordinary answer, made of what the second posts of itself.
 */
import type { Package } from '../protocol/poll.ts';
import { type IceCandidate, parseSignal } from '../protocol/signal.ts';
import { putIn } from './message-limits.ts';
import { heldPlaces } from './places.ts';
import {
  answerOf,
  candidatesIn,
  candidatesSignal,
  isCandidate,
  listingOf,
  readOffer,
  toSessionId,
} from './poller-view.ts';
import {
  type Effect,
  type Limits,
  type Listing,
  type Member,
  type Offer,
  type PendingOffer,
  type Place,
  type Roster,
  send,
} from './room.ts';

/** How long an offer that does not say where its candidates end is kept back, in ms: P2PCF reads a package once. */
const HOLD_BACK_MS = 1_000;

/** Most candidates of one offer that are passed on; a browser with many networks has some thirty. */
const MAX_KEPT_CANDIDATES = 64;

/** Longest that they may be together, in characters: they are kept in the attachment of their socket. */
const MAX_KEPT_CANDIDATES_LENGTH = 4096;

/** Most offers to pollers that are kept for one socket, the latest. */
const MAX_OFFERS = 32;

/** What a signal comes to: something to `keep`, or a taken offer that was sent again and has to be answered `again`. */
export type Reading = { keep: PendingOffer } | { again: PendingOffer };

/** `sender` has a signal for a peer that polls. */
export function offerToPoller<M extends Member>(
  signal: unknown,
  sender: M,
  poller: Listing,
  makeKey: () => string,
  now: number,
): Effect<M>[] {
  const { sessionId } = poller.entry;
  const known = sender.offers.find(({ pollerId }) => pollerId === sessionId);
  const reading = readSignal(signal, sessionId, known, makeKey, now);
  if (!reading) return [];
  if ('keep' in reading) return [keepOffer(sender, reading.keep)];
  return [signalFrom(sessionId, answerOf(sender.id, reading.again, poller.entry, poller.packages), sender)];
}

/**
 * Reads a signal of a socket for a poller; `known` is what is between them so far. Undefined if it changes nothing.
 * Throws ProtocolError for an offer that no poller could answer.
 */
export function readSignal(
  signal: unknown,
  pollerId: string,
  known: PendingOffer | undefined,
  makeKey: () => string,
  now: number,
): Reading | undefined {
  const { description, candidates = [], attempt } = parseSignal(signal) ?? {};
  if (description?.type === 'offer') {
    const offer = readOffer(description, attempt);
    if (known && isSame(offer, known.offer)) return known.isTaken ? { again: known } : extended(known, candidates);
    const pending: PendingOffer = {
      pollerId,
      offer,
      candidates: [],
      isComplete: /^a=end-of-candidates/m.test(description.sdp),
      pollerCredentials: { ufrag: makeKey().slice(0, 8), pwd: makeKey() },
      offeredAt: Math.max(now, (known?.offeredAt ?? 0) + 1),
      isTaken: false,
    };
    return extended(pending, [...candidatesIn(description), ...candidates]) ?? { keep: pending };
  }
  const isCurrent = attempt === undefined || attempt === known?.offer.attempt;
  // A poller reads an offer once: what comes after that is lost on it, and its own candidates have to do.
  return known && isCurrent && !known.isTaken ? extended(known, candidates) : undefined;
}

/** A peer on a socket that has offered to a poller. `member` is undefined while the socket is away. */
interface Offering<M> {
  readonly peer: M | Place;
  readonly member: M | undefined;
  readonly pending: PendingOffer;
}

/** Touches every socket: for a poll, no more. */
function offeringsTo<M extends Member>(poller: string, roster: Roster<M>, now: number): Offering<M>[] {
  const members = roster.others().map((member) => ({ peer: member, member }));
  const places = heldPlaces(roster, now).map((place) => ({ peer: place, member: undefined }));
  return [...members, ...places].flatMap(({ peer, member }) =>
    peer.offers.filter(({ pollerId }) => pollerId === poller).map((pending) => ({ peer, member, pending })),
  );
}

/** The peers on sockets that have offered to a poller, as it is shown them. */
export function offersFor<M extends Member>(pollerId: string, roster: Roster<M>, now: number): Listing[] {
  return offeringsTo(pollerId, roster, now)
    .filter(({ member, pending }) => isShown(pending, !member, now))
    .map(({ peer, pending }) => listingOf(peer, pending));
}

/**
 * Whether a poller is shown a peer, with its offer. Not before the offer is ready, nor while the peer `isAway` and
 * could not be told that its offer has been seen. A p2pcf that is shown a peer with no offer polls every 1.5 s until
 * there is one, and for ever once it misses a peer it is connected to.
 */
export function isShown({ offeredAt, isComplete, isTaken }: PendingOffer, isAway: boolean, now: number): boolean {
  const isReady = isComplete || now - offeredAt >= HOLD_BACK_MS;
  return isTaken || (isReady && !isAway);
}

/**
 * `poller` has polled and was shown `shown`: the members whose offers it sees for the first time get their answers, the
 * others what candidates it has posted since it posted `before`. A member may not read that either, and offers as often
 * as it likes: one with a full inbox gets its answer at a later poll.
 */
export function answerOffers<M extends Member>(
  poller: Listing,
  before: readonly Package[],
  shown: readonly Listing[],
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const pollerId = poller.entry.sessionId;
  const known = new Set(before.map(({ json }) => json));
  const added = poller.packages.filter(({ json }) => !known.has(json));
  const names = new Set(shown.map(({ entry }) => entry.sessionId));
  return offeringsTo(pollerId, roster, now).flatMap(({ member, pending }): Effect<M>[] => {
    if (!member) return [];
    const isAnswered = !pending.isTaken && names.has(toSessionId(member.id));
    const signal = isAnswered
      ? answerOf(member.id, pending, poller.entry, poller.packages)
      : pending.isTaken && candidatesSignal(member.id, pending, added);
    if (!signal) return [];
    const delivery = signalFrom(pollerId, signal, member);
    if (putIn(member, delivery.text, roster, limits, now) > 0) return [];
    return isAnswered ? [keepOffer(member, { ...pending, isTaken: true }), delivery] : [delivery];
  });
}

/** In place of what `member` has offered to the same poller. The latest stands last. */
function keepOffer<M extends Member>(member: M, offer: PendingOffer): Effect<M> {
  const others = member.offers.filter(({ pollerId }) => pollerId !== offer.pollerId);
  return { do: 'setOffers', member, offers: [...others, offer].slice(-MAX_OFFERS) };
}

/**
 * The same offers in less space: without the candidates of one that has been taken, else with half of those of the one
 * that has most, every other so that some of each kind stay. With few or none a poller connects by its own. Undefined
 * if no offer has any.
 */
export function withFewerCandidates(offers: readonly PendingOffer[]): PendingOffer[] | undefined {
  const [largest] = offers
    .filter(({ candidates }) => candidates.length > 0)
    .sort((a, b) => Number(b.isTaken) - Number(a.isTaken) || b.candidates.length - a.candidates.length);
  if (!largest) return undefined;
  const isKept = (n: number): boolean => !largest.isTaken && largest.candidates.length > 1 && n % 2 === 0;
  const candidates = largest.candidates.filter((_, n) => isKept(n));
  return offers.map((each) => (each === largest ? { ...each, candidates } : each));
}

/** What `member` has offered to pollers that are gone is dropped. */
export function dropOffers<M extends Member>(member: M, gone: ReadonlySet<string>): Effect<M>[] {
  const offers = member.offers.filter(({ pollerId }) => !gone.has(pollerId));
  return offers.length < member.offers.length ? [{ do: 'setOffers', member, offers }] : [];
}

function signalFrom<M>(fromId: string, signal: unknown, to: M): Extract<Effect<M>, { do: 'send' }> {
  return send({ type: 'signal', fromId, signal }, to);
}

/** Undefined if that adds nothing. */
function extended(pending: PendingOffer, added: readonly IceCandidate[]): Reading | undefined {
  const lines = new Set(pending.candidates);
  let length = pending.candidates.join('').length;
  for (const { candidate } of added) {
    if (!isCandidate(candidate) || lines.has(candidate)) continue;
    length += candidate.length;
    if (length <= MAX_KEPT_CANDIDATES_LENGTH) lines.add(candidate);
  }
  const candidates = [...lines].slice(0, MAX_KEPT_CANDIDATES);
  // An empty candidate is the end of them; null, which some send for that, parseSignal does not take for it.
  const isComplete = pending.isComplete || added.some(({ candidate }) => candidate === '');
  const isUnchanged = candidates.length === pending.candidates.length && isComplete === pending.isComplete;
  return isUnchanged ? undefined : { keep: { ...pending, candidates, isComplete } };
}

function isSame(a: Offer, b: Offer): boolean {
  return a.ufrag === b.ufrag && a.pwd === b.pwd && a.fingerprint === b.fingerprint && a.attempt === b.attempt;
}
