/** ICE servers for one session: nobody else is given its credentials. */
import { type IceServer, type IceServers, isIceServers } from '../protocol/ice-servers.ts';
import { isObject } from '../protocol/json.ts';
import type { TurnSettings } from './turn-settings.ts';

/** What Cloudflare is waited for, in ms. */
const PROVIDER_ANSWERS_WITHIN_MS = 5_000;

/** A provider that fails is complained of this often, in ms. */
const COMPLAIN_EVERY_MS = 60_000;

let complainedAt = Number.NEGATIVE_INFINITY;

/** New credentials are given for the asking from this part of the lifetime of the old on; the library asks at 80 %. */
export const MAY_RENEW_AFTER = 0.75;

/** A provider that has failed is asked again for the same client after this part of that time. */
export const RETRY_AFTER = 0.05;

/** The servers that are at hand, without asking a provider. Undefined if there are none. */
export async function ownIceServers(
  turn: TurnSettings,
  clientId: string,
  now: number,
): Promise<IceServers | undefined> {
  const { fixed, shared, seconds } = turn;
  if (!shared) return fixed.length > 0 ? { iceServers: [...fixed] } : undefined;
  const username = `${Math.floor(now / 1000) + seconds}:${nameOf(clientId)}`;
  const credential = await hmacSha1(shared.secret, username);
  return { iceServers: [...fixed, { urls: shared.urls, username, credential }], iceServersSeconds: seconds };
}

/**
 * Those and Cloudflare's, which takes a request. If that fails, which is logged, nobody is kept out by it: those with
 * credentials that end are given alone, as they have to be renewed; undefined without such, so that nobody loses what
 * it has. https://developers.cloudflare.com/realtime/turn/generate-credentials/ (2026-11)
 */
export async function allIceServers(
  turn: TurnSettings,
  clientId: string,
  now: number,
): Promise<IceServers | undefined> {
  const own = ownIceServers(turn, clientId, now);
  if (!turn.cloudflare) return own;
  try {
    const theirs = await cloudflareServers(turn.cloudflare, turn.seconds, clientId);
    const iceServers = [...((await own)?.iceServers ?? []), ...theirs];
    if (!isIceServers(iceServers)) throw new Error('its servers and the ones in the settings are too many together');
    return { iceServers, iceServersSeconds: turn.seconds };
  } catch (error) {
    if (now - complainedAt >= COMPLAIN_EVERY_MS) {
      complainedAt = now;
      console.error(JSON.stringify({ event: 'turn provider failed', reason: String(error) }));
    }
    return turn.shared && own;
  }
}

/** Asks twice if need be: without an answer now, a call would have no relay for hours. A refusal is final. */
async function cloudflareServers(
  { keyId, token }: { keyId: string; token: string },
  ttl: number,
  clientId: string,
): Promise<IceServer[]> {
  const url = `https://rtc.live.cloudflare.com/v1/turn/keys/${encodeURIComponent(keyId)}/credentials/generate-ice-servers`;
  const ask = (): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ ttl, customIdentifier: nameOf(clientId) }),
      signal: AbortSignal.timeout(PROVIDER_ANSWERS_WITHIN_MS),
    });
  let response = await ask().catch(() => undefined);
  if (!response || response.status >= 500) response = await ask();
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const answer: unknown = await response.json();
  if (!isObject(answer) || !isIceServers(answer['iceServers'])) throw new Error('an answer that makes no sense');
  const servers = answer['iceServers'].map(withoutPort53).filter(({ urls }) => urls.length > 0);
  // For an empty list a client would give up the servers that it has, which may be good for hours yet.
  if (servers.length === 0) throw new Error('an answer without a server that a browser can use');
  return servers;
}

/** Servers at the port of DNS never answer browsers, says Cloudflare, whose list is for other clients, too. */
function withoutPort53({ urls, ...credentials }: IceServer): IceServer {
  return { urls: [urls].flat().filter((url) => !/:53(?:\?|$)/.test(url)), ...credentials };
}

/**
 * coturn refuses a name with a blank, a quote or an umlaut in it (4.6.1). It is told apart by the rest, and by the
 * time.
 */
function nameOf(clientId: string): string {
  return clientId.replace(/[^\w.~-]/g, '_');
}

async function hmacSha1(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-1' };
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(mac)));
}
