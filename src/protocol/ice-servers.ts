/** STUN and TURN servers that the server names to a client. */
import { isObject } from './json.ts';

/** As RTCIceServer has it. */
export interface IceServer {
  /** e.g. `turn:turn.example.com:3478?transport=udp` */
  urls: string | string[];
  username?: string;
  credential?: string;
}

/** What a client is given: an app's own lists go before it. */
export interface IceServers {
  iceServers: IceServer[];
  /** How long their credentials are good for, in seconds. Absent if they do not end. */
  iceServersSeconds?: number;
}

/** A name or an address, and a port: RFC 7064 and RFC 7065 have no more, but for how to get to a TURN server. */
const STUN_URL = /^stuns?:(?:\[[\da-f:.]+\]|[^\s:/?#@[\]<>"\\|^`{}%]+)(?::(\d{1,5}))?$/i;
const TURN_URL = /^turns?:(?:\[[\da-f:.]+\]|[^\s:/?#@[\]<>"\\|^`{}%]+)(?::(\d{1,5}))?(?:\?transport=(?:udp|tcp))?$/i;

/** Most addresses in all: a connection asks each, from each of its own. */
export const MAX_ICE_URLS = 32;

/** Longest username of a TURN server (RFC 8489). */
const MAX_USERNAME_LENGTH = 509;

/** Whether a browser would take them: one bad address, or TURN without credentials, and it takes none at all. */
export function isIceServers(value: unknown): value is IceServer[] {
  if (!Array.isArray(value) || !value.every(isIceServer)) return false;
  return value.flatMap(({ urls }: IceServer) => urls).length <= MAX_ICE_URLS;
}

function isIceServer(server: unknown): server is IceServer {
  if (!isObject(server)) return false;
  const { urls } = server;
  const list: unknown[] = Array.isArray(urls) ? urls : [urls];
  return list.length > 0 && list.every((url) => isStun(url) || (hasLogin(server) && isTurn(url)));
}

/** Whether it has what every TURN server wants: Chromium (156) takes nothing empty, and no longer name. */
export function hasLogin({ username, credential }: { username?: unknown; credential?: unknown }): boolean {
  return isText(username) && username.length <= MAX_USERNAME_LENGTH && isText(credential);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

export function isStun(url: unknown): url is string {
  return typeof url === 'string' && hasPort(STUN_URL.exec(url));
}

export function isTurn(url: unknown): url is string {
  // No browser takes the name of the parameter in capital letters.
  return typeof url === 'string' && !/\?(?!transport=)/.test(url) && hasPort(TURN_URL.exec(url));
}

function hasPort(address: RegExpExecArray | null): boolean {
  const port = Number(address?.[1] ?? 1);
  return address !== null && port >= 1 && port <= 65_535;
}
