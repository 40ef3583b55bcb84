/**
 * An owned id: `own-` and the SHA-256 of a resume token. Whoever knows the token can show that the id is theirs, with
 * nothing stored for it: not after a crash, not after any grace, and not to a room that has never heard of it. Every
 * other id is plain: it belongs to whoever came with it.
 */
import { digest } from 'ohash/crypto';

/** 22 digits of base64url are 132 bits: as hard to find another token for as a random UUID is to guess. */
const OWNED = /^own-[\w-]{22}$/;

/** The id that a token owns. */
export function ownedId(token: string): string {
  return `own-${digest(token).slice(0, 22)}`;
}

/** Whether an id can be held by the owner of its token alone. */
export function isOwnedId(id: string): boolean {
  return OWNED.test(id);
}
