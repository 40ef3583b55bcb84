/** One frame of a member, and who gets it. */
import { EXPIRED, FLOOD, TOO_LARGE } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { BROADCAST_TARGET, type ErrorMessage, parseClientMessage, type ServerMessage } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { offerToPoller } from './bridge.ts';
import { hasExpired } from './claims.ts';
import { endOf, expel, sweep } from './presence.ts';
import { BURST_PER_PEER, type Bucket, spend, take } from './rate-limit.ts';
import { remove } from './removal.ts';
import { type Effect, heldPlace, type Limits, type Member, type Roster, send } from './room.ts';

/** A message costs a token for every so many characters that it has begun. */
const TOKEN_LENGTH = 4096;

/** Most tokens for one recipient: what each peer adds to a burst, so that a broadcast of any size passes at last. */
const MAX_TOKENS = BURST_PER_PEER;

/**
 * What a member may be sent by the others at once, in characters: a socket that does not read leaves it in the room's
 * memory, and there is no asking how much of it (workerd, 2026-11). A newcomer to a full room is sent about one MiB.
 */
const MAX_INBOX_LENGTH = 4 * 1024 * 1024;

/** By how much that drains for each message a second that the rate limit allows. */
const DRAINED_PER_MESSAGE = 10 * 1024;

/** By how much a delivery may be longer than the most that the server takes, in UTF-8 bytes: it names its sender. */
const ENVELOPE_BYTES = 1024;

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
  if (hasExpired(sender, now)) return expel(sender, EXPIRED, roster, limits, now);
  if (isTooLarge(frame, limits.maxMessageBytes)) {
    const message = `The message is over ${limits.maxMessageBytes} bytes, the most this server takes. Send less.`;
    const error: ErrorMessage = { type: 'error', code: 'too_large', message, maxBytes: limits.maxMessageBytes };
    return [send(error, sender), ...expel(sender, TOO_LARGE, roster, limits, now)];
  }
  const refusal = pay(tokensFor(frame), sender, roster, limits, now);
  if (refusal) return refusal;
  try {
    if (typeof frame !== 'string')
      throw new ProtocolError('binary', 'Messages are JSON in text frames; this one was binary.');
    const request = parseClientMessage(frame);
    if (request.type === 'ahead') return [{ do: 'setAhead', member: sender, offer: request.offer }];
    if (request.type === 'remove') {
      const removal = remove(request.targetId, sender, roster, limits, now);
      return removal ?? [unreachable(request.targetId, sender, roster, now)];
    }
    if (request.type === 'ice_servers') return [renewIceServers(sender, now)];
    if (request.type === 'broadcast') {
      const delivery: ServerMessage = { type: 'broadcast', fromId: sender.id, data: request.data };
      return toOthers(delivery, tokensFor(frame), sender, roster, limits, now);
    }
    const delivery: ServerMessage = { type: 'signal', fromId: sender.id, signal: request.signal };
    if (request.targetId === BROADCAST_TARGET) return toOthers(delivery, tokensFor(frame), sender, roster, limits, now);
    const target = roster.find(request.targetId);
    const end = target && endOf(target, limits, now);
    if (target && !end) return toOne(delivery, target, sender, limits, now);
    const poller = roster.postings().find(({ entry, isName }) => entry.sessionId === request.targetId && !isName);
    if (poller && !isReactNative(request.targetId)) return offerToPoller(request.signal, sender, poller, makeKey, now);
    const departure = end ? expel(target, end, roster, limits, now) : [];
    return [...departure, unreachable(request.targetId, sender, roster, now)];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [send({ type: 'error', code: error.code, message: error.message }, sender)];
  }
}

/** Credentials cost a request to somebody else's server, so they are had when the present ones are about to end. */
function renewIceServers<M extends Member>(sender: M, now: number): Effect<M> {
  if (sender.iceServersDue === undefined)
    throw new ProtocolError('bad_message', 'You were given no ICE servers that end.');
  const retryAfterMs = sender.iceServersDue - now;
  if (retryAfterMs <= 0) return { do: 'renewIceServers', member: sender };
  const message = `Your ICE servers are good for a while yet. Ask again in ${retryAfterMs} ms.`;
  return send({ type: 'error', code: 'rate_limited', message, retryAfterMs }, sender);
}

