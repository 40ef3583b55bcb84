/** Text as base64url (RFC 4648 section 5, no padding), which every header and every URL carries unchanged. */

/** The 64 digits. */
export const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Encodes the UTF-8 bytes of `text`. By hand, as neither btoa nor TextEncoder is everywhere (React Native). */
export function toBase64Url(text: string): string {
  let digits = '';
  let bits = 0;
  let count = 0;
  // One match a byte: a plain character, or a % and two hexadecimal digits.
  for (const [byte] of encodeURIComponent(text).matchAll(/%..|./g)) {
    bits = ((bits & 0x3f) << 8) | (byte[1] ? Number.parseInt(byte.slice(1), 16) : byte.charCodeAt(0));
    count += 8;
    while (count >= 6) {
      count -= 6;
      digits += DIGITS[(bits >> count) & 0x3f];
    }
  }
  return count ? digits + DIGITS[(bits << (6 - count)) & 0x3f] : digits;
}

/** The text that was encoded. Undefined for what is no base64url of UTF-8 text. */
export function fromBase64Url(digits: string): string | undefined {
  if (!/^[\w-]*$/.test(digits)) return undefined;
  let escaped = '';
  let bits = 0;
  let count = 0;
  for (const digit of digits) {
    bits = ((bits & 0xff) << 6) | DIGITS.indexOf(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    escaped += `%${((bits >> count) & 0xff).toString(16).padStart(2, '0')}`;
  }
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined; // a URIError, the one thing it throws: the bytes are not UTF-8
  }
}
