/**
 * What whoever runs a server could do: it sees every message between clients and server, and says what becomes of it.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from './listen.ts';

/** A client of the server. */
export interface Victim {
  /** Under which it joined. */
  id: string;
  /** Says something to it, as if the server had. */
  tell(message: object): void;
}

/** A message on its way, and whether it comes from the client or goes to it. */
export interface Passing {
  message: { type: string; [field: string]: unknown };
  from: 'client' | 'server';
  victim: Victim;
}

export interface Middleman {
  /** The server's address, with its own port. */
  url: string;
  /** All that it has seen: addresses, headers, messages. */
  seen: string[];
  /** All that are connected, by when they came. */
  victims: Victim[];
  /** From now on this decides: it returns what goes on in the message's place. Undefined: everything goes on. */
  meddle: ((passing: Passing) => object[]) | undefined;
  /** Breaks all connections. */
  drop(): void;
  stop(): Promise<void>;
}

export async function startMiddleman(serverUrl: string): Promise<Middleman> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => 'p2pcf-ws' });
  const middleman: Middleman = {
    url: `http://127.0.0.1:${await listen(http)}`,
    seen: [],
    victims: [],
    meddle: undefined,
    drop() {
      for (const client of sockets.clients) client.terminate();
    },
    async stop() {
      middleman.drop();
      sockets.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  sockets.on('connection', async (client, request) => {
    const { url = '', headers } = request;
    const offered = headers['sec-websocket-protocol']?.split(',').map((each) => each.trim()) ?? [];
    middleman.seen.push(url, ...offered, ...offered.map((each) => each.split('.').at(-1) ?? '').map(decoded));
    const server = new WebSocket(serverUrl.replace(/^http/, 'ws') + url, offered);
    const victim: Victim = {
      id: new URL(url, serverUrl).searchParams.get('clientId') ?? '',
      tell: (message) => client.send(JSON.stringify(message)),
    };
    const pass = (from: Passing['from'], to: WebSocket, text: string): void => {
      middleman.seen.push(text);
      const { meddle } = middleman;
      if (!text.startsWith('{') || !meddle) to.send(text);
      else for (const each of meddle({ message: JSON.parse(text), from, victim })) to.send(JSON.stringify(each));
    };
    const opened = once(server, 'open').catch(() => undefined); // the client may go before that
    let sending: Promise<unknown> = opened;
    client.on('message', (frame) => {
      sending = sending.then(() => pass('client', server, String(frame)));
    });
    server.on('message', (frame) => pass('server', client, String(frame)));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined); // close follows
      one.on('close', (code) => (code >= 3000 || code === 1000 ? other.close(code) : other.terminate()));
    }
    client.on('close', () => middleman.victims.splice(middleman.victims.indexOf(victim), 1));
    middleman.victims.push(victim);
    await opened;
  });
  return middleman;
}

function decoded(base64url: string): string {
  return Buffer.from(base64url, 'base64url').toString();
}
