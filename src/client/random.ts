/** So many random hexadecimal digits, of four bits each. */
export function randomHex(digits: number): string {
  const nibbles = crypto.getRandomValues(new Uint8Array(digits));
  return Array.from(nibbles, (nibble) => (nibble % 16).toString(16)).join('');
}
