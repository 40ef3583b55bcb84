/** Behind nginx and under a prefix: what it makes of a path must not matter. */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SignalingClient } from '../../src/client/signaling.ts';
import { newRoom } from '../support/new-room.ts';
import { startNginx } from '../support/nginx.ts';
import { expectAnyId, expectResetsNoticed } from '../support/proxied.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let nginx: Pick<Server, 'url' | 'stop'>;
beforeAll(async () => {
  server = await startWorkerd();
  nginx = await startNginx(server);
});
afterAll(async () => {
  await nginx.stop();
  await server.stop();
});

test('rooms and clients of any id meet, by nginx or past it, each room by itself', async () => {
  await expectAnyId(nginx.url, server.url);
});

test('a join with the longest metadata and the longest token comes through', async () => {
  const options = { metadata: 'm'.repeat(2046), token: 't'.repeat(4096) };
  const client = new SignalingClient({ workerUrl: nginx.url, roomId: newRoom(), ...options });
  void client.start().catch(() => undefined); // its end, if it never comes in
  await expect.poll(() => client.state, WAIT).toBe('open');
  client.stop();
});

test('a bare client reaches what the library does, if its id comes through', async () => {
  for (const id of ['a b', 'ö', 'a#b', 'a?b']) {
    const alice = new SignalingClient({ workerUrl: nginx.url, roomId: id, clientId: 'alice' });
    await alice.start();
    const url = `${nginx.url.replace('http', 'ws')}/ws/room/${encodeURIComponent(id)}?clientId=${encodeURIComponent(id)}`;
    const bare = new WebSocket(url);
    const joined = new Promise((resolve) => alice.once('join', resolve));
    expect(await joined).toMatchObject({ clientId: id });
    bare.close();
    alice.stop();
  }
});

test('clients that reset their connections while they join are gone: workerd alone would never notice (2026-11)', () =>
  expectResetsNoticed(nginx.url, server.url, async (host, port) => {
    const socket = connect(port, host);
    return { stream: socket, socket };
  }));
