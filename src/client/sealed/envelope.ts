/**
 * A sealed message: a header that anybody can read and nobody change, and what only those with the key can read.
 * PROTOCOL.md, "Sealed rooms", tells what each field is for.
 */
import { isObject, parseJson } from '../../protocol/json.ts';
import { fromBase64Url, toBase64Url } from './base64.ts';
import type { Keys, Kind } from './keys.ts';

/** The version of all this; another is another protocol. */
const VERSION = 1;

/** The length of AES-GCM's nonce that NIST SP 800-38D (section 8.2.2) has for random ones. */
const NONCE_BYTES = 12;

/** How the members of a room know a message's way. */
export interface Header {
  kind: Kind;
  /** The sender's session id. It is random and new for each instance, so a counter never starts again under it. */
  from: string;
  /** The session id it is for; empty for whoever joins or has published an offer, `__broadcast__` for everybody. */
  to: string;
  /** The sender's count of its messages, from 1. Metadata, which is said again at each join, has 0. */
  n: number;
  /** The connection it belongs to, if any. */
  attempt?: string;
}

export interface Envelope extends Header {
  sealed: number;
  /** Names the key. */
  key: string;
  /** Names the room. */
  room: string;
  /** The nonce, then AES-GCM's ciphertext and tag, in base64url. */
  data: string;
}

/**
 * How much longer than its content an envelope is at most, in bytes of JSON, beside a third of the content: what ids
 * and an attempt of the library's come to, with room to spare (envelope.test.ts).
 */
export const HEADER_BYTES = 400;

/** Seals any JSON. */
export async function seal(content: unknown, header: Header, keys: Keys): Promise<Envelope> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const outside = { sealed: VERSION, key: keys.id, room: keys.room, ...header };
  const text = new TextEncoder().encode(JSON.stringify(content));
  const parameters = { name: 'AES-GCM', iv: nonce, additionalData: bound(outside) };
  const ciphertext = await crypto.subtle.encrypt(parameters, await keys.derive(header.kind, header.from), text);
  return { ...outside, data: toBase64Url(concatenated(nonce, new Uint8Array(ciphertext))) };
}

/** What a message is supposed to be, by the server's word. */
export type Expected = Pick<Header, 'kind' | 'from' | 'to'>;

/** Why a message is not taken: `reason` is a sentence about its sender. */
export class Untrusted extends Error {}

export interface Opened {
  content: unknown;
  n: number;
  attempt: string | undefined;
}

/** Opens what `seal` made. Rejects with Untrusted for everything else. */
export async function open(value: unknown, expected: Expected, keys: Keys): Promise<Opened> {
  const envelope = readEnvelope(value);
  if (!envelope) throw new Untrusted('It has no key: its message is not sealed.');
  if (envelope.sealed !== VERSION) throw new Untrusted('It seals in another version of this library.');
  if (envelope.key !== keys.id) throw new Untrusted('It has the wrong key.');
  if (envelope.room !== keys.room) throw new Untrusted('Its message is from another room.');
  if (envelope.from !== expected.from) throw new Untrusted('Its message was sealed by another member.');
  if (envelope.to !== expected.to) throw new Untrusted('Its message is for another member.');
  if (envelope.kind !== expected.kind) throw new Untrusted('Its message was made for another purpose.');
  const bytes = fromBase64Url(envelope.data);
  const parameters = {
    name: 'AES-GCM',
    iv: bytes.subarray(0, NONCE_BYTES),
    additionalData: bound(envelope),
  };
  try {
    const key = await keys.derive(expected.kind, expected.from);
    const text = await crypto.subtle.decrypt(parameters, key, bytes.subarray(NONCE_BYTES));
    const { n, attempt } = envelope;
    return { n, attempt, content: parseJson(new TextDecoder().decode(text), '') };
  } catch {
    throw new Untrusted('Its message was changed on the way.'); // an OperationError: the tag does not fit
  }
}

function concatenated(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** What of an envelope AES-GCM keeps from being changed: all but the data. An array is its values in one way only. */
function bound({ sealed, key, room, kind, from, to, n, attempt }: Omit<Envelope, 'data'>): BufferSource {
  // To which offer an answer goes that comes with a join is known to the room alone, which fills in the attempt. One
  // that goes astray connects nobody: the two sides have to name each other's certificate.
  const given = kind === 'answer' ? null : (attempt ?? null);
  return new TextEncoder().encode(JSON.stringify([sealed, key, room, kind, from, to, n, given]));
}

function readEnvelope(value: unknown): Envelope | undefined {
  if (!isObject(value)) return undefined;
  const { sealed, key, room, kind, from, to, n, attempt, data } = value;
  const isWhole = [key, room, kind, from, to, data, attempt ?? ''].every((each) => typeof each === 'string');
  return isWhole && Number.isSafeInteger(n) && Number.isSafeInteger(sealed) ? Object(value) : undefined;
}
