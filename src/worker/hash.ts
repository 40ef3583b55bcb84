/** SHA-256 of a text in UTF-8, half of it, in hexadecimal: 128 bits, which nobody makes come out alike by chance. */
export async function shortHash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
