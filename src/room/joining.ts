/** A newcomer: whether it is let in, whose place it takes, what it hears, and what the others hear of it. */
import { type Close, DUPLICATE, heldBy, REMOVED, RESUMED, TAKEN } from '../protocol/close.ts';
import type { JoinAnswer } from '../protocol/join.ts';
import type { PeerJoin, Peers } from '../protocol/messages.ts';
import { capacityFor, fixedLimit, makeWay } from './capacity.ts';
import { readmit, removedIds } from './host-removal.ts';
import { freeLapsedPlaces, heldPlaces, isOwnerOf, placeUnder } from './places.ts';
import { toSessionId } from './poller-view.ts';
import { introductions, isGhost, putOut, sweep } from './presence.ts';
import {
  type Effect,
  isRemoved,
  keptIds,
  type Limits,
  type Member,
  type Newcomer,
  type PendingOffer,
  pollersAt,
  type Roster,
  send,
} from './room.ts';
import { hasExpired, mayTakeOver, verifiedOf } from './token-claims.ts';

/**
 * Most offers handed to one joiner: it makes a connection for each at once, and browsers make some hundreds at most.
 */
const MAX_OFFERS_TAKEN = 32;

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
 * `newcomer` has come; nothing is accepted yet. If it is let in, the others hear of it; then it hears who they are. If
 * it `wantsOffers`, it gets the offers published ahead, and the `answer` that it brought goes to the first of them. A
 * newcomer that is back with the token of its place goes on as if it had never been away.
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
  const place = placeUnder(newcomer.id, roster, now);
  // A member whose room token has expired comes back with a new one, if it does: its id is free for others meanwhile.
  const isAway = twin && (isGhost(twin, limits, now) || (hasExpired(twin, now) && !isOwnerOf(newcomer, twin)));
  const owner = twin && !isAway ? twin : place;
  const isOwner = isOwnerOf(newcomer, owner);
  if ((owner?.token !== undefined && !isOwner) || !mayTakeOver(owner, newcomer))
    return refuse(owner === twin || !place ? TAKEN : heldBy(Math.ceil((place.until - now) / 1000)));
  // If its subject has changed, the others have to hear of it.
  const resumed = isOwner && owner && mayTakeOver(newcomer, owner) ? owner : undefined;
  const pollers = pollersAt(roster, now);
  const names = [newcomer.id, toSessionId(newcomer.id)];
  if (keptIds(roster, now).some(({ entry }) => names.includes(entry.sessionId))) return refuse(TAKEN);

  const away = heldPlaces(roster, now).filter(({ id }) => id !== newcomer.id);
  const maxPeers = fixedLimit(newcomer, swept.living[0] ?? away[0] ?? owner);
  const capacity = capacityFor(newcomer, maxPeers, limits);
  const way = resumed ? { mutes: [] } : makeWay(newcomer, swept.living, away, pollers.length, capacity, now);
  if ('full' in way) return refuse(way.full);
  const { others, effects: departures } = putOut(way.mutes, swept.living, now);
  effects.push(...departures);
  if (twin) effects.push({ do: 'close', member: twin, close: resumed ? RESUMED : DUPLICATE });
  if (place) effects.push({ do: 'freePlace', place });
  effects.push(...readmit(newcomer.id, roster));

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
  const removed = wantsOffers ? [] : removedIds(roster, now);
  if (removed.length > 0) {
    const here = new Set([newcomer.id, ...welcome.peers]);
    const gone = removed.filter((id) => !here.has(id));
    if (gone.length > 0) welcome.removed = gone;
  }
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
