/**
 * What a room decides: who should get what, and whose socket should close. Pure: the caller brings the members, the
 * clock and the limits, and carries out the effects in their order.
 */
import { type Close, DUPLICATE, FLOOD, FULL, SILENT, TOO_LARGE } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import {
  BROADCAST_TARGET,
  type ErrorMessage,
  type PeerJoin,
  type Peers,
  parseClientMessage,
  type ServerMessage,
} from '../protocol/messages.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { type Bucket, spend } from './bucket.ts';

/**
 * A member that has pinged before is taken for a ghost after this long without a ping or a message, in ms.
 * A page hidden for five minutes runs its timers once a minute (Chrome 88 and newer, 2026-11), so a client that means
 * to ping every 25 s may be 60 s late, twice in a row if the first was lost: less than this throws out the living.
 */
const GHOST_AFTER_MS = 150_000;

/** One open socket, as far as the room's decisions go. */
export interface Member {
  /** The client id it joined under. */
  readonly id: string;
  /** Last ping or message, in ms since the epoch; undefined for one that has never pinged: its silence means nothing. */
  readonly lastSeen: number | undefined;
  /** What it has sent lately. */
  readonly bucket: Bucket;
  /** What it brought when it joined; undefined for nothing. */
  readonly metadata: unknown;
  /** The offer it has published ahead and nobody has taken; undefined for none. */
  readonly offer: unknown;
}

/** The members as the sockets tell them. */
export interface Roster<M extends Member> {
  /** The member with this id: one look-up, however large the room. */
  find(id: string): M | undefined;
  /** Every member but this one, longest there first. Touches every socket: for what concerns everyone, no more. */
  others(than: M): readonly M[];
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
}

/** Most offers handed to one joiner: it makes a connection for each at once, and browsers make some hundreds at most. */
const MAX_OFFERS_TAKEN = 32;

/**
 * One thing for the caller to do. A member that is closed is no member from then on. `keep` is the member's new
 * `offer`, undefined when it has been taken.
 */
export type Effect<M> =
  | { send: ServerMessage; to: readonly M[] }
  | { close: Close; member: M }
  | { keep: unknown; member: M };

/**
 * `joiner` has connected. The others hear of it, then the joiner hears who they are, and if it `wantsOffers` gets those
 * that were published ahead.
 */
export function join<M extends Member>(
  joiner: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  wantsOffers = false,
): Effect<M>[] {
  const present = roster.others(joiner);
  const twins = present.filter((member) => member.id === joiner.id);
  const { living: others, effects } = layGhosts(
    twins.length === 0 ? present : present.filter((member) => member.id !== joiner.id),
    now,
  );
  if (others.length >= limits.maxPeers) return [...effects, { close: FULL, member: joiner }];
  for (const member of twins) effects.push({ close: DUPLICATE, member });
  const givers = wantsOffers ? others.filter(({ offer }) => offer !== undefined).slice(0, MAX_OFFERS_TAKEN) : [];
  const news: PeerJoin = { type: 'peer_join', clientId: joiner.id, timestamp: now };
  if (joiner.metadata !== undefined) news.metadata = joiner.metadata;
  const welcome: Peers = { type: 'peers', peers: others.map(({ id }) => id), yourId: joiner.id };
  const withMetadata = others.filter(({ metadata }) => metadata !== undefined);
  if (withMetadata.length > 0)
    welcome.metadata = Object.fromEntries(withMetadata.map(({ id, metadata }) => [id, metadata]));
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

/** `leaver`, whose socket has closed or failed, is gone: the others hear of it. */
export function leave<M extends Member>(leaver: M, roster: Roster<M>, now: number): Effect<M>[] {
  const { living, effects } = layGhosts(roster.others(leaver), now);
  return [...effects, farewell(leaver, living, now)];
}

/** `sender` sent `frame`. Bad input is answered with an `error` message; only our own bugs are thrown. */
export function receive<M extends Member>(
  frame: string | ArrayBuffer,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  if (isTooLarge(frame, limits.maxMessageBytes)) {
    const message = `The message is over ${limits.maxMessageBytes} bytes, the most this server takes. Send less.`;
    const error: ErrorMessage = { type: 'error', code: 'too_large', message, maxBytes: limits.maxMessageBytes };
    return [{ send: error, to: [sender] }, ...expel(sender, TOO_LARGE, roster, now)];
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
    if (target && !isGhost(target, now)) return [{ send: delivery, to: [target] }];
    const departure = target ? expel(target, SILENT, roster, now) : [];
    return [...departure, unknownPeer(request.targetId, sender)];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [{ send: { type: 'error', code: error.code, message: error.message }, to: [sender] }];
  }
}

function unknownPeer<M>(targetId: string, sender: M): Effect<M> {
  const message = 'No peer in this room has that targetId. It may have left: peer_leave tells.';
  return { send: { type: 'error', code: 'unknown_peer', message, targetId }, to: [sender] };
}

/** One token is paid for every message; one for each further recipient of a broadcast. */
function toOthers<M extends Member>(
  message: ServerMessage,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = layGhosts(roster.others(sender), now, sender);
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
      return expel(sender, FLOOD, roster, now);
  }
}

/** Closes a member and tells the others. */
function expel<M extends Member>(member: M, close: Close, roster: Roster<M>, now: number): Effect<M>[] {
  return [{ close, member }, ...leave(member, roster, now)];
}

function farewell<M extends Member>(leaver: M, living: readonly M[], now: number): Effect<M> {
  return { send: { type: 'peer_leave', clientId: leaver.id, timestamp: now }, to: living };
}

/**
 * Tells the living from the ghosts among `members`, and what it takes to be rid of the ghosts. The living hear of it,
 * and so does `witness`, a member who is not among those looked at.
 */
function layGhosts<M extends Member>(
  members: readonly M[],
  now: number,
  witness?: M,
): { living: readonly M[]; effects: Effect<M>[] } {
  const ghosts = members.filter((member) => isGhost(member, now));
  if (ghosts.length === 0) return { living: members, effects: [] };
  const living = members.filter((member) => !isGhost(member, now));
  const effects: Effect<M>[] = ghosts.map((member) => ({ close: SILENT, member }));
  const audience = witness ? [...living, witness] : living;
  for (const ghost of ghosts) effects.push(farewell(ghost, audience, now));
  return { living, effects };
}

function isGhost(member: Member, now: number): boolean {
  return member.lastSeen !== undefined && now - member.lastSeen > GHOST_AFTER_MS;
}

/** Whether a frame has more than `maxBytes` UTF-8 bytes; a UTF-16 unit becomes 1 to 3, so most need no counting. */
function isTooLarge(frame: string | ArrayBuffer, maxBytes: number): boolean {
  if (typeof frame !== 'string') return frame.byteLength > maxBytes;
  return frame.length > maxBytes || (frame.length * 3 > maxBytes && utf8Length(frame) > maxBytes);
}
