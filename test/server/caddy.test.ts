/** Behind Caddy with TLS, as docs/self-host.md sets it up. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import wrtc from 'node-datachannel/polyfill';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { P2PCF } from '../../src/client/index.ts';
import { SignalingClient } from '../../src/client/signaling.ts';
import { type Caddy, startCaddy } from '../support/caddy.ts';
import { listen } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { expectAnyId, expectResetsNoticed } from '../support/proxied.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Workerd;
let caddy: Caddy;
let sockets: TrustingSocket[] = [];

class TrustingSocket extends WebSocket {
  constructor(address: string, subprotocols: string[]) {
    super(address, subprotocols, { ca: caddy.ca });
    sockets.push(this);
  }
}

beforeAll(async () => {
  server = await startWorkerd();
  caddy = await startCaddy(server.url);
});
afterAll(async () => {
  await caddy.stop();
  await server.stop();
});

test('two peers meet; a lost connection is back in its place, and all are back when the server was away', async () => {
  const room = newRoom();
  const options = { workerUrl: caddy.url, stunIceServers: [], wrtc, WebSocket: TrustingSocket };
  const alice = new P2PCF('Alice', room, options);
  const bob = new P2PCF('Bobby', room, options);
  const met = [alice, bob].map((each) => new Promise((resolve) => each.once('peerconnect', resolve)));
  await alice.start();
  await bob.start();
  await Promise.all(met);

  const here: string[] = [];
  const watcher = new SignalingClient({
    workerUrl: caddy.url,
    roomId: room,
    clientId: 'watcher',
    WebSocket: TrustingSocket,
  });
  watcher
    .on('join', ({ clientId }) => here.push(`+${clientId}`))
    .on('leave', ({ clientId }) => here.push(`-${clientId}`));
  sockets = [];
  const resumed: unknown[] = [];
  watcher.on('peers', (message) => resumed.push(message.resumed));
  await watcher.start();
  sockets[0]?.terminate();
  await expect.poll(() => resumed, WAIT).toEqual([false, true]);

  await server.restart();
  await expect.poll(() => resumed, WAIT).toEqual([false, true, false]);
  for (const each of [alice, bob]) await expect.poll(() => each.state, WAIT).toBe('open');
  expect([alice.connectedSessions, bob.connectedSessions]).toEqual([[bob.sessionId], [alice.sessionId]]);
  expect(here.filter((line) => line.startsWith('-'))).toEqual([]);
  for (const each of [alice, bob]) each.destroy();
  watcher.stop();
});

test('rooms and clients of any id meet, by Caddy or past it, each room by itself', async () => {
  await expectAnyId(caddy.url, server.url, TrustingSocket);
});

test('a poll is answered', async () => {
  const posting = ['poller', 'Poller', false, `${'A'.repeat(43)}=`, 1, []];
  const body = JSON.stringify({ r: newRoom(), k: 'a context', d: posting, t: Date.now(), x: 120_000, p: [] });
  const answer = await caddy.ask('/', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  expect(JSON.parse(answer)).toHaveProperty('ps');
});

test('the address of a client is what Caddy says, whatever the client says', async () => {
  const echo = createServer(({ headers }, response) =>
    response.end(JSON.stringify(headers['cf-connecting-ip'] ?? null)),
  );
  const port = await listen(echo);
  const inFront = await startCaddy(`http://127.0.0.1:${port}`);
  try {
    expect(JSON.parse(await inFront.ask('/', { headers: { 'CF-Connecting-IP': '192.0.2.1' } }))).toBe('127.0.0.1');
  } finally {
    await inFront.stop();
    echo.close();
  }
});

test('clients that reset their connections while they join are gone', () =>
  expectResetsNoticed(caddy.url, server.url, async (host, port) => {
    const socket = connect(port, host);
    const stream = connectTls({ socket, host, ca: caddy.ca });
    stream.on('error', () => undefined); // it is reset
    await once(stream, 'secureConnect');
    return { stream, socket };
  }));
