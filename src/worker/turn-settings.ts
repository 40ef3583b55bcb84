/** Where ICE servers come from: the settings for it, checked. */
import { type IceServer, isIceServers, isStun, isTurn, MAX_ICE_URLS } from '../protocol/ice-servers.ts';
import { readOrigins } from './origins.ts';
import { isQuoted, isSample, isUnset, type Settings, SettingsError, wholeNumber } from './settings.ts';
import { readTokenSettings } from './tokens.ts';

export interface TurnSettings {
  /** The same for everybody. */
  fixed: readonly IceServer[];
  /** TURN servers that know credentials by a secret they share with us, as coturn's `use-auth-secret` has it. */
  shared: { urls: string[]; secret: string } | undefined;
  /** A TURN key of Cloudflare Realtime. */
  cloudflare: { keyId: string; token: string } | undefined;
  /** How long credentials are good for, in seconds. */
  seconds: number;
}

/** Cloudflare's most (2026-11). */
const MOST_SECONDS = 48 * 60 * 60;

/** As long as the longest call: a TURN server wants good credentials each time an allocation is refreshed. */
const SECONDS = 24 * 60 * 60;

/**
 * Reads where ICE servers come from; all that is empty is not set. Throws SettingsError for what makes no sense, and
 * for credentials that would go to anybody: a TURN server carries whatever it is sent, at the cost of its owner.
 */
export function readTurn(settings: Settings): TurnSettings {
  const [urls, secret] = [text(settings, 'TURN_URLS'), text(settings, 'TURN_SECRET')];
  const [keyId, token] = [text(settings, 'TURN_KEY_ID'), text(settings, 'TURN_KEY_TOKEN')];
  if (!urls !== !secret) throw new SettingsError(both('TURN_URLS', 'TURN_SECRET', urls));
  if (!keyId !== !token) throw new SettingsError(both('TURN_KEY_ID', 'TURN_KEY_TOKEN', keyId));
  const turn: TurnSettings = {
    fixed: fixedServers(settings.ICE_SERVERS),
    shared: urls && secret ? { urls: urlsOf(urls), secret } : undefined,
    cloudflare: keyId && token ? { keyId, token } : undefined,
    seconds: isUnset(settings.TURN_SECONDS) ? SECONDS : wholeNumber(settings, 'TURN_SECONDS', 1, MOST_SECONDS),
  };
  const addresses = [...turn.fixed.flatMap(({ urls: each }) => each), ...(turn.shared?.urls ?? [])].length;
  if (addresses > MAX_ICE_URLS)
    throw new SettingsError(
      `The settings ICE_SERVERS and TURN_URLS have ${addresses} addresses together; ${MAX_ICE_URLS} is the most.`,
    );
  if (hasCredentials(turn) && !isGuarded(settings)) {
    throw new SettingsError(
      'TURN credentials are set, and would go to anybody who asks. Set AUTH_SECRET or AUTH_PUBLIC_JWK, so that only bearers of a token get them, or ALLOWED_ORIGINS and TURN_OPEN=true, so that only browsers on your pages do.',
    );
  }
  return turn;
}

function hasCredentials({ fixed, shared, cloudflare }: TurnSettings): boolean {
  return Boolean(shared ?? cloudflare) || fixed.some(({ credential }) => credential !== undefined);
}

/** Whether it is decided who may come in. */
function isGuarded(settings: Settings): boolean {
  const isOpen = isTrue(settings.TURN_OPEN);
  return readTokenSettings(settings).keys.length > 0 || (isOpen && readOrigins(settings) !== undefined);
}

/** A variable set in Cloudflare's dashboard is a string. */
function isTrue(value: unknown): boolean {
  if (value === undefined || value === '' || value === false || value === 'false') return false;
  if (value === true || value === 'true') return true;
  throw new SettingsError(`The setting TURN_OPEN is ${JSON.stringify(value)}; it must be true or false.`);
}

function urlsOf(list: string): string[] {
  const urls = list.split(/[\s,]+/).filter(Boolean);
  const wrong = urls.find((url) => !isTurn(url) && !isStun(url));
  if (wrong === undefined && urls.length > 0) return urls.map(withSmallTransport);
  throw new SettingsError(
    `The setting TURN_URLS has ${wrong === undefined ? 'no address' : JSON.stringify(wrong)} in it; it must be a list such as turn:turn.example.com:3478?transport=udp, turns:turn.example.com:5349.`,
  );
}

/** Chromium (156) takes `?transport=UDP`, and Firefox (153) makes no connection with such an address in its list. */
function withSmallTransport(url: string): string {
  return url.replace(/\?.*/, (query) => query.toLowerCase());
}

function fixedServers(value: unknown): readonly IceServer[] {
  if (value === undefined || value === '') return [];
  const servers = typeof value === 'string' ? parsed(value) : value;
  if (isIceServers(servers)) {
    for (const { credential } of servers) refuseSample('ICE_SERVERS', credential);
    return servers.map(({ urls, ...login }) => ({
      urls: typeof urls === 'string' ? withSmallTransport(urls) : urls.map(withSmallTransport),
      ...login,
    }));
  }
  throw new SettingsError(
    'The setting ICE_SERVERS makes no sense; it must be a list of servers as RTCPeerConnection takes them, with at most 32 addresses, such as [{"urls": "stun:stun.example.com"}, {"urls": "turn:turn.example.com", "username": "…", "credential": "…"}], as JSON.',
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined; // a SyntaxError, the one thing JSON.parse throws
  }
}

function both(first: keyof Settings, second: keyof Settings, isFirstSet: string): string {
  const [set, missing] = isFirstSet ? [first, second] : [second, first];
  return `The setting ${set} is set and ${missing} is not; one is of no use without the other.`;
}

function text(settings: Settings, name: keyof Settings): string {
  const value = settings[name] ?? '';
  refuseSample(name, value);
  // Everybody is told, and it may be a secret.
  if (typeof value !== 'string')
    throw new SettingsError(`The setting ${name} is not a text. In wrangler.toml, put it between quotation marks.`);
  if (isQuoted(value.trim()))
    throw new SettingsError(
      `The setting ${name} stands in quotation marks, which would be part of it. Leave them out.`,
    );
  return value.trim();
}

function refuseSample(name: keyof Settings, value: unknown): void {
  if (isSample(value))
    throw new SettingsError(`The setting ${name} is a sample, which everybody knows. Set your own, or leave it empty.`);
}
