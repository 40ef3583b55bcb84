/** A TCP proxy between clients and a server, and what can go wrong between the two. */
import { connect, createServer, type Socket } from 'node:net';
import { listen } from './listen.ts';

/** One connection through the proxy: the client's side and the server's. */
interface Line {
  client: Socket;
  server: Socket;
}

export interface FaultyProxy {
  /** The server's address, with the proxy's port. */
  url: string;
  /** How many connections there are. */
  readonly connections: number;
  /** Ends every connection, as a server that shuts down does. */
  drop(): void;
  /** Ends every connection with RST. */
  reset(): void;
  /** Holds back everything for a while; then it all arrives. */
  stall(ms: number): void;
  /** From now on everything arrives this much later, each way. */
  delay(ms: number): void;
  /** From now on nothing arrives on the connections there are, and nobody is told. New ones are in order. */
  halfOpen(): void;
  /** Whether new connections are closed at once, as if there were no network. */
  refuse(refuses: boolean): void;
  stop(): Promise<void>;
}

export async function startFaultyProxy(serverUrl: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(serverUrl);
  const lines = new Set<Line>();
  let delayMs = 0;
  let refuses = false;

  /**
   * In order, as a timer that was set earlier, for no later, fires first. The end of a connection comes after what was
   * sent on it, as with TCP: else a goodbye that is on its way would be lost with the connection.
   */
  function forward(from: Socket, to: Socket): void {
    let due = 0;
    const inTurn = (work: () => void): void => {
      due = Math.max(due, Date.now() + delayMs);
      if (due <= Date.now()) work();
      else setTimeout(work, due - Date.now());
    };
    from.on('data', (bytes) => inTurn(() => to.writable && to.write(bytes)));
    from.on('close', () => inTurn(() => to.destroySoon()));
  }

  const proxy = createServer((client) => {
    if (refuses) {
      client.destroy();
      return;
    }
    const server = connect(Number(port), hostname);
    const line = { client, server };
    lines.add(line);
    forward(client, server);
    forward(server, client);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // close follows
      socket.on('close', () => lines.delete(line));
    }
  });
  const proxyPort = await listen(proxy);

  const each = (fault: (socket: Socket) => void): void => {
    for (const { client, server } of [...lines]) {
      fault(client);
      fault(server);
    }
  };
  return {
    url: `http://127.0.0.1:${proxyPort}`,
    get connections() {
      return lines.size;
    },
    drop: () => each((socket) => socket.destroy()),
    reset: () => each((socket) => socket.resetAndDestroy()),
    stall(ms) {
      each((socket) => socket.pause());
      const stalled = [...lines];
      setTimeout(() => {
        for (const { client, server } of stalled) for (const socket of [client, server]) socket.resume();
      }, ms);
    },
    delay(ms) {
      delayMs = ms;
    },
    halfOpen() {
      each((socket) => {
        socket.removeAllListeners('data');
        socket.removeAllListeners('close');
        socket.pause();
      });
    },
    refuse(now) {
      refuses = now;
    },
    async stop() {
      each((socket) => socket.destroy());
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
