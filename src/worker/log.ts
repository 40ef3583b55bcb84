/**
 * What the server logs: one line of JSON for each event that matters. Nothing of what clients send is in it but the
 * reasons, which are the server's own sentences; the room is an HMAC, which only whoever has LOG_KEY can tell.
 */

import type { Close } from '../protocol/close.ts';
import { DUPLICATE, FLOOD, FULL, REMOVED, RESUMED } from '../protocol/close.ts';
import type { PollResponse } from '../room/polling.ts';
import { type Bucket, type Budget, take } from '../room/token-bucket.ts';
import { toHex } from './hash.ts';
import { readSecret, type Settings } from './settings.ts';

export interface LogEntry {
  /**
   * `closed` is a member that the room has put out; `refused`, `full` and mostly `flood` a client that was not let in.
   */
  readonly event: 'joined' | 'refused' | 'full' | 'flood' | 'removed' | 'closed' | 'failed';
  /** Of a close frame, or the HTTP status. */
  readonly code?: number;
  readonly reason?: string;
  /** It stands for as many. */
  readonly sampled?: number;
}

/** One join in so many is logged. */
const JOINS_PER_LINE = 100;

/** Lines of one isolate, of the Worker and of rooms alike: a flood of refusals must not become one of lines. */
const LINES: Budget = { burst: 100, rate: 1 };

/** Undefined for a close frame that is nothing to worry about. */
export function entryFor(close: Close, isMember: boolean): LogEntry | undefined {
  const { code, reason } = close;
  if (code === FULL.code) return { event: 'full', code, reason };
  if (code === FLOOD.code) return { event: 'flood', code, reason };
  if (!isMember) return { event: 'refused', code, reason };
  if (code === REMOVED.code) return { event: 'removed', code, reason };
  return code === DUPLICATE.code || code === RESUMED.code ? undefined : { event: 'closed', code, reason };
}

/** The line of a join, now and then; `random` is from 0 to 1. */
export function joinEntry(random: number): LogEntry | undefined {
  return random * JOINS_PER_LINE < 1 ? { event: 'joined', sampled: JOINS_PER_LINE } : undefined;
}

/** The line for a poll that was refused. */
export function pollEntry({ status, body }: Pick<PollResponse, 'status' | 'body'>): LogEntry | undefined {
  const events = { 200: undefined, 403: 'refused', 404: undefined, 409: 'refused', 429: 'flood', 503: 'full' } as const;
  const event = events[status];
  return event && { event, code: status, reason: body };
}

const lines: Bucket = { spent: 0, at: 0 };
let dropped = 0;

/**
 * Writes a line, if there is an entry. A room does not wait for it, which would be an await between receiving and
 * sending; the Worker does, as what is left when its response is there may not be done.
 */
export async function log(entry: LogEntry | undefined, roomId: string, settings: Settings): Promise<void> {
  if (!entry) return;
  if (take(lines, 1, LINES, Date.now()) > 0) {
    dropped++;
    return;
  }
  const more = dropped > 0 && { dropped };
  dropped = 0;
  const room = await nameOf(roomId, settings);
  console.log(JSON.stringify({ ...entry, ...(room && { room }), ...more }));
  const { event, code = 0, reason = '', sampled = 1 } = entry;
  // Analytics Engine, where it is bound.
  Object(settings.EVENTS).writeDataPoint?.({ indexes: [room], blobs: [event, reason], doubles: [sampled, code] });
}

/** Empty without a key: a mere hash of a name that can be guessed would tell it. And for what concerns no room. */
async function nameOf(roomId: string, { LOG_KEY }: Settings): Promise<string> {
  const secret = readSecret('LOG_KEY', LOG_KEY);
  if (!secret || !roomId) return '';
  const key = await crypto.subtle.importKey('raw', new Uint8Array(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(roomId));
  return toHex(mac).slice(0, 16);
}
