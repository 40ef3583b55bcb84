/** Room tokens: a JWT (RFC 7519) of the app's own backend that says who may come into which rooms, and until when. */
import { errors, importJWK, type JWK, type JWTPayload, jwtVerify } from 'jose';
import { type Close, EXPIRED, forbidden, unauthorized } from '../protocol/close.ts';
import { isObject } from '../protocol/json.ts';
import { utf8Length } from '../protocol/utf8.ts';
import type { Claims } from '../room/claims.ts';
import { shortHash } from './hash.ts';
import { isUnset, readSecret, type Settings, SettingsError } from './settings.ts';

/** The `typ` and `aud` of a room token, so that no other token of the app, made with the same key, opens a room. */
export const TOKEN_TYPE = 'p2pcf-ws+jwt';
export const AUDIENCE = 'p2pcf-ws';

/** Longest token, in characters: a header of that length is still taken by proxies. */
const MAX_TOKEN_LENGTH = 4096;

/** How far the clocks of the backend and ours may differ, in seconds. */
const CLOCK_ERROR_SECONDS = 10;

/** Longest `sub`, in UTF-8 bytes: others are told it, and it is kept with the socket. OpenID Connect has 255. */
const MAX_SUBJECT_BYTES = 256;

const DAY_SECONDS = 24 * 60 * 60;

/** The algorithms of public keys that Web Crypto, and jose with it, verify. */
const PUBLIC_ALGORITHMS = ['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512', 'EdDSA'];

interface Key {
  readonly alg: string;
  readonly key: Uint8Array | JWK;
}

export interface TokenSettings {
  /** In order of trial. None: whoever knows a room may come in. */
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
  const longestSeconds = isUnset(AUTH_TOKEN_SECONDS) ? DAY_SECONDS : Number(AUTH_TOKEN_SECONDS);
  if (!Number.isInteger(longestSeconds) || longestSeconds < 1)
    throw new SettingsError(
      `The setting AUTH_TOKEN_SECONDS is ${JSON.stringify(AUTH_TOKEN_SECONDS)}; it must be a whole number of seconds, 1 or more.`,
    );
  return { keys, longestSeconds };
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
  let fault = 'The token is not signed by a key of this server';
  for (const { alg, key } of keys) {
    try {
      const { payload } = await jwtVerify(token, key instanceof Uint8Array ? key : await importJWK(key, alg), {
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
      else if (error instanceof errors.JWTClaimValidationFailed) fault = `The token is not good: its ${error.claim}`;
    }
  }
  return { refusal: unauthorized(fault) };
}

async function verdictOn(payload: JWTPayload, roomId: string, latest: number, token: string): Promise<Verdict> {
  const { exp = 0, sub, rooms, prefix, max, host } = payload;
  if (exp > latest) return { refusal: unauthorized('The token expires too far ahead') };
  const isListed = Array.isArray(rooms) && rooms.includes(roomId);
  const isBelow = typeof prefix === 'string' && prefix !== '' && roomId.startsWith(prefix);
  if (!isListed && !isBelow) return { refusal: forbidden('The token is not for this room') };
  if (sub !== undefined && (typeof sub !== 'string' || sub === '' || utf8Length(sub) > MAX_SUBJECT_BYTES))
    return { refusal: unauthorized('The token is not good: its sub') };
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
  return { alg, key: jwk };
}

function parsed(json: unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = typeof json === 'string' ? JSON.parse(json) : json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // a SyntaxError, the one thing JSON.parse throws
  }
}
