/** So many random hexadecimal digits: 36 of them, 144 bits, are as a resume token. */
export function randomToken(digits = 36): string {
  const bytes = crypto.getRandomValues(new Uint8Array(digits));
  return Array.from(bytes, (byte) => (byte % 16).toString(16)).join('');
}
