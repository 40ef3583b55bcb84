/**
 * A proxy that adds a delay, each way, to every WebSocket message and every HTTP request: a distance, without its
 * noise.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../../test/support/listen.ts';
import type { SignalingServer } from './servers.ts';

/** `upgradeMs` is the delay of an upgrade request, and of its answer. */
export async function startDelay(upstreamUrl: string, delayMs: number, upgradeMs: number): Promise<SignalingServer> {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const http = createServer((incoming, response) => void passRequest(incoming, response));
  http.on('upgrade', (incoming, stream, head) => void passUpgrade(incoming, stream, head));
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

  async function passUpgrade(incoming: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    await sleep(upgradeMs);
    const { origin = '', 'sec-websocket-protocol': protocols = '' } = incoming.headers;
    const upstream = new WebSocket(`${upstreamUrl}${incoming.url}`, protocols.split(/, */).filter(Boolean), {
      origin,
      perMessageDeflate: false,
    });
    upstream.once('error', () => stream.destroy());
    upstream.once('open', async () => {
      // What the server sends with its answer arrives with it, or `delayMs` after it was sent: whichever is later.
      const early: Message[] = [];
      const keep = (data: Buffer, isBinary: boolean): void =>
        void early.push({ data, isBinary, at: performance.now() });
      upstream.on('message', keep);
      await sleep(upgradeMs);
      sockets.handleUpgrade(incoming, stream, head, (client) => {
        upstream.off('message', keep);
        for (const message of early) deliver(message, client);
        forward(client, upstream);
        forward(upstream, client);
      });
    });
  }

  /** Timers of one length fire in the order they were set, so messages keep theirs. */
  function forward(from: WebSocket, to: WebSocket): void {
    from.on('message', (data: Buffer, isBinary) => deliver({ data, isBinary, at: performance.now() }, to));
    // 1005 and 1006 mean that there was no code, and cannot be sent.
    from.on('close', (code, reason) => {
      setTimeout(() => (code === 1005 || code === 1006 ? to.close() : to.close(code, reason)), delayMs);
    });
    from.on('error', () => to.terminate());
  }

  function deliver({ data, isBinary, at }: Message, to: WebSocket): void {
    const restMs = Math.max(0, Math.ceil(at + delayMs - performance.now())); // whole, so that those in a row have the same
    setTimeout(() => to.readyState === WebSocket.OPEN && to.send(data, { binary: isBinary }), restMs);
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

interface Message {
  data: Buffer;
  isBinary: boolean;
  /** When it reached the proxy. */
  at: number;
}
