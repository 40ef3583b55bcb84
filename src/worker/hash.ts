/** SHA-256 of a text in UTF-8, half of it, in hexadecimal: 128 bits, which nobody makes come out alike by chance. */
export async function shortHash(text: string): Promise<string> {
  return toHex(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).slice(0, 32);
}

export function toHex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
