/** One frame of a member, and who gets it. */
import { EXPIRED } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { idFault } from '../protocol/ids.ts';
import { BROADCAST_TARGET, type ErrorMessage, parseClientMessage, type ServerMessage } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { remove } from './host-removal.ts';
import { isTooLarge, putIn, refuseTooLarge } from './message-limits.ts';
import { pay, tokensFor } from './message-rate.ts';
import { offerToPoller } from './pending-offers.ts';
import { freeLapsedPlaces, heldPlace } from './places.ts';
import { endOf, expel, sweep } from './presence.ts';
import { type Effect, type Limits, type Member, type Roster, send } from './room.ts';
import { hasExpired } from './token-claims.ts';

/** By how much a delivery may be longer than the most that the server takes, in UTF-8 bytes: it names its sender. */
const DELIVERY_ENVELOPE_BYTES = 1024;

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
  // The sender may not read its answers either, and an answer may be longer than what was asked. So answers count, too.
  return decide(frame, sender, roster, limits, now, makeKey).filter(
    (effect) =>
      effect.do !== 'send' ||
      effect.to.length !== 1 ||
      effect.to[0] !== sender ||
      putIn(sender, effect.text, roster, limits, now) === 0,
  );
}

function decide<M extends Member>(
  frame: string | ArrayBuffer,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
  makeKey: () => string,
): Effect<M>[] {
  if (hasExpired(sender, now)) return expel(sender, EXPIRED, roster, limits, now);
  const refusal =
    refuseTooLarge(frame, sender, roster, limits, now) ?? pay(tokensFor(frame), sender, roster, limits, now);
  if (refusal) return refusal;
  try {
    if (typeof frame !== 'string')
      throw new ProtocolError('binary', 'Messages are JSON in text frames; this one was binary.');
    const request = parseClientMessage(frame);
    if (request.type === 'ahead') return [{ do: 'setAhead', member: sender, offer: request.offer }];
    if (request.type === 'remove') {
      const removal = remove(request.targetId, sender, roster, limits, now);
      return removal ?? disown(request.targetId, tokensFor(frame), sender, roster, limits, now);
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
    if (target && !end) return toOne(delivery, target, sender, roster, limits, now);
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

/**
 * A host removes whom the room has lost. Those that are connected to it go on with it, as after each time-out, unless
 * they hear of the removal: else whoever stays away from the room could not be put out.
 */
function disown<M extends Member>(
  clientId: string,
  tokens: number,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const error = unreachable(clientId, sender, roster, now);
  if (idFault(clientId) !== undefined) return [error];
  const lapsed = freeLapsedPlaces(roster, roster.others(), now); // perhaps its own, of which they hear before
  const news: ServerMessage = { type: 'peer_leave', clientId, timestamp: now, reason: 'removed' };
  const told = toOthers(news, tokens, sender, roster, limits, now);
  const own = send(news, sender);
  const isTold = told.some((effect) => effect.do === 'send' && effect.text === own.text); // else it is to try again
  return [...lapsed, ...told, ...(isTold ? [own] : []), error];
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
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const effect = delivery(message, [target], limits);
  // What a member sends to itself is counted as an answer, above.
  const retryAfterMs = target === sender ? 0 : putIn(target, effect.text, roster, limits, now);
  if (retryAfterMs === 0) return [effect];
  const sentence = `The peer, or the room, has been sent too much: this was dropped. It would pass in ${retryAfterMs} ms.`;
  return [send({ type: 'error', code: 'rate_limited', message: sentence, retryAfterMs }, sender)];
}

/**
 * The cost for one recipient has been paid. Here as much is paid for each further one. Members with a full inbox get
 * nothing.
 */
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
  return [...effects, { ...effect, to: living.filter((each) => putIn(each, effect.text, roster, limits, now) === 0) }];
}

/** Throws ProtocolError for JSON that has grown too much: written again, `1e20` is 100000000000000000000. */
function delivery<M extends Member>(
  message: ServerMessage,
  to: readonly M[],
  { maxMessageBytes }: Limits,
): Extract<Effect<M>, { do: 'send' }> {
  const effect = send(message, ...to);
  if (isTooLarge(effect.text, maxMessageBytes + DELIVERY_ENVELOPE_BYTES))
    throw new ProtocolError('bad_message', `Written out, the message has over ${maxMessageBytes} bytes. Send less.`);
  return effect;
}
