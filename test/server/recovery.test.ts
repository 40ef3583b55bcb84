/** Signaling clients on a bad network, and under a server that dies. */
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SignalingClient, type SignalingOptions } from '../../src/client/signaling.ts';
import type { Peers } from '../../src/protocol/messages.ts';
import { Client } from '../support/client.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faults.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Workerd;
let proxy: FaultyProxy;
beforeAll(async () => {
  server = await startWorkerd();
  proxy = await startFaultyProxy(server.url);
});
afterAll(async () => {
  await proxy.stop();
  await server.stop();
});
let clients: SignalingClient[] = [];
afterEach(() => {
  for (const client of clients) client.stop();
  clients = [];
});

const tokens = new WeakMap<SignalingClient, string>();
const token = (client: SignalingClient): string => tokens.get(client) ?? '';

/** A client that goes by way of the proxy, started, and what it has heard. */
async function enter(roomId: string, options: Partial<SignalingOptions> = {}): Promise<[SignalingClient, unknown[]]> {
  const client = new SignalingClient({ workerUrl: proxy.url, roomId, clientId: 'alice', ...options });
  clients.push(client);
  const log: unknown[] = [];
  client
    .on('state', (state) => log.push(state))
    .on('peers', ({ peers, resumed, resumeToken }) => {
      log.push({ peers, resumed });
      tokens.set(client, resumeToken ?? '');
    })
    .on('signal', (from, signal) => signal === KNOWN || log.push({ from, signal }));
  await client.start();
  await known(client);
  return [client, log];
}

const KNOWN = 'the room knows that we have heard it';

/** Waits until the room has heard of the client after its join: from then on it holds its place. */
async function known(client: SignalingClient): Promise<void> {
  const heard = new Promise((resolve) => client.once('signal', resolve));
  client.send(client.clientId ?? '', KNOWN);
  await heard;
}

describe.each(['drop', 'reset', 'halfOpen'] as const)('after a %s', (fault) => {
  test('a client is back in its place, the others heard nothing, and what it sent meanwhile arrives in order', async () => {
    const room = newRoom();
    const bob = await Client.join(placeOf(server), room, 'bob');
    const [alice, log] = await enter(room, { pingEveryMs: 1000 });
    expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
    proxy.refuse(true);
    proxy[fault]();
    await expect.poll(() => alice.state, WAIT).toBe('reconnecting');
    for (let n = 0; n < 502; n++) alice.send('bob', n);
    proxy.refuse(false);
    await expect.poll(() => log.at(-1), WAIT).toEqual({ peers: ['bob'], resumed: true });
    expect(log).toEqual([
      'connecting',
      'open',
      { peers: ['bob'], resumed: false },
      'reconnecting',
      'open',
      { peers: ['bob'], resumed: true },
    ]);
    alice.send('bob', 'the end');
    // The newest 500: the oldest went when there were more.
    for (let n = 2; n < 502; n++)
      expect(await bob.next()).toMatchObject({ type: 'signal', fromId: 'alice', signal: n });
    expect(await bob.next()).toMatchObject({ type: 'signal', signal: 'the end' });
  });
});

test('credentials that were to be renewed while the server was away take no place of what waits, and no answer', async () => {
  const room = newRoom();
  const bob = await Client.join(placeOf(server), room, 'bob');
  const [alice] = await enter(room);
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
  const errors: unknown[] = [];
  alice.on('error', (error) => errors.push(error));
  proxy.refuse(true);
  proxy.drop();
  await expect.poll(() => alice.state, WAIT).toBe('reconnecting');
  alice.send('bob', 'said meanwhile');
  for (let hours = 0; hours < 500; hours++) alice.renewIceServers();
  proxy.refuse(false);
  expect(await bob.next()).toMatchObject({ type: 'signal', signal: 'said meanwhile' });
  await known(alice);
  expect(errors).toEqual([]);
});

test('a client whose join was answered into a dead connection comes back as itself', async () => {
  const room = newRoom();
  const bob = await Client.join(placeOf(server), room, 'bob');
  proxy.delay(300);
  const entering = enter(room, { pingEveryMs: 1000 });
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
  proxy.halfOpen();
  proxy.delay(0);
  const [alice, log] = await entering;
  expect(log.at(-1)).toEqual({ peers: ['bob'], resumed: true });
  alice.send('bob', 'here');
  expect(await bob.next()).toMatchObject({ type: 'signal', signal: 'here' });
});

test('a client that pings each second gets in, and stays, by a network whose round trips take longer than that allows', async () => {
  const far = await startFaultyProxy(server.url);
  onTestFinished(() => far.stop());
  far.delay(300);
  const client = new SignalingClient({ workerUrl: far.url, roomId: newRoom(), clientId: 'alice', pingEveryMs: 1000 });
  clients.push(client);
  const log: string[] = [];
  client.on('state', (state) => log.push(state));
  await client.start();
  for (let n = 0; n < 5; n++) await known(client);
  expect(log).toEqual(['connecting', 'open']);
});

test('a client that goes while its socket opens leaves no ghost; a client that stays is in again', async () => {
  const slow = await startWorkerd({ vars: { RESUME_GRACE_SECONDS: 3600 } });
  const way = await startFaultyProxy(slow.url);
  try {
    const room = newRoom();
    const bob = await Client.join(placeOf(slow), room, 'bob');
    way.delay(100);
    for (const [reason, go] of [
      ['left', (client: SignalingClient) => client.stop()],
      ['timeout', () => way.drop()],
    ] as const) {
      const alice = new SignalingClient({ workerUrl: way.url, roomId: room, clientId: 'alice' });
      clients.push(alice);
      alice.start().catch(() => undefined); // it is stopped
      expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
      go(alice);
      expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice', reason });
    }
    expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
  } finally {
    await way.stop();
    await slow.stop();
  }
});