function unreachable<M extends Member>(targetId: string, sender: M, roster: Roster<M>, now: number): Effect<M> {
  const error: ErrorMessage = heldPlace(targetId, roster, now)
    ? { type: 'error', code: 'peer_away', message: 'The peer has lost its connection and may come back.', targetId }
    : {
        type: 'error',
        code: 'unknown_peer',
        message: 'No peer in this room has that targetId. It may have left: peer_leave tells.',
        targetId,
      };
  return send(error, sender);
}

function toOne<M extends Member>(
  message: ServerMessage,
  target: M,
  sender: M,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const effect = delivery(message, [target], limits);
  const retryAfterMs = putIn(target.inbox, effect.text, limits, now);
  if (retryAfterMs === 0) return [effect];
  const sentence = `The peer has been sent too much: this was dropped. It would pass in ${retryAfterMs} ms.`;
  return [send({ type: 'error', code: 'rate_limited', message: sentence, retryAfterMs }, sender)];
}

/** What one recipient costs is paid for every message; here as much for each further one. Full inboxes are passed over. */
function toOthers<M extends Member>(
  message: ServerMessage,
  tokens: number,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = sweep(roster.others(sender), limits, now, sender);
  const refusal = living.length > 1 ? pay((living.length - 1) * tokens, sender, roster, limits, now) : undefined;
  if (refusal) return [...effects, ...refusal];
  const effect = delivery(message, living, limits);
  return [...effects, { ...effect, to: living.filter(({ inbox }) => putIn(inbox, effect.text, limits, now) === 0) }];
}

/** Throws ProtocolError for JSON that has grown too much: written again, `1e20` is 100000000000000000000. */
function delivery<M extends Member>(
  message: ServerMessage,
  to: readonly M[],
  { maxMessageBytes }: Limits,
): Extract<Effect<M>, { do: 'send' }> {
  const effect = send(message, ...to);
  if (isTooLarge(effect.text, maxMessageBytes + ENVELOPE_BYTES))
    throw new ProtocolError('bad_message', `Written out, the message has over ${maxMessageBytes} bytes. Send less.`);
  return effect;
}

/** Returns 0, or in how many ms there is room for it. */
function putIn(inbox: Bucket, text: string, { messagesPerSecond }: Limits, now: number): number {
  if (messagesPerSecond === 0) return 0;
  const budget = { burst: MAX_INBOX_LENGTH, rate: messagesPerSecond * DRAINED_PER_MESSAGE };
  return take(inbox, Math.min(text.length, MAX_INBOX_LENGTH), budget, now);
}

function tokensFor(frame: string | ArrayBuffer): number {
  const length = typeof frame === 'string' ? frame.length : frame.byteLength;
  return Math.min(Math.ceil(length / TOKEN_LENGTH) || 1, MAX_TOKENS);
}

/** Takes tokens from the sender's bucket; what to do instead if there are too few. */
function pay<M extends Member>(
  cost: number,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] | undefined {
  const spending = spend(sender.outbox, cost, limits.messagesPerSecond, now, () => roster.count() - 1);
  switch (spending.verdict) {
    case 'pass':
      return undefined;
    case 'wait': {
      const { retryAfterMs } = spending;
      const message = `Too many messages: this one was dropped. It would pass in ${retryAfterMs} ms.`;
      return [send({ type: 'error', code: 'rate_limited', message, retryAfterMs }, sender)];
    }
    case 'flood':
      return expel(sender, FLOOD, roster, limits, now);
  }
}

/** Whether a frame has more than `maxBytes` UTF-8 bytes; a UTF-16 unit becomes 1 to 3, so most need no counting. */
function isTooLarge(frame: string | ArrayBuffer, maxBytes: number): boolean {
  if (typeof frame !== 'string') return frame.byteLength > maxBytes;
  return frame.length > maxBytes || (frame.length * 3 > maxBytes && utf8Length(frame) > maxBytes);
}
