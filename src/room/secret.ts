/**
 * Compares in a time that tells nothing but whether the lengths differ, so that a secret cannot be guessed piece by
 * piece.
 */
export function isSameSecret(a: string, b: string | undefined): boolean {
  if (a.length !== b?.length) return false;
  let difference = 0;
  for (let n = 0; n < a.length; n++) difference |= a.charCodeAt(n) ^ b.charCodeAt(n);
  return difference === 0;
}
