import { bytesToBase64Url } from '../protocol/base64url.ts';

/** So many random hexadecimal digits, of four bits each. */
export function randomHex(digits: number): string {
  const nibbles = crypto.getRandomValues(new Uint8Array(digits));
  return Array.from(nibbles, (nibble) => (nibble % 16).toString(16)).join('');
}

/** 128 random bits in base64url: 22 digits. */
export function randomKey(): string {
  return bytesToBase64Url(crypto.getRandomValues(new Uint8Array(16)));
}
