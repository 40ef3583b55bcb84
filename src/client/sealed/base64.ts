/**
 * base64url of bytes with btoa and atob, which are native: what a member brings to a room has some thousand bytes, and
 * by hand (protocol/base64url.ts) these take a page that has just started a millisecond each time.
 */

/** Encodes bytes, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The bytes that were encoded; none for what is no base64url. */
export function fromBase64Url(digits: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(digits.replaceAll('-', '+').replaceAll('_', '/')), (unit) => unit.charCodeAt(0));
  } catch {
    return new Uint8Array(); // an InvalidCharacterError, the one thing atob throws
  }
}
