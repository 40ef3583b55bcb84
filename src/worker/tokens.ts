/** Room tokens: a JWT (RFC 7519) of the app's own backend that says who may come into which rooms, and until when. */
import { errors, importJWK, type JWK, type JWTPayload, jwtVerify } from 'jose';
import { type Close, EXPIRED, forbidden, unauthorized } from '../protocol/close.ts';
import { isObject } from '../protocol/json.ts';
import { utf8Length } from '../protocol/utf8.ts';
import type { Claims } from '../room/token-claims.ts';
import { shortHash } from './hash.ts';
import { isUnset, readSecret, type Settings, SettingsError, wholeNumber } from './settings.ts';

/** The `typ` and `aud` of a room token, so that no other token of the app, made with the same key, opens a room. */
export const TOKEN_TYPE = 'p2pcf-ws+jwt';
export const AUDIENCE = 'p2pcf-ws';

/** Longest token, in characters: a header of that length is still taken by proxies. */
const MAX_TOKEN_LENGTH = 4096;

/**
 * Longest header of a token in that, which names an algorithm and perhaps a key: it is read before the signature is,
 * and not by `parseJson`.
 */
const MAX_TOKEN_HEADER_LENGTH = 256;

/** How far the clocks of the backend and ours may differ, in seconds. */
const CLOCK_ERROR_SECONDS = 10;

/**
 * Longest `sub`, in UTF-8 bytes of JSON, which writes a control character in six: others are told it, and it is kept
 * with the socket. OpenID Connect has 255.
 */
const MAX_SUBJECT_BYTES = 256;

const DAY_SECONDS = 24 * 60 * 60;

/** The algorithms of public keys that Web Crypto, and jose with it, verify. */
const PUBLIC_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
  'Ed25519',
];

const LEAST_RSA_BITS = 2048;

interface Key {
  readonly alg: string;
  /** A JWK has the name of its setting beside it. */
  readonly key: Uint8Array | { readonly name: string; readonly jwk: JWK };
}

export interface TokenSettings {
  /** In the order in which they are tried. None: everybody who knows a room's name may come in. */
  readonly keys: readonly Key[];
  /** How far ahead `exp` may be, in seconds. */
  readonly longestSeconds: number;
}

/** `claims` of a good token, or the refusal of any other. */
export type Verdict = { claims: Claims } | { refusal: Close };

/** Reads the keys; what is empty is not set. Throws SettingsError for what makes no sense. */
export function readTokenSettings(settings: Settings): TokenSettings {
  const { AUTH_SECRET, AUTH_SECRET_2, AUTH_PUBLIC_JWK, AUTH_PUBLIC_JWK_2, AUTH_TOKEN_SECONDS } = settings;
  const keys = [
    secretKey('AUTH_SECRET', AUTH_SECRET),
    secretKey('AUTH_SECRET_2', AUTH_SECRET_2),
    publicKey('AUTH_PUBLIC_JWK', AUTH_PUBLIC_JWK),
    publicKey('AUTH_PUBLIC_JWK_2', AUTH_PUBLIC_JWK_2),
  ].flatMap((key) => key ?? []);
  const longestSeconds = isUnset(AUTH_TOKEN_SECONDS)
    ? DAY_SECONDS
    : wholeNumber(settings, 'AUTH_TOKEN_SECONDS', 1, 366 * DAY_SECONDS);
  return { keys, longestSeconds };
}

/**
 * Keys as Web Crypto has them, by what they were made of, which is what is set: importing one costs more than a look.
 */
const importedKeys = new Map<string, CryptoKey>();

/** Throws SettingsError for what is no public key. */
export async function checkKeys({ keys }: TokenSettings): Promise<void> {
  for (const { alg, key } of keys) await imported(alg, key);
}

async function imported(alg: string, key: Key['key']): Promise<Uint8Array | CryptoKey> {
  if (key instanceof Uint8Array) return key;
  const { name, jwk } = key;
  const text = JSON.stringify([alg, jwk]);
  const known = importedKeys.get(text);
  if (known) return known;
  const made = await importJWK(jwk, alg).catch((error: unknown) => error);
  const isKey = made instanceof CryptoKey && made.type === 'public' && made.usages.includes('verify');
  // jose takes no shorter RSA key, and says so only when it verifies (RFC 7518, section 3.3).
  const { modulusLength = LEAST_RSA_BITS } = isKey ? Object(made.algorithm) : {};
  if (!isKey || modulusLength < LEAST_RSA_BITS)
    throw new SettingsError(
      `The setting ${name} is no public key for ${alg}: ${made instanceof Error ? made.message : `it must be able to verify, and an RSA key needs ${LEAST_RSA_BITS} bits`}.`,
    );
  importedKeys.set(text, made);
  return made;
}

