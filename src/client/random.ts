/** So many random digits of base 36, as in P2PCF's ids: 20 of them are 103 bits. */
export function randomId(digits = 20): string {
  const bytes = crypto.getRandomValues(new Uint8Array(digits));
  return Array.from(bytes, (byte) => (byte % 36).toString(36)).join('');
}
