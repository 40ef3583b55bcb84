/** Rooms over two processes behind nginx with TLS, as docs/self-host.md sets it up. */
import { request } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { SignalingClient } from '../../src/client/signaling.ts';
import { newRoom } from '../support/new-room.ts';
import { startTlsNginx, type TlsNginx } from '../support/nginx.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let servers: [Workerd, Workerd];
let nginx: TlsNginx;
let url: string;
let ca: Buffer;
const clients: SignalingClient[] = [];

class TrustingSocket extends WebSocket {
  constructor(address: string, subprotocols: string[]) {
    super(address, subprotocols, { ca });
  }
}

beforeAll(async () => {
  servers = await Promise.all([startWorkerd(), startWorkerd()]);
  nginx = await startTlsNginx(...servers);
  ({ url, ca } = nginx);
});
afterAll(async () => {
  for (const client of clients) client.stop();
  await nginx.stop();
  for (const server of servers) await server.stop();
});

async function enter(roomId: string, clientId: string): Promise<SignalingClient> {
  const client = new SignalingClient({ workerUrl: url, roomId, clientId, WebSocket: TrustingSocket });
  clients.push(client);
  await client.start();
  return client;
}

/** Who is in the room on that process, asked past nginx. */
async function present({ url: workerUrl }: Workerd, roomId: string): Promise<string[]> {
  const probe = new SignalingClient({ workerUrl, roomId, clientId: 'probe' });
  const here = new Promise<string[]>((resolve) => probe.once('peers', ({ peers }) => resolve(peers.toSorted())));
  await probe.start();
  probe.stop();
  return await here;
}

/** Resolves when what one says is heard by the other. */
async function speak(from: SignalingClient, to: SignalingClient, word: string): Promise<void> {
  const heard: unknown[] = [];
  to.on('broadcast', (_fromId, data) => heard.push(data));
  await expect
    .poll(() => {
      from.broadcast(word); // the other may be on its way back
      return heard;
    }, WAIT)
    .toContain(word);
}

test('each room is on one process; that is killed, and its clients are on the other; reloaded, they are back', async () => {
  // Names with characters that are written in the other form, too.
  const rooms = await Promise.all(
    Array.from({ length: 12 }, async (_, n) => {
      const roomId = n % 3 === 0 ? `a/${newRoom()}` : newRoom();
      return { roomId, alice: await enter(roomId, 'alice'), bob: await enter(roomId, 'bob') };
    }),
  );
  const [first, second] = servers;
  const onFirst: typeof rooms = [];
  for (const room of rooms) {
    const who = await Promise.all(servers.map((server) => present(server, room.roomId)));
    expect(who).toContainEqual(['alice', 'bob']);
    expect(who).toContainEqual([]);
    if (who[0]?.length === 2) onFirst.push(room);
  }
  expect(onFirst.length).toBeGreaterThan(0);
  expect(onFirst.length).toBeLessThan(rooms.length);

  process.kill(first.pid, 'SIGKILL');
  for (const { roomId, alice, bob } of onFirst) {
    await expect.poll(() => present(second, roomId), WAIT).toEqual(['alice', 'bob']);
    await speak(alice, bob, 'on the other');
  }

  await first.restart();
  for (const { roomId, bob } of onFirst) await speak(await enter(roomId, 'carol'), bob, 'a newcomer');

  nginx.reload();
  for (const { roomId, alice, bob } of onFirst) {
    await expect.poll(() => present(first, roomId), WAIT).toEqual(['alice', 'bob', 'carol']);
    await speak(alice, bob, 'together again');
  }
});

/** The status of an answer. */
function ask(method: string, path: string, headers: Record<string, string>, body = ''): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const length = { 'Content-Length': String(body.length) };
    const asking = request(url + path, { method, ca, agent: false, headers: { ...headers, ...length } }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    });
    asking.on('error', reject).end(body);
  });
}

test('nothing that a stranger sends makes nginx give a process up, which it would for a day', async () => {
  const preflight = { Origin: 'https://a.example', 'Access-Control-Request-Method': 'POST' };
  const long = { ...preflight, 'Access-Control-Request-Headers': 'x'.repeat(7_000) };
  for (let n = 0; n < 2; n++) expect(await ask('OPTIONS', '/', long)).toBe(400);
  for (const [length, hasRoom] of [
    [64 * 1024, true],
    [1_000_000, false],
  ] as const) {
    const body = 'x'.repeat(length);
    // Some of them are answered before the body has come, and that it is reset then is a matter of luck.
    for (let n = 0; n < 20; n++) {
      expect(await ask('POST', '/', { 'Content-Type': 'text/plain' }, body)).toBe(hasRoom ? 400 : 413);
      expect(await ask('POST', '/health', {}, body)).toBe(hasRoom ? 405 : 413);
      expect(await ask('GET', `/ws/room/${n}`, {}, body)).toBe(hasRoom ? 426 : 413);
      expect(await ask('PUT', '/nothing', {}, body)).toBe(hasRoom ? 404 : 413);
    }
  }
});
