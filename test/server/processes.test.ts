/** Rooms over two processes behind nginx with TLS, as docs/self-host.md sets it up. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { SignalingClient } from '../../src/client/signaling.ts';
import { freePort } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { type Nginx, nginxBlock, runNginx } from '../support/nginx.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'p2pcf-ws-'));
const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
let servers: [Workerd, Workerd];
let nginx: Nginx;
let url: string;
let ca: Buffer;
const clients: SignalingClient[] = [];

class TrustingSocket extends WebSocket {
  constructor(address: string, subprotocols: string[]) {
    super(address, subprotocols, { ca });
  }
}

const isUp = (): Promise<boolean> =>
  new Promise((resolve) => {
    get(`${url}/health`, { ca, agent: false }, ({ statusCode }) => resolve(statusCode === 200)).on('error', () =>
      resolve(false),
    );
  });

beforeAll(async () => {
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync('openssl', ['req', '-x509', '-nodes', ...ec, ...files, ...subject], { stdio: 'pipe' });
  ca = readFileSync(certificate);
  servers = await Promise.all([startWorkerd(), startWorkerd()]);
  const port = await freePort();
  url = `https://127.0.0.1:${port}`;
  const block = (await nginxBlock('docs/self-host.md'))
    .replace('127.0.0.1:8787', servers[0].url.slice('http://'.length))
    .replace('127.0.0.1:8788', servers[1].url.slice('http://'.length))
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('/etc/ssl/signaling.example.com.pem', certificate)
    .replace('/etc/ssl/signaling.example.com.key', key);
  nginx = await runNginx(block, isUp);
});
afterAll(async () => {
  for (const client of clients) client.stop();
  await nginx.stop();
  for (const server of servers) await server.stop();
  rmSync(folder, { recursive: true });
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