/** Whether `token` opens the room at `now`, in ms since the epoch. */
export async function verifyToken(
  token: string | null | undefined,
  roomId: string,
  { keys, longestSeconds }: TokenSettings,
  now: number,
): Promise<Verdict> {
  if (!token) return { refusal: unauthorized('A token is needed') };
  if (token.length > MAX_TOKEN_LENGTH)
    return { refusal: unauthorized(`The token is longer than ${MAX_TOKEN_LENGTH} characters`) };
  if (token.indexOf('.') > MAX_TOKEN_HEADER_LENGTH)
    return { refusal: unauthorized(`The header of the token is longer than ${MAX_TOKEN_HEADER_LENGTH} characters`) };
  let fault = 'The token is not signed by a key of this server';
  for (const { alg, key } of keys) {
    try {
      const { payload } = await jwtVerify(token, await imported(alg, key), {
        algorithms: [alg],
        audience: AUDIENCE,
        typ: TOKEN_TYPE,
        requiredClaims: ['exp'],
        clockTolerance: CLOCK_ERROR_SECONDS,
        currentDate: new Date(now),
      });
      const latest = now / 1000 + longestSeconds + CLOCK_ERROR_SECONDS;
      return await verdictOn(payload, roomId, latest, token);
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      // It is this key's, and is not good for another reason: no other key makes it good.
      if (error instanceof errors.JWTExpired) fault = EXPIRED.reason;
      else if (error instanceof errors.JWSInvalid) fault = 'The token is no JWT';
      else if (error instanceof errors.JWTClaimValidationFailed) fault = `The token is not good: its ${error.claim}`;
    }
  }
  return { refusal: unauthorized(fault) };
}

async function verdictOn(payload: JWTPayload, roomId: string, latest: number, token: string): Promise<Verdict> {
  const { exp = 0, sub, rooms, prefix, max, host } = payload;
  if (exp > latest) return { refusal: unauthorized('The token expires too far ahead') };
  const isListed = Array.isArray(rooms) && rooms.includes(roomId);
  const isBelow = typeof prefix === 'string' && prefix !== '' && prefix.isWellFormed() && roomId.startsWith(prefix);
  if (!isListed && !isBelow) return { refusal: forbidden('The token is not for this room') };
  if (sub !== undefined && !isSubject(sub)) return { refusal: unauthorized('The token is not good: its sub') };
  if (max !== undefined && !(typeof max === 'number' && Number.isInteger(max) && max > 0))
    return { refusal: unauthorized('The token is not good: its max') };
  return {
    claims: {
      until: (exp + CLOCK_ERROR_SECONDS) * 1000,
      isHost: host === true,
      ...(sub === undefined ? { hash: await hashOf(token) } : { sub }),
      ...(typeof max === 'number' && { max }),
    },
  };
}

/**
 * Half a surrogate pair, which a backend makes when it cuts a name within an emoji, has no UTF-8: as the key of a row
 * it comes back as another text, which is never found again.
 */
function isSubject(sub: unknown): sub is string {
  return typeof sub === 'string' && sub !== '' && sub.isWellFormed() && jsonLength(sub) <= MAX_SUBJECT_BYTES;
}

/** In UTF-8 bytes, without the quotation marks around it. */
function jsonLength(text: string): number {
  return utf8Length(JSON.stringify(text)) - 2;
}

/** Without its signature, which can be written in more than one way. */
function hashOf(token: string): Promise<string> {
  return shortHash(token.slice(0, token.lastIndexOf('.')));
}

function secretKey(name: string, secret: unknown): Key | undefined {
  const key = readSecret(name, secret);
  return key && { alg: 'HS256', key };
}

function publicKey(name: string, json: unknown): Key | undefined {
  if (isUnset(json)) return undefined;
  const jwk = parsed(json);
  const { alg } = jwk ?? {};
  if (!jwk || typeof alg !== 'string' || !PUBLIC_ALGORITHMS.includes(alg) || 'd' in jwk || 'k' in jwk)
    throw new SettingsError(
      `The setting ${name} must be one public key as JWK (JSON, with no private part), whose "alg" is one of ${PUBLIC_ALGORITHMS.join(', ')}.`,
    );
  return { alg, key: { name, jwk } };
}

function parsed(json: unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = typeof json === 'string' ? JSON.parse(json) : json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // a SyntaxError, the one thing JSON.parse throws
  }
}
