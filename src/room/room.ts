/**
 * The nouns of a room. The files beside this one decide what becomes of them: pure, so the caller brings the members,
 * the clock and the limits, and carries out the effects in their order.
 */
import type { Close } from '../protocol/close.ts';
import { toJson } from '../protocol/json.ts';
import type { ServerMessage } from '../protocol/messages.ts';
import type { Entry, Package } from '../protocol/poll.ts';
import type { Bucket } from './token-bucket.ts';
import { type Bearer, bearerOf } from './token-claims.ts';

/** A client that has come to join, and is no member yet. */
export interface Newcomer extends Bearer {
  /** The client id it would go by. */
  readonly id: string;
  /** Proves that its place is its own; undefined if it has not asked to have its place held. */
  readonly token: string | undefined;
  /** What it brings; undefined for nothing. */
  readonly metadata: unknown;
  /** Length of that as JSON in ASCII. */
  readonly metadataLength: number;
  /** Most peers that the room is to have: by the word of the newcomer or, for a member, as the room was opened. */
  readonly maxPeers: number | undefined;
}

/** `until` is when to look again, in ms since the epoch. */
export interface Reading {
  is: boolean;
  until: number;
}

/** What a member has sent lately, in tokens, and how many it might have sent at once when that was last counted. */
export interface Outbox extends Bucket {
  burst: number;
}

/** One open socket, as far as the room's decisions go. */
export interface Member extends Newcomer {
  /** When it last pinged, in ms since the epoch; undefined if it never has: then its silence means nothing. */
  readonly lastPing: number | undefined;
  /** Last sign of life (the join, a message or a ping), in ms since the epoch. */
  readonly lastSeen: number;
  /** Whether it has ever sent a message, on this socket or on one before it under the same token. */
  readonly speaks: boolean;
  readonly outbox: Outbox;
  /** What has been sent to it lately, in characters. */
  readonly inbox: Bucket;
  /** What of that was sent although the room had been sent too much. */
  readonly share: Bucket;
  /** Whether it reads what it is sent, as it was looked at last. */
  readonly reading: Reading;
  /** The offer it has published ahead and nobody has taken; undefined for none. */
  readonly ahead: unknown;
  /** What it has offered to pollers. */
  readonly offers: readonly PendingOffer[];
  /** From when on it may ask for new ICE servers, in ms since the epoch; undefined if it has none that end. */
  readonly iceServersDue: number | undefined;
}

/** A place held for a member whose connection was lost: it counts as present, and cannot be reached. */
export interface Place extends Bearer {
  readonly id: string;
  readonly token: string;
  readonly metadata: unknown;
  readonly metadataLength: number;
  readonly maxPeers: number | undefined;
  readonly offers: readonly PendingOffer[];
  /** When it lapses, in ms since the epoch. */
  readonly until: number;
}

/** What a poller is shown of another peer. */
export interface Listing {
  readonly entry: Entry;
  /** When it changed last, in ms since the epoch, by the clock of the peer. */
  readonly postedAt: number;
  readonly packages: readonly Package[];
}

/** What a poller has posted, as it is stored: one for each context id. `pollersAt` tells who is there of those. */
export interface Posting extends Listing, Bearer {
  readonly contextId: string;
  /** What it takes to leave. */
  readonly deleteKey: string;
  /** When the poller came, in ms since the epoch. */
  readonly since: number;
  /** From then on it is not there, in ms since the epoch. */
  readonly expiresAt: number;
  /** The poller has lapsed, and all that is left is its session id, kept for its context until `expiresAt`. */
  readonly isName?: true;
}

export interface IceCredentials {
  readonly ufrag: string;
  readonly pwd: string;
}

/** What a package needs of an offer. */
export interface Offer extends IceCredentials {
  /** SHA-256 of the certificate, as P2PCF writes it: base64. */
  readonly fingerprint: string;
  readonly mid: string;
  readonly attempt?: string;
}

/** The last offer of a socket to a poller. It is kept with the socket, or while that is away, with its place. */
export interface PendingOffer {
  readonly pollerId: string;
  readonly offer: Offer;
  /** Candidates that came with the offer or after it, as SDP has them: `candidate:…`. */
  readonly candidates: readonly string[];
  /** Whether there are no more to come. */
  readonly isComplete: boolean;
  /** What the poller is to use as its ICE credentials: P2PCF has the offerer make them up. */
  readonly pollerCredentials: IceCredentials;
  /** When the offer came, in ms since the epoch; new for each, as by this the poller tells them apart. */
  readonly offeredAt: number;
  /** The poller has been shown it, and the socket has its answer. */
  readonly isTaken: boolean;
}

