/** Bytes and text as base64url (RFC 4648 section 5, no padding), which every header and every URL carries unchanged. */

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Encodes bytes. By hand, as btoa is not everywhere (React Native). */
export function bytesToBase64Url(bytes: Iterable<number>): string {
  let digits = '';
  let bits = 0;
  let count = 0;
  for (const byte of bytes) {
    bits = ((bits & 0x3f) << 8) | byte;
    count += 8;
    while (count >= 6) {
      count -= 6;
      digits += DIGITS[(bits >> count) & 0x3f];
    }
  }
  return count ? digits + DIGITS[(bits << (6 - count)) & 0x3f] : digits;
}

/** The bytes that were encoded. Undefined for what is no base64url. */
export function bytesFromBase64Url(digits: string): number[] | undefined {
  if (!/^[\w-]*$/.test(digits)) return undefined;
  const bytes: number[] = [];
  let bits = 0;
  let count = 0;
  for (const digit of digits) {
    bits = ((bits & 0xff) << 6) | DIGITS.indexOf(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push((bits >> count) & 0xff);
  }
  return bytes;
}

/** Encodes the UTF-8 bytes of `text`; TextEncoder is not everywhere (React Native). */
export function toBase64Url(text: string): string {
  // One match a byte: a plain character, or a % and two hexadecimal digits.
  const escaped = encodeURIComponent(text).match(/%..|./g) ?? [];
  return bytesToBase64Url(escaped.map((byte) => (byte[1] ? Number.parseInt(byte.slice(1), 16) : byte.charCodeAt(0))));
}

/** The text that was encoded. Undefined for what is no base64url of UTF-8 text. */
export function fromBase64Url(digits: string): string | undefined {
  const bytes = bytesFromBase64Url(digits);
  if (!bytes) return undefined;
  try {
    return decodeURIComponent(bytes.map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  } catch {
    return undefined; // a URIError, the one thing it throws: the bytes are not UTF-8
  }
}
