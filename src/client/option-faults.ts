/** What is wrong with an option, as a sentence that names it, what was given, and what would do. */
import { hasLogin, isStun, isTurn } from '../protocol/ice-servers.ts';

/**
 * Throws Error for what no browser takes as servers for ICE: a browser says so only when a connection is made, which is
 * when we have joined. `option` names them.
 */
export function checkIceServers(option: string, servers: unknown): void {
  if (!Array.isArray(servers)) throw fault(option, servers, 'an array like [{ urls: "stun:host:3478" }]');
  for (const [n, server] of servers.entries()) {
    const { urls } = Object(server);
    const addresses: unknown[] = Array.isArray(urls) && urls.length > 0 ? urls : [urls];
    const isRelay = addresses.some((url) => /^turns?:/i.test(String(url)));
    for (const url of addresses) {
      if (!isStun(url) && !isTurn(url))
        throw fault(`${option}[${n}].urls`, url, 'like stun:host:3478 or turn:host:3478?transport=udp');
    }
    // The credential is a secret: not even to be shown to who has it.
    if (isRelay && !hasLogin(server))
      throw new Error(`${option}[${n}] is a TURN server: it must have username and credential, neither empty.`);
  }
}

export function fault(option: string, given: unknown, wanted: string): Error {
  // An object may have credentials in it.
  const shown =
    given && typeof given === 'object'
      ? 'an object'
      : typeof given === 'string'
        ? JSON.stringify(given)
        : typeof given === 'function'
          ? 'a function'
          : String(given);
  return new Error(`${option} is ${shown}: it must be ${wanted}.`);
}
