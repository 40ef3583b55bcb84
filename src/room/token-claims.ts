/** What a room token says of its bearer, verified by the Worker before the room hears of it. */
import type { Verified } from '../protocol/messages.ts';

export interface Claims {
  /** Who it is, by the word of the app's backend. */
  readonly sub?: string;
  /** From then on the token is not good, in ms since the epoch. */
  readonly until: number;
  /** Most peers in this room. */
  readonly max?: number;
  /** Whether its bearer may remove others. */
  readonly isHost: boolean;
  /** Of a token without a subject its hash, by which it is known again. */
  readonly hash?: string;
}

/** Whoever has brought a token, or has not: then there are no claims. */
export interface Bearer {
  readonly claims: Claims | undefined;
}

/** What a bearer is known by, whatever id it comes under: its subject or else its token. */
export function bearerOf({ sub, hash = '' }: Claims): string {
  return sub === undefined ? `token ${hash}` : `subject ${sub}`;
}

export function hasExpired({ claims }: Bearer, now: number): boolean {
  return claims !== undefined && claims.until <= now;
}

/** What others are told of it. */
export function verifiedOf({ claims }: Bearer): Verified | undefined {
  return claims?.sub === undefined ? undefined : { sub: claims.sub };
}

/**
 * Whether what a subject holds may go to this one: to the subject alone. What nobody's subject holds may go to anybody.
 */
export function mayTakeOver(holder: Bearer | undefined, { claims }: Bearer): boolean {
  return holder?.claims?.sub === undefined || holder.claims.sub === claims?.sub;
}
