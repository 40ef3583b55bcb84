/** How large a message may be, and how much its receivers may be owed. */
import { TOO_LARGE } from '../protocol/close.ts';
import type { ErrorMessage } from '../protocol/messages.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { expel } from './presence.ts';
import { type Effect, type Limits, type Member, type Roster, send } from './room.ts';
import { take } from './token-bucket.ts';

/**
 * What a member may be sent by the others at once, in characters: a socket that does not read leaves it in the room's
 * memory, and there is no asking how much of it (workerd, 2026-11). A newcomer to a full room is sent about one MiB.
 */
const MAX_INBOX_LENGTH = 4 * 1024 * 1024;

/** What all members together may be sent, in the same way: all may be such, and a room has 128 MB. */
const MAX_INBOXES_LENGTH = 24 * 1024 * 1024;

/** By how much either drains for each message a second that the rate limit allows. */
const DRAINED_PER_MESSAGE = 10 * 1024;

/**
 * What each member may be sent although that is used up, and by how much it drains: else a few that send each other all
 * they may would keep the others from meeting. Of a full room it comes to 8 MiB.
 */
const MAX_SHARE_LENGTH = 64 * 1024;
const SHARE_DRAINED_PER_MESSAGE = 100;

/**
 * A member that has pinged within this time, in ms, reads what it is sent: workerd answers no pings once the answers
 * are not taken (2026-11). To all others, which may leave it all in the room's memory for as long as they like, a
 * thirty-second part goes.
 */
const READS_FOR_MS = 60_000;
const PART_UNREAD = 1 / 32;

/** How often to look whether it has, in ms: each look asks the runtime, and messages may be many. */
const LOOK_EVERY_MS = 1_000;

/** Whether a frame has more than `maxBytes` UTF-8 bytes; a UTF-16 unit becomes 1 to 3, so most need no counting. */
export function isTooLarge(frame: string | ArrayBuffer, maxBytes: number): boolean {
  if (typeof frame !== 'string') return frame.byteLength > maxBytes;
  return frame.length > maxBytes || (frame.length * 3 > maxBytes && utf8Length(frame) > maxBytes);
}

/** What becomes of a frame that is too large: its sender is told how much it may send, and its connection ends. */
export function refuseTooLarge<M extends Member>(
  frame: string | ArrayBuffer,
  sender: M,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] | undefined {
  const { maxMessageBytes: maxBytes } = limits;
  if (!isTooLarge(frame, maxBytes)) return undefined;
  const message = `The message is over ${maxBytes} bytes, the most this server takes. Send less.`;
  const error: ErrorMessage = { type: 'error', code: 'too_large', message, maxBytes };
  return [send(error, sender), ...expel(sender, TOO_LARGE, roster, limits, now)];
}

/** Puts a message into a member's inbox. Returns 0; or, where there is no room, in how many ms there would be. */
export function putIn<M extends Member>(
  receiver: M,
  text: string,
  roster: Roster<M>,
  { messagesPerSecond }: Limits,
  now: number,
): number {
  if (messagesPerSecond === 0) return 0;
  const length = Math.min(text.length, MAX_INBOX_LENGTH);
  const { inbox, share } = receiver;
  const isRead = reads(receiver, now);
  const perSecond = messagesPerSecond * (isRead ? 1 : PART_UNREAD);
  const rate = perSecond * DRAINED_PER_MESSAGE;
  const waitMs = take(inbox, length, { burst: MAX_INBOX_LENGTH, rate }, now);
  if (waitMs > 0) return waitMs;
  const roomWaitMs = take(isRead ? roster.inbox : roster.unread, length, { burst: MAX_INBOXES_LENGTH, rate }, now);
  const ofShare = { burst: MAX_SHARE_LENGTH, rate: perSecond * SHARE_DRAINED_PER_MESSAGE };
  if (roomWaitMs === 0 || take(share, length, ofShare, now) === 0) return 0;
  inbox.spent -= length; // it gets nothing
  return roomWaitMs;
}

function reads(member: Member, now: number): boolean {
  const { reading } = member;
  if (now >= reading.until) {
    reading.is = now - (member.lastPing ?? Number.NEGATIVE_INFINITY) <= READS_FOR_MS;
    reading.until = now + LOOK_EVERY_MS;
  }
  return reading.is;
}
