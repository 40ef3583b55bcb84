/** A proxy that adds a delay, each way, to every WebSocket message and every HTTP request: a distance, without its noise. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../../test/support/listen.ts';
import type { SignalingServer } from './servers.ts';

export async function startDelay(upstreamUrl: string, delayMs: number): Promise<SignalingServer> {
  // Opening a connection is not delayed: that takes as many round trips for one stack as for another.
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const http = createServer((incoming, response) => void passRequest(incoming, response));
  http.on('upgrade', passUpgrade);
  const port = await listen(http);
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };

  function passUpgrade(incoming: IncomingMessage, stream: Duplex, head: Buffer): void {
    const protocols = incoming.headers['sec-websocket-protocol']?.split(/, */) ?? [];
    const upstream = new WebSocket(`${upstreamUrl}${incoming.url}`, protocols, { perMessageDeflate: false });
    upstream.once('error', () => stream.destroy());
    upstream.once('open', () => {
      sockets.handleUpgrade(incoming, stream, head, (client) => {
        // Only now, but nothing is lost: the callback runs before the next frame is read.
        forward(client, upstream);
        forward(upstream, client);
      });
    });
  }

  /** Timers of one length fire in the order they were set, so messages keep theirs. */
  function forward(from: WebSocket, to: WebSocket): void {
    from.on('message', (data: Buffer, isBinary) => {
      setTimeout(() => to.readyState === WebSocket.OPEN && to.send(data, { binary: isBinary }), delayMs);
    });
    // 1005 and 1006 mean that there was no code, and cannot be sent.
    from.on('close', (code, reason) => {
      setTimeout(() => (code === 1005 || code === 1006 ? to.close() : to.close(code, reason)), delayMs);
    });
    from.on('error', () => to.terminate());
  }

  async function passRequest(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    await sleep(delayMs);
    const upstream = request(`${upstreamUrl}${incoming.url}`, { method: incoming.method, headers: incoming.headers });
    upstream.on('error', () => response.destroy());
    upstream.on('response', async (answer) => {
      await sleep(delayMs);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(upstream);
  }
}