test('a client that is alone and has nothing to say keeps its place', async () => {
  let pongs = 0;
  class Counted extends WebSocket {
    constructor(url: string, subprotocols: string[]) {
      super(url, subprotocols);
      this.addEventListener('message', ({ data }) => data === 'pong' && pongs++);
    }
  }
  const options = { workerUrl: proxy.url, roomId: newRoom(), clientId: 'alice', WebSocket: Counted };
  const client = new SignalingClient(options);
  clients.push(client);
  await client.start();
  await expect.poll(() => pongs, WAIT).toBe(1);
  proxy.drop();
  expect(await new Promise((resolve) => client.once('peers', resolve))).toMatchObject({ resumed: true });
});

test('a connection that the client had given up and that arrives late does not end it', async () => {
  const room = newRoom();
  const bob = await Client.join(placeOf(server), room, 'bob');
  const [alice, log] = await enter(room);
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
  const back = new Promise<Peers>((resolve) => alice.once('peers', resolve));
  const late = await Client.connect(placeOf(server), room, 'alice', { resume: token(alice) });
  expect(await back).toMatchObject({ resumed: true, peers: ['bob'] });
  expect(await late.closed).toMatchObject({ code: 4010 });
  expect(log).not.toContain('closed');
  alice.send('bob', 'still me');
  expect(await bob.next()).toMatchObject({ type: 'signal', signal: 'still me' });
});

test('an id the server has made up is kept', async () => {
  const client = new SignalingClient({ workerUrl: proxy.url, roomId: newRoom() });
  clients.push(client);
  await client.start();
  await known(client);
  const { clientId } = client;
  proxy.drop();
  const again = await new Promise((resolve) => client.once('peers', resolve));
  expect(again).toMatchObject({ yourId: clientId, resumed: true });
});

test('an id that is held for another is waited for, a taken id is not', async () => {
  const hasty = await startWorkerd({ vars: { RESUME_GRACE_SECONDS: 2 } });
  try {
    const [alice] = await Client.settle(placeOf(hasty), 'room', 'alice');
    const options = { workerUrl: hasty.url, roomId: 'room', clientId: 'alice' };
    const tooEarly = new SignalingClient(options);
    await expect(tooEarly.start()).rejects.toThrow('The room refused: Id is taken (4009).');
    const log: string[] = [];
    const patient = new SignalingClient(options).on('state', (state) => log.push(state));
    clients.push(patient);
    await alice.sendFrame('ping'); // a sign of life
    expect(await alice.next()).toBe('pong');
    await alice.close(4010);
    const watch = await Client.connect(placeOf(hasty), 'room', 'alice');
    expect(await watch.closed).toMatchObject({ code: 4009, reason: expect.stringMatching(/^Id is held for [12] s$/) });
    await patient.start();
    expect(log).toEqual(['connecting', 'open']);
  } finally {
    await hasty.stop();
  }
});

test('200 clients of 20 rooms come back from each of six crashes, and nobody is said to have left', async () => {
  const roomIds = Array.from({ length: 20 }, (_, n) => `room ${n}`);
  const leaves: unknown[] = [];
  const members = roomIds.flatMap((roomId) =>
    Array.from({ length: 10 }, (_, n) => {
      const client = new SignalingClient({ workerUrl: server.url, roomId, clientId: `member ${n}` });
      return client.on('leave', (message) => leaves.push(message));
    }),
  );
  clients = members;
  await Promise.all(members.map((member) => member.start()));
  for (let crash = 1; crash <= 6; crash++) {
    await Promise.all([
      server.restart(),
      expect.poll(() => members.every(({ state }) => state !== 'open'), WAIT).toBe(true),
    ]);
    await expect.poll(() => members.filter(({ state }) => state === 'open').length, WAIT).toBe(members.length);
  }
  expect(leaves).toEqual([]);
  for (const roomId of roomIds) {
    const witness = await Client.connect(placeOf(server), roomId, 'witness');
    const { peers } = Object(await witness.next());
    expect(peers.sort()).toEqual(Array.from({ length: 10 }, (_, n) => `member ${n}`));
  }
});

test('members come back to a room that strangers have filled meanwhile, as soon as there is a place', async () => {
  const small = await startWorkerd({ vars: { MAX_PEERS_PER_ROOM: 2 } });
  onTestFinished(() => small.stop());
  const path = await startFaultyProxy(small.url);
  onTestFinished(() => path.stop());
  const room = newRoom();
  const owners = ['alice', 'bob'].map((clientId) => {
    const client = new SignalingClient({ workerUrl: path.url, roomId: room, clientId });
    clients.push(client);
    const log: unknown[] = [];
    client.on('state', (state, reason) => log.push(reason ?? state)).on('refused', (close) => log.push(close));
    return { client, log };
  });
  for (const { client } of owners) await client.start();
  path.refuse(true);
  path.drop();
  await small.restart(); // a room of which nothing is stored
  const strangers = await Promise.all(['eve', 'mallory'].map((id) => Client.join(placeOf(small), room, id)));
  path.refuse(false);
  const full = 'The room refused: Room is full: 2 peers (4003).';
  for (const { client, log } of owners) {
    await expect.poll(() => log.at(-1), WAIT).toBe(full);
    expect([client.state, client.reason]).toEqual(['reconnecting', full]);
  }
  for (const stranger of strangers) await stranger.close();
  for (const { client, log } of owners) {
    await expect.poll(() => client.state, WAIT).toBe('open');
    expect(log.filter((each) => each !== full)).toEqual(['connecting', 'open', 'reconnecting', 'open']);
  }
});
