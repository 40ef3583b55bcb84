/**
 * How a peer on a socket and a peer that polls meet. The first makes an ordinary offer, which the second is shown as a
 * package of P2PCF's; once it has been, the first gets an ordinary answer, made of what the second posts of itself.
 */
import type { Package } from '../protocol/poll.ts';
import { type IceCandidate, parseSignal } from '../protocol/signal.ts';
import { answerOf, candidatesIn, candidatesSignal, MAX_UNITS, packageOf, readOffer, toSessionId } from './package.ts';
import {
  type Effect,
  heldPlace,
  type Listing,
  type Member,
  type Offer,
  type PendingOffer,
  type Roster,
} from './room.ts';

/** How long an offer that does not say where its candidates end is kept back, in ms: P2PCF reads a package once. */
const HOLD_BACK_MS = 1_000;

/** Most candidates of one offer that are passed on; a browser with many networks has some thirty. */
const MAX_CANDIDATES = 64;

/** What a signal comes to: something to `keep`, or a taken offer that was sent again and has to be answered `again`. */
export type Reading = { keep: PendingOffer } | { again: PendingOffer };

/** `sender` has a signal for a peer that polls. */
export function offerToPoller<M extends Member>(
  signal: unknown,
  sender: M,
  poller: Listing,
  roster: Roster<M>,
  makeKey: () => string,
  now: number,
): Effect<M>[] {
  const pair = { socketId: sender.id, pollerId: poller.entry.sessionId };
  const known = roster.pendingOffers(pair.pollerId).find(({ socketId }) => socketId === pair.socketId);
  const reading = readSignal(signal, pair, known, makeKey, now);
  if (!reading) return [];
  if ('keep' in reading) return [{ do: 'keepOffer', offer: reading.keep }];
  return [signalFrom(pair.pollerId, answerOf(reading.again, poller.entry, poller.packages), sender)];
}

/**
 * Reads a signal of a socket for a poller; `known` is what is between them so far. Undefined if it changes nothing.
 * Throws ProtocolError for an offer that no poller could answer.
 */
export function readSignal(
  signal: unknown,
  { socketId, pollerId }: Pick<PendingOffer, 'socketId' | 'pollerId'>,
  known: PendingOffer | undefined,
  makeKey: () => string,
  now: number,
): Reading | undefined {
  const { description, candidates = [], attempt } = parseSignal(signal) ?? {};
  if (description?.type === 'offer') {
    const offer = readOffer(description, attempt);
    if (known && isSame(offer, known.offer)) return known.isTaken ? { again: known } : extended(known, candidates);
    const pending: PendingOffer = {
      socketId,
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

/** The peers on sockets that have offered to a poller, as it is shown them. */
export function offersFor<M extends Member>(pollerId: string, roster: Roster<M>, now: number): Listing[] {
  return roster.pendingOffers(pollerId).flatMap((pending) => {
    const member = roster.find(pending.socketId);
    const peer = member ?? heldPlace(pending.socketId, roster, now);
    return (peer && listingOf(pending, labelOf(peer), !member, now)) ?? [];
  });
}

/**
 * The socket of `pending` as its poller is shown it, with the offer; undefined when it had better not be, because that
 * is not ready, or because the socket `isAway` and could not be told that it has been seen. A p2pcf that is shown
 * a peer with no offer polls every 1.5 s until there is one, and for ever once it misses a peer it is connected to.
 */
export function listingOf(pending: PendingOffer, clientId: string, isAway: boolean, now: number): Listing | undefined {
  const { socketId, offer, offeredAt, isComplete, isTaken } = pending;
  const isReady = isComplete || now - offeredAt >= HOLD_BACK_MS;
  if (!isTaken && (isAway || !isReady)) return undefined;
  const { fingerprint } = offer;
  const sessionId = toSessionId(socketId);
  return {
    // Of two the later takes the package, so a socket has been there since the first of all times.
    entry: { sessionId, clientId, isSymmetric: false, fingerprint, startedAt: 1, reflexiveIps: [] },
    postedAt: offeredAt,
    packages: [packageOf(pending)],
  };
}

/**
 * `poller` has polled and was shown `shown`: the members whose offers it sees for the first time get their answers, the
 * others what candidates it has posted since it posted `before`. What a peer offered that is gone for good is dropped.
 */
export function answerOffers<M extends Member>(
  poller: Listing,
  before: readonly Package[],
  shown: readonly Listing[],
  roster: Roster<M>,
  now: number,
): Effect<M>[] {
  const pollerId = poller.entry.sessionId;
  const known = new Set(before.map((each) => JSON.stringify(each)));
  const added = poller.packages.filter((each) => !known.has(JSON.stringify(each)));
  const names = new Set(shown.map(({ entry }) => entry.sessionId));
  return roster.pendingOffers(pollerId).flatMap((pending): Effect<M>[] => {
    const { socketId, isTaken } = pending;
    const member = roster.find(socketId);
    if (!member) return heldPlace(socketId, roster, now) ? [] : [{ do: 'dropOffer', offer: pending }];
    if (!isTaken && names.has(toSessionId(socketId))) {
      const answer = answerOf(pending, poller.entry, poller.packages);
      return [{ do: 'keepOffer', offer: { ...pending, isTaken: true } }, signalFrom(pollerId, answer, member)];
    }
    const candidates = isTaken && candidatesSignal(pending, added);
    return candidates ? [signalFrom(pollerId, candidates, member)] : [];
  });
}

function signalFrom<M>(fromId: string, signal: unknown, to: M): Effect<M> {
  return { do: 'send', message: { type: 'signal', fromId, signal }, to: [to] };
}

/** The label of a peer, if it brought one where the library has it; else its id. */
function labelOf({ id, metadata }: Pick<Member, 'id' | 'metadata'>): string {
  const { client_id } = Object(metadata);
  return typeof client_id === 'string' ? client_id : id;
}

/** Undefined if that adds nothing. */
function extended(pending: PendingOffer, added: readonly IceCandidate[]): Reading | undefined {
  const lines = new Set(pending.candidates);
  for (const { candidate } of added) {
    // parseSignal lets null pass, as addIceCandidate does.
    if (candidate?.startsWith('candidate:') && candidate.length <= MAX_UNITS) lines.add(candidate);
  }
  const candidates = [...lines].slice(0, MAX_CANDIDATES);
  // An empty candidate is the end of them; null, which some send for that, parseSignal does not take for it.
  const isComplete = pending.isComplete || added.some(({ candidate }) => candidate === '');
  const isUnchanged = candidates.length === pending.candidates.length && isComplete === pending.isComplete;
  return isUnchanged ? undefined : { keep: { ...pending, candidates, isComplete } };
}

function isSame(a: Offer, b: Offer): boolean {
  return a.ufrag === b.ufrag && a.pwd === b.pwd && a.fingerprint === b.fingerprint && a.attempt === b.attempt;
}
