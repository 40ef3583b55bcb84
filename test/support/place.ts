import { type ClientOptions, WebSocket } from 'ws';
import type { Place } from './client.ts';
import type { Server } from './server.ts';

const OPTIONS: ClientOptions & { closeTimeout: number } = {
  perMessageDeflate: false,
  // After the closing handshake a client waits for the server to end TCP. Where one socket's event made the room close
  // another, workerd does that only when the room goes idle, ten seconds later (2026-11). Not yet in @types/ws.
  closeTimeout: 500,
};

/** A server process, over real TCP. Its WebSockets are asked for with these headers. */
export function placeOf(server: Server, headers: Record<string, string> = {}): Place {
  return {
    fetch: (path, init) => fetch(server.url + path, init),
    async open(path, listen, subprotocols) {
      return (await openSocket(server, path, listen, subprotocols, headers)).protocol;
    },
  };
}

/** An open WebSocket of the `ws` package: unlike a browser's it can be made to misbehave. */
export async function openSocket(
  server: Server,
  path: string,
  listen: (socket: WebSocket) => void,
  subprotocols: string[] = [],
  headers: Record<string, string> = {},
): Promise<WebSocket> {
  const socket = new WebSocket(server.url.replace(/^http/, 'ws') + path, subprotocols, { ...OPTIONS, headers });
  listen(socket);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}
