import type { Limits } from '../room/room.ts';

/** Least bytes of a secret: as many as HMAC with SHA-256 puts out (RFC 7518 section 3.2). */
const MIN_SECRET_BYTES = 32;

/** Least different characters of one: 32 random hexadecimal digits have fewer about once in a thousand million times. */
const MIN_SECRET_CHARACTERS = 7;

/** What wrangler.toml sets under [vars]: `unknown`, because anyone may write anything there. */
export interface Settings {
  MAX_PEERS_PER_ROOM?: unknown;
  MAX_MESSAGE_BYTES?: unknown;
  MESSAGES_PER_SECOND?: unknown;
  RESUME_GRACE_SECONDS?: unknown;
  GHOST_AFTER_SECONDS?: unknown;
  TURN_URLS?: unknown;
  TURN_SECRET?: unknown;
  TURN_KEY_ID?: unknown;
  TURN_KEY_TOKEN?: unknown;
  TURN_SECONDS?: unknown;
  TURN_OPEN?: unknown;
  ICE_SERVERS?: unknown;
  ALLOWED_ORIGINS?: unknown;
  AUTH_SECRET?: unknown;
  AUTH_SECRET_2?: unknown;
  AUTH_PUBLIC_JWK?: unknown;
  AUTH_PUBLIC_JWK_2?: unknown;
  AUTH_TOKEN_SECONDS?: unknown;
  TRUSTED_ADDRESS_HEADER?: unknown;
  JOIN_LIMITER?: unknown;
  POLL_LIMITER?: unknown;
  LOG_KEY?: unknown;
  EVENTS?: unknown;
}

/** A setting makes no sense. The message names it and says what would. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/**
 * The limits set under [vars]. Throws SettingsError for a limit that is missing or makes no sense: a server that fell
 * back to a default would hide the mistake until the day it matters.
 */
export function readLimits(settings: Settings): Limits {
  return {
    // A Durable Object holds 32,768 WebSockets (2026-11); those still closing count, so leave them some room.
    maxPeers: wholeNumber(settings, 'MAX_PEERS_PER_ROOM', 1, 32_000),
    // A Durable Object is handed messages of up to 32 MiB (2026-11).
    maxMessageBytes: wholeNumber(settings, 'MAX_MESSAGE_BYTES', 1, 32 * 1024 * 1024),
    messagesPerSecond: wholeNumber(settings, 'MESSAGES_PER_SECOND', 0, 1_000_000),
    graceSeconds: wholeNumber(settings, 'RESUME_GRACE_SECONDS', 0, 3_600),
    // A page hidden for five minutes runs its timers once a minute (Chrome 88 and newer, 2026-11), so a client that
    // means to ping every 25 s may be 60 s late, twice in a row if the first was lost: less than 150 throws out the
    // living.
    ghostAfterSeconds: wholeNumber(settings, 'GHOST_AFTER_SECONDS', 1, 86_400),
  };
}

/** Reads a number, or a string of digits: a variable set in Cloudflare's dashboard is a string. */
export function wholeNumber(settings: Settings, name: keyof Settings, least: number, most: number): number {
  const value = settings[name];
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most) return number;
  const found = value === undefined ? 'not set' : JSON.stringify(value);
  throw new SettingsError(
    `The setting ${name} is ${found}; it must be a whole number from ${least} to ${most}. Set it under [vars] in wrangler.toml and deploy again; on a machine of your own, in the environment.`,
  );
}

/**
 * The bytes of a secret; undefined for none. Throws SettingsError, without its value, for a secret that could be
 * guessed.
 */
export function readSecret(name: string, secret: unknown): Uint8Array | undefined {
  if (isUnset(secret)) return undefined;
  const text = typeof secret === 'string' ? secret : '';
  const key = new TextEncoder().encode(text);
  const fault = secretFault(text, key.length);
  if (fault)
    throw new SettingsError(
      `The secret ${name} ${fault}; it must be at least ${MIN_SECRET_BYTES} bytes. Make one with "openssl rand -base64 32" and set it with "npx wrangler secret put ${name}"; on a machine of your own, in the environment.`,
    );
  return key;
}

/** What is around a secret by mistake would be part of it here, and not in the app's backend. */
function secretFault(text: string, bytes: number): string | undefined {
  if (isSample(text)) return 'is a sample, which everybody knows';
  if (text !== text.trim()) return 'begins or ends with a space or a line break';
  if (isQuoted(text)) return 'stands in quotation marks, which would be part of it';
  if (bytes < MIN_SECRET_BYTES) return 'is too short';
  return new Set(text).size < MIN_SECRET_CHARACTERS ? 'has too few different characters' : undefined;
}

/** Whether a text has the quotation marks of a shell still around it, as `docker run --env-file` leaves them. */
export function isQuoted(text: string): boolean {
  return /^(["'`]).*\1$/s.test(text);
}

/** Whether it is what documents have in the place of a secret: known to everybody, so it is refused. */
export function isSample(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith('replace-me');
}

export function isUnset(value: unknown): boolean {
  return value === undefined || value === '';
}
