/**
 * `npm run bench:recovery`: how long a client is without its room when its socket dies, and what that costs. Beside it,
 * by turns, a client of the first protocol that connects again the moment it hears of the loss. README.md says more.
 */
import { parseArgs } from 'node:util';
import { SignalingClient } from '../src/client/signaling.ts';
import { startFaultyProxy } from '../test/support/faults.ts';
import { startWorkerd } from '../test/support/server.ts';
import { median } from './statistics.ts';

const { rounds } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } }).values;

/** The server finds out about a half-open connection by itself much later: here the client has to. */
const FAULTS = ['drop', 'reset', 'halfOpen'] as const;
const PING_EVERY_MS = 1000;

interface Sample {
  ms: number;
  /** `peer_leave` and `peer_join` that the other one in the room got to hear. */
  news: number;
  requests: number;
  rowsWritten: number;
}

const server = await startWorkerd({ main: 'test/support/metered.ts' });
const proxy = await startFaultyProxy(server.url);
try {
  const table = [
    ['what happens', 'client', 'back after, ms', 'news to the other', 'requests', 'rows written'],
    ['---', '---', '---:', '---:', '---:', '---:'],
  ];
  for (const fault of FAULTS) {
    const ours: Sample[] = [];
    const bare: Sample[] = [];
    for (let round = 0; round < Number(rounds); round++) {
      ours.push(await measure(`${fault} ${round}`, fault, startOurs));
      // A client that never pings does not notice a half-open connection at all.
      if (fault !== 'halfOpen') bare.push(await measure(`${fault} ${round}, bare`, fault, startBare));
    }
    table.push([fault, 'P2PCF-WS', ...columns(ours)]);
    if (bare.length > 0) table.push([fault, 'bare', ...columns(bare)]);
  }
  console.log(table.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
} finally {
  await proxy.stop();
  await server.stop();
}

/** A client in a room: `whole` is called whenever the room has answered it. */
type Start = (room: string, whole: () => void) => Promise<() => void>;

async function startOurs(roomId: string, whole: () => void): Promise<() => void> {
  const client = new SignalingClient({ workerUrl: proxy.url, roomId, clientId: 'alice', pingEveryMs: PING_EVERY_MS });
  client.on('peers', whole);
  await client.start();
  return () => client.stop();
}

async function startBare(roomId: string, whole: () => void): Promise<() => void> {
  let isStopped = false;
  let socket: WebSocket;
  const connect = (): Promise<void> =>
    new Promise((resolve) => {
      socket = new WebSocket(`${proxy.url.replace('http', 'ws')}/ws/room/${encodeURIComponent(roomId)}?clientId=alice`);
      socket.onmessage = ({ data }) => {
        if (!String(data).startsWith('{"type":"peers"')) return;
        resolve();
        whole();
      };
      socket.onclose = () => {
        if (!isStopped) void connect();
      };
    });
  await connect();
  return () => {
    isStopped = true;
    socket.close();
  };
}

async function measure(room: string, fault: (typeof FAULTS)[number], start: Start): Promise<Sample> {
  let news = 0;
  const witness = new SignalingClient({ workerUrl: server.url, roomId: room, clientId: 'witness' });
  witness.on('join', () => news++).on('leave', () => news++);
  await witness.start();
  let whole = (): void => undefined;
  const stop = await start(room, () => whole());
  const before = await bill();
  const newsBefore = news;
  const again = new Promise<void>((resolve) => {
    whole = resolve;
  });
  const diedAt = performance.now();
  proxy[fault]();
  await again;
  const ms = performance.now() - diedAt;
  const after = await bill();
  const sample = {
    ms,
    news: news - newsBefore,
    requests: after.workerRequests + after.roomRequests - before.workerRequests - before.roomRequests,
    rowsWritten: after.rowsWritten - before.rowsWritten,
  };
  stop();
  witness.stop();
  return sample;
}

async function bill(): Promise<{ workerRequests: number; roomRequests: number; rowsWritten: number }> {
  return Object(await (await fetch(`${server.url}/bill`)).json());
}

function columns(samples: Sample[]): string[] {
  const ms = samples.map(({ ms }) => ms);
  return [
    `${median(ms).toFixed(0)} (${Math.min(...ms).toFixed(0)}-${Math.max(...ms).toFixed(0)})`,
    ...(['news', 'requests', 'rowsWritten'] as const).map((what) => String(median(samples.map((one) => one[what])))),
  ];
}
