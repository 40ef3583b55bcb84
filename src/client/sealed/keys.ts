/** What a room's members share, and the keys that are made of it: calls of WebCrypto and nothing else. */
import { fromBase64Url, toBase64Url } from './base64.ts';

/** Purposes of a sender's keys; each kind of envelope has its own. */
export type Kind = 'metadata' | 'ahead' | 'answer' | 'signal' | 'broadcast';

/**
 * Rounds of PBKDF2-HMAC-SHA-256 for a password: what OWASP's Password Storage Cheat Sheet recommends (2023, and still
 * in 2026-11).
 */
const PASSWORD_ITERATIONS = 600_000;

/** AES-256: the longest that AES-GCM has (NIST SP 800-38D); the secret itself has 128 bits. */
const AES_BITS = 256;

/** As much as the key has: a name that nobody without the key can guess. */
const ROOM_BITS = 128;

/** It only tells one key from another for the sake of a good message; two are the same once in 2^48. */
const KEY_ID_BITS = 48;

const utf8 = new TextEncoder();

/** What the members of a room share, one of the two. */
export interface Secret {
  key?: string | undefined;
  password?: string | undefined;
}

export class Keys {
  /** Names the secret, so that a wrong key is told from a message that was changed. */
  readonly id: string;
  /** Names the room to everybody without the secret. */
  readonly room: string;
  readonly #root: CryptoKey;

  private constructor(root: CryptoKey, id: string, room: string) {
    this.#root = root;
    this.id = id;
    this.room = room;
  }

  /** The keys of a room. Rejects with Error for what cannot be a secret, and where there is no WebCrypto. */
  static async of({ key, password }: Secret, roomId: string): Promise<Keys> {
    if (!globalThis.crypto?.subtle)
      throw new Error('The options key and password need a secure context, which is https or localhost.');
    if (key !== undefined && password !== undefined) throw new Error('Pass key or password, not both.');
    // A list of one key looks like a key, and would be read as none.
    if (key !== undefined && !(typeof key === 'string' && /^[\w-]{22}$/.test(key)))
      throw new Error(
        'The key must be one of P2PCF.newKey(). For words that people know there is the option password.',
      );
    if (key === undefined && !password) throw new Error('The password is empty.');
    if (key === undefined && typeof password !== 'string') throw new Error('The password must be a string.');
    const secret = key === undefined ? await stretched(password ?? '', roomId) : fromBase64Url(key);
    const root = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits', 'deriveKey']);
    const bits = async (length: number, ...info: string[]): Promise<string> =>
      toBase64Url(new Uint8Array(await crypto.subtle.deriveBits(hkdf(info), root, length)));
    const [id, room] = await Promise.all([bits(KEY_ID_BITS, 'key id'), bits(ROOM_BITS, 'room', roomId)]);
    return new Keys(root, id, room);
  }

  /** The key of one sender for one purpose. */
  derive(kind: Kind, sender: string): Promise<CryptoKey> {
    const algorithm = { name: 'AES-GCM', length: AES_BITS };
    return crypto.subtle.deriveKey(hkdf([kind, sender]), this.#root, algorithm, false, ['encrypt', 'decrypt']);
  }
}

/** RFC 5869. No salt: the secret is random, or was salted when it was stretched (section 3.1). */
function hkdf(info: string[]): HkdfParams {
  return {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(),
    info: utf8.encode(JSON.stringify(['p2pcf-ws', 1, ...info])),
  };
}

/** The bits of a password. The room's name is the salt, which all members have to know. */
async function stretched(password: string, roomId: string): Promise<ArrayBuffer> {
  const words = utf8.encode(password.normalize('NFKC')); // one password, however a keyboard composes its letters
  const base = await crypto.subtle.importKey('raw', words, 'PBKDF2', false, ['deriveBits']);
  const salt = utf8.encode(JSON.stringify(['p2pcf-ws', 1, 'password', roomId]));
  return crypto.subtle.deriveBits(
    { name: 'PBKDF2', hash: 'SHA-256', salt, iterations: PASSWORD_ITERATIONS },
    base,
    AES_BITS,
  );
}
