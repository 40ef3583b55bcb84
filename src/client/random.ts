import { DIGITS } from '../protocol/base64url.ts';

/** So many random hexadecimal digits, of four bits each. Throws Error where there are no random numbers to be had. */
export const randomHex = (digits: number): string => randomDigits(digits, '0123456789abcdef');

/** 128 random bits in base64url: 22 digits, the last of which counts for two bits. Throws Error as `randomHex`. */
export const randomKey = (): string => randomDigits(22, DIGITS);

/** As the length of `alphabet` divides 256, each of its digits is as likely as any other. */
function randomDigits(count: number, alphabet: string): string {
  if (!globalThis.crypto?.getRandomValues)
    throw new Error('There is no crypto.getRandomValues here. In React Native, import react-native-get-random-values.');
  return Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte) => alphabet[byte % alphabet.length]).join('');
}