/** A removed client, which is not let in again before a certain time. */
export interface Removal {
  /** As `bearerOf` names it. */
  readonly bearer: string;
  /** When its token expires, in ms since the epoch. */
  readonly until: number;
  /** What it went by, the last ids. Absent in a row of an earlier version. */
  readonly ids?: readonly string[];
}

/** Who is in the room, by socket, by a place held, or by polling. */
export interface Roster<M extends Member> {
  /**
   * What has been sent to all members by one another lately, in characters: to members that read, and to the others.
   */
  readonly inbox: Bucket;
  readonly unread: Bucket;
  /** The member with this id: one look-up, however large the room. */
  find(id: string): M | undefined;
  /** Every member but this one, longest there first. Touches every socket: for what concerns everyone, no more. */
  others(than?: M): readonly M[];
  /** Members whose sockets are closing: they get nothing any more, and how they part the room has yet to hear. */
  leaving(): readonly M[];
  /** How many members there are, give or take what has changed within this very event. */
  count(): number;
  /** When the first token of a member expires, in ms since the epoch; Infinity if none does. */
  firstExpiry(): number;
  /** The places held, and places that have lapsed but were not looked at since. */
  places(): readonly Place[];
  /** What pollers have posted, also what has lapsed. Not called for what concerns members alone. */
  postings(): readonly Posting[];
  /** Who has been removed, also if the time for that is over. */
  removals(): readonly Removal[];
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

/**
 * How long after a poller has lapsed its session id is kept for its context, in ms: with a session id comes what others
 * have posted for it, and an owner that wakes again would find its place taken. How many there are, the rate of
 * postings bounds: a bound of their own would let a stranger push one out.
 */
export const NAME_KEPT_MS = 15 * 60_000;

/** One thing for the caller to do. */
export type Effect<M> =
  /** A ServerMessage, as `send` below has it. */
  | { do: 'send'; text: string; to: readonly M[] }
  /** From then on it is no member. */
  | { do: 'close'; member: M; close: Close }
  /** Its offer published ahead is this one now; undefined when that has been taken. */
  | { do: 'setAhead'; member: M; offer: unknown }
  /** What it has offered to pollers is this now. */
  | { do: 'setOffers'; member: M; offers: readonly PendingOffer[] }
  /** It is to get new ICE servers. */
  | { do: 'renewIceServers'; member: M }
  | { do: 'holdPlace'; place: Place; member: M }
  | { do: 'freePlace'; place: Place }
  /** In place of what was posted under the same context id. */
  | { do: 'keepPosting'; posting: Posting }
  | { do: 'dropPosting'; posting: Posting }
  /** In place of the one of the same bearer. */
  | { do: 'keepRemoval'; removal: Removal }
  | { do: 'dropRemoval'; removal: Removal };

/** Throws ProtocolError `bad_message` for what a peer has nested too deeply to be passed on. */
export function send<M>(message: ServerMessage, ...to: readonly M[]): Extract<Effect<M>, { do: 'send' }> {
  return { do: 'send', text: toJson(message, 'The message is nested too deeply.'), to };
}

/** What is sent to all, in characters. */
export function lengthOf<M>(effects: readonly Effect<M>[]): number {
  return effects.reduce((sum, effect) => (effect.do === 'send' ? sum + effect.text.length * effect.to.length : sum), 0);
}

/** The pollers that are there at `now`. */
export function pollersAt<M extends Member>(roster: Roster<M>, now: number): readonly Posting[] {
  return roster.postings().filter(({ expiresAt, isName }) => !isName && expiresAt > now);
}

/** The postings whose session ids are nobody else's at `now`: of pollers that are there, or lapsed not long ago. */
export function keptIds<M extends Member>(roster: Roster<M>, now: number): readonly Posting[] {
  return roster.postings().filter(({ isName, expiresAt }) => (isName ? expiresAt : expiresAt + NAME_KEPT_MS) > now);
}

/** Whether its bearer has been removed, and its time is not over at `now`. */
export function isRemoved<M extends Member>({ claims }: Bearer, roster: Roster<M>, now: number): boolean {
  const bearer = claims && bearerOf(claims);
  return bearer !== undefined && roster.removals().some((each) => each.bearer === bearer && each.until > now);
}
