/** A short authentication string: what two people read to each other to find out whether anybody sits between them. */
import { fingerprintsOf } from '../negotiation.ts';
import { EMOJI } from './emoji.ts';

export interface Sas {
  /** Six digits, e.g. `048 213`. */
  digits: string;
  /** Seven emoji of 64. */
  emoji: string[];
}

/**
 * Both certificates could be chosen: whoever sits between makes many, and looks for two pairs with the same string. So
 * each try costs as much as one at a password (OWASP's Password Storage Cheat Sheet, 2026-11).
 */
const ITERATIONS = 600_000;

/** 20 bits, as many as ZRTP reads out (RFC 6189, section 5.1.6). */
const DIGITS = 6;

/**
 * 42 bits: the Matrix specification has seven of 64, too ("Short Authentication String (SAS) verification", 2026-11).
 */
const EMOJI_COUNT = 7;

/**
 * The same for both ends of a connection, whichever asks. `ownSdp` names our certificate. Rejects with Error without
 * one.
 */
export async function sas(ownSdp: string | undefined, theirs: string | undefined): Promise<Sas> {
  const [ours] = fingerprintsOf(ownSdp ?? '');
  if (!ours || !theirs) throw new Error('There is no short authentication string before the peer is connected.');
  if (!globalThis.crypto?.subtle)
    throw new Error('A short authentication string needs a secure context, which is https or localhost.');
  const utf8 = new TextEncoder();
  const both = utf8.encode(JSON.stringify([ours, theirs].sort()));
  const base = await crypto.subtle.importKey('raw', both, 'PBKDF2', false, ['deriveBits']);
  const parameters = { name: 'PBKDF2', hash: 'SHA-256', salt: utf8.encode('p2pcf-ws sas 1'), iterations: ITERATIONS };
  const bits = new DataView(await crypto.subtle.deriveBits(parameters, base, 128));
  const number = bits.getUint32(0) % 10 ** DIGITS; // 2^32 is so much more that all are equally likely but for 1 in 4,000
  const digits = String(number).padStart(DIGITS, '0');
  const emoji = Array.from({ length: EMOJI_COUNT }, (_, n) => EMOJI[bits.getUint8(4 + n) % EMOJI.length] ?? '');
  return { digits: `${digits.slice(0, 3)} ${digits.slice(3)}`, emoji };
}
