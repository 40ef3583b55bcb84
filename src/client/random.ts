/** So many random hexadecimal digits, of four bits each. Throws Error where there are no random numbers to be had. */
export function randomHex(digits: number): string {
  if (!globalThis.crypto?.getRandomValues)
    throw new Error('There is no crypto.getRandomValues here. In React Native, import react-native-get-random-values.');
  const nibbles = crypto.getRandomValues(new Uint8Array(digits));
  return Array.from(nibbles, (nibble) => (nibble % 16).toString(16)).join('');
}
