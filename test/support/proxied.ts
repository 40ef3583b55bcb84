/** What has to work behind any proxy. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { SignalingClient, type WebSocketClass } from '../../src/client/signaling.ts';
import { WAIT } from './wait.ts';

/** Ids of rooms and clients that a proxy may make something else of. */
const IDS = [
  ...[
    'lobby',
    'a.b',
    '.',
    '..',
    '...',
    './a',
    '../a',
    'a/../b',
    '/',
    '//',
    'a/b',
    'a//b',
    '/a',
    'a/',
    'a%2Fb',
    '%',
    '%25',
  ],
  ...[
    'a?b',
    'a#b',
    'a;b',
    'a\\b',
    'a b',
    'a+b',
    'a&b=c',
    "a'b",
    'a"b',
    'a<b>',
    'a^b`{|}',
    '~',
    'ö',
    '名前',
    '😀',
    'u\u0308',
  ],
];

/** Resolves when `from` has sent `to` a signal and has heard it back. */
async function echo(from: SignalingClient, to: SignalingClient, targetId: string): Promise<void> {
  to.once('signal', (fromId, signal) => to.send(fromId, signal));
  const heard = new Promise((resolve) => from.once('signal', (...heard) => resolve(heard)));
  from.send(targetId, 'echo');
  expect(await heard).toEqual([targetId, 'echo']);
}

/** Clients meet in rooms of any name, by the proxy and past it, each room by itself. */
export async function expectAnyId(proxyUrl: string, serverUrl: string, WebSocket?: WebSocketClass): Promise<void> {
  const clients: SignalingClient[] = [];
  const enter = async (workerUrl: string, roomId: string, clientId: string): Promise<[SignalingClient, string[]]> => {
    const client = new SignalingClient({ workerUrl, roomId, clientId, ...(WebSocket && { WebSocket }) });
    clients.push(client);
    const here = new Promise<string[]>((resolve) => client.once('peers', ({ peers }) => resolve(peers)));
    await client.start();
    return [client, await here];
  };
  for (const id of IDS) {
    const [alice, alone] = await enter(proxyUrl, id, id);
    const [bob, present] = await enter(serverUrl, id, `${id}!`);
    expect([id, alone, present]).toEqual([id, [], [id]]);
    await echo(alice, bob, `${id}!`);
    await echo(bob, alice, id);
  }
  for (const client of clients) client.stop();
}

/**
 * Clients that reset their connections while they join are gone. `open` opens a connection to the proxy: what is
 * written to, and the socket below it.
 */
export async function expectResetsNoticed(
  proxyUrl: string,
  serverUrl: string,
  open: (hostname: string, port: number) => Promise<{ stream: Duplex; socket: Socket }>,
): Promise<void> {
  const alice = new SignalingClient({ workerUrl: serverUrl, roomId: 'resets', clientId: 'alice' });
  const here = new Set<string>();
  let joins = 0;
  alice.on('join', ({ clientId }) => {
    joins++;
    here.add(clientId);
  });
  alice.on('leave', ({ clientId }) => here.delete(clientId));
  await alice.start();
  const { hostname, port, pathname } = new URL(proxyUrl);
  for (let n = 0; n < 40; n++) {
    const { stream, socket } = await open(hostname, Number(port));
    const path = `${pathname.replace(/\/$/, '')}/ws/room/resets?clientId=mallory${n}`;
    const headers = `Host: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket`;
    const ofWebSocket = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13';
    stream.write(`GET ${path} HTTP/1.1\r\n${headers}\r\n${ofWebSocket}\r\n\r\n`);
    await delay(n % 8); // sooner or later within the join
    socket.resetAndDestroy();
  }
  await expect.poll(() => joins, WAIT).toBeGreaterThan(5);
  await expect.poll(() => here.size, WAIT).toBe(0);
  alice.stop();
}
