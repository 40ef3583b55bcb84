/** Behind nginx and under a prefix: what it makes of a path must not matter. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SignalingClient } from '../../src/client/signaling.ts';
import { startNginx } from '../support/nginx.ts';
import { type Server, startWorkerd } from '../support/server.ts';

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

test('rooms and clients of any id meet, by nginx or past it, each room by itself', async () => {
  const clients: SignalingClient[] = [];
  const enter = async (workerUrl: string, roomId: string, clientId: string): Promise<[SignalingClient, string[]]> => {
    const client = new SignalingClient({ workerUrl, roomId, clientId });
    clients.push(client);
    const here = new Promise<string[]>((resolve) => client.once('peers', ({ peers }) => resolve(peers)));
    await client.start();
    return [client, await here];
  };
  for (const id of IDS) {
    const [alice, alone] = await enter(nginx.url, id, id);
    const [bob, present] = await enter(server.url, id, `${id}!`);
    expect([id, alone, present]).toEqual([id, [], [id]]);
    await echo(alice, bob, `${id}!`);
    await echo(bob, alice, id);
  }
  for (const client of clients) client.stop();
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
