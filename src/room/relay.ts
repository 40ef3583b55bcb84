/** One frame of a member, and who gets it. */
import { FLOOD, SILENT, TOO_LARGE } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { BROADCAST_TARGET, type ErrorMessage, parseClientMessage, type ServerMessage } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { offerToPoller } from './bridge.ts';
import { spend } from './bucket.ts';
import { closeGhosts, expel, isGhost } from './presence.ts';
import { type Effect, heldPlace, type Limits, type Member, type Roster } from './room.ts';

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
    return [{ do: 'send', message: error, to: [sender] }, ...expel(sender, TOO_LARGE, roster, limits, now)];
  }
  const refusal = pay(1, sender, roster, limits, now);
  if (refusal) return refusal;
  try {
    if (typeof frame !== 'string')
      throw new ProtocolError('binary', 'Messages are JSON in text frames; this one was binary.');
    const request = parseClientMessage(frame);
    if (request.type === 'ahead') return [{ do: 'setAhead', member: sender, offer: request.offer }];
    if (request.type === 'broadcast') {
      return toOthers({ type: 'broadcast', fromId: sender.id, data: request.data }, sender, roster, limits, now);
    }
    const delivery: ServerMessage = { type: 'signal', fromId: sender.id, signal: request.signal };
    if (request.targetId === BROADCAST_TARGET) return toOthers(delivery, sender, roster, limits, now);
    const target = roster.find(request.targetId);
    if (target && !isGhost(target, limits, now)) return [{ do: 'send', message: delivery, to: [target] }];
    const poller = roster.postings().find(({ entry }) => entry.sessionId === request.targetId);
    if (poller && !isReactNative(request.targetId))
      return offerToPoller(request.signal, sender, poller, roster, makeKey, now);
    const departure = target ? expel(target, SILENT, roster, limits, now) : [];
    return [...departure, unreachable(request.targetId, sender, roster, now)];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [{ do: 'send', message: { type: 'error', code: error.code, message: error.message }, to: [sender] }];
  }
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
  return { do: 'send', message: error, to: [sender] };
}

/** One token is paid for every message; one for each further recipient of a broadcast. */
function toOthers<M extends Member>(
  message: ServerMessage,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = closeGhosts(roster.others(sender), limits, now, sender);
  const refusal = living.length > 1 ? pay(living.length - 1, sender, roster, limits, now) : undefined;
  return [...effects, ...(refusal ?? [{ do: 'send', message, to: living } as const])];
}

/** Takes tokens from the sender's bucket; what to do instead if there are too few. */
function pay<M extends Member>(
  cost: number,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] | undefined {
  const spending = spend(sender.bucket, cost, limits.messagesPerSecond, now, () => roster.count() - 1);
  switch (spending.verdict) {
    case 'pass':
      return undefined;
    case 'wait': {
      const { retryAfterMs } = spending;
      const message = `Too many messages: this one was dropped. It would pass in ${retryAfterMs} ms.`;
      const error: ErrorMessage = { type: 'error', code: 'rate_limited', message, retryAfterMs };
      return [{ do: 'send', message: error, to: [sender] }];
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
