import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, expect, test, vi } from 'vitest';
import { Client } from '../support/client.ts';
import { NOTHING, pass, stored } from '../support/within-room.ts';
import { workerd } from '../support/workerd-place.ts';

const ROOM = 'the room';
const stub = () => env.SIGNALING_ROOM.getByName(ROOM);
const sleep = () => evictDurableObject(stub(), { webSockets: 'hibernate' });

/** Moves the room's clock; the runtime's, which stamps pings, stays. */
let clients: Client[] = [];
async function join(clientId: string): Promise<Client> {
  const client = await Client.join(workerd, ROOM, clientId);
  clients.push(client);
  return client;
}

async function settle(clientId: string): Promise<[client: Client, resumeToken: string]> {
  const settled = await Client.settle(workerd, ROOM, clientId);
  clients.push(settled[0]);
  return settled;
}

afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients) await client.close(1000);
  clients = [];
});

test('a ping is answered without waking the room', async () => {
  const alice = await join('alice');
  await sleep();
  await alice.sendFrame('ping');
  expect(await alice.next()).toBe('pong');
  await expect(sleep(), 'the room must still be asleep').rejects.toThrow('not currently running');
});

test('a session that does not drop writes no storage and sets no alarm', async () => {
  const [alice, token] = await settle('alice');
  const bob = await join('bob');
  await alice.signal('bob', { type: 'offer', sdp: 'v=0' });
  await bob.send({ type: 'broadcast', data: 1 });
  await alice.sendFrame('nonsense');
  await alice.signal('nobody', 1);
  const again = await Client.connect(workerd, ROOM, 'alice', { resume: token });
  clients.push(again);
  expect(await again.next()).toMatchObject({ resumed: true });
  await bob.close();
  await again.close();
  expect(await stored(stub())).toEqual(NOTHING);
});

test('a place held is a row and an alarm, and when it has lapsed the others hear of it and nothing is left', async () => {
  const bob = await join('bob');
  const joinedAt = Date.now();
  const [alice] = await settle('alice');
  const [carol] = await settle('carol');
  for (const id of ['alice', 'carol']) expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: id });
  await alice.close(4010);
  await sleep();
  const held = await stored(stub());
  expect(held.keys).toEqual(['place:alice']);
  const alarm = held.alarm ?? 0;
  expect(alarm - joinedAt).toBeGreaterThanOrEqual(30_000);
  expect(alarm - joinedAt).toBeLessThan(35_000);
  pass(10);
  await carol.signal('bob', 'a sign of life');
  expect(await bob.next()).toMatchObject({ type: 'signal' });
  await carol.close(4010);
  await sleep();
  expect((await stored(stub())).alarm, 'the later place needs no alarm of its own yet').toBe(alarm);
  pass(21);
  expect(await runDurableObjectAlarm(stub())).toBe(true);
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice', reason: 'timeout' });
  const later = await stored(stub());
  expect(later.keys).toEqual(['place:carol']);
  expect(later.alarm).toBeGreaterThan(alarm);
  await sleep();
  pass(10);
  expect(await runDurableObjectAlarm(stub())).toBe(true);
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'carol', reason: 'timeout' });
  expect(await stored(stub())).toEqual(NOTHING);
});

test('an alarm that comes too early throws nobody out', async () => {
  const [alice, token] = await settle('alice');
  await alice.close(4010);
  const before = await stored(stub());
  expect(await runDurableObjectAlarm(stub())).toBe(true);
  expect(await stored(stub())).toEqual(before);
  const again = await Client.connect(workerd, ROOM, 'alice', { resume: token });
  clients.push(again);
  expect(await again.next()).toMatchObject({ resumed: true });
  expect(await stored(stub())).toEqual(NOTHING);
});

test('a place that has lapsed before the alarm came is gone for whoever joins', async () => {
  const bob = await join('bob');
  const [alice, token] = await settle('alice');
  expect(await bob.next()).toMatchObject({ type: 'peer_join' });
  await alice.close(4010);
  await sleep();
  pass(31);
  await bob.signal('alice', 1);
  expect(await bob.next()).toMatchObject({ code: 'unknown_peer' });
  const again = await Client.connect(workerd, ROOM, 'alice', { resume: token });
  clients.push(again);
  expect(await again.next()).toMatchObject({ peers: ['bob'], resumed: false });
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice', reason: 'timeout' });
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
  expect(await stored(stub())).toEqual(NOTHING);
});

test('the grace is counted from the last sign of life', async () => {
  const [alice] = await settle('alice');
  const bob = await join('bob');
  expect(await alice.next()).toMatchObject({ type: 'peer_join' });
  pass(31);
  await alice.close(4010);
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice', reason: 'timeout' });
  expect(await stored(stub())).toEqual(NOTHING);
});

test('past the day’s free writes a drop is a departure', async () => {
  const [alice] = await settle('alice');
  const bob = await join('bob');
  expect(await alice.next()).toMatchObject({ type: 'peer_join' });
  await runInDurableObject(stub(), (_room, { storage }) => {
    storage.kv.put = () => {
      throw new Error('Exceeded allowed rows written in Durable Objects free tier.');
    };
  });
  await alice.close(4010);
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice', reason: 'timeout' });
});

test('a duplicate that closes only after the room slept is not announced', async () => {
  const older = await join('alice');
  const bob = await join('bob');
  const newer = await Client.connect(workerd, ROOM, 'alice');
  clients.push(newer);
  await sleep();
  expect((await older.closed).code).toBe(4000);
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
  await newer.signal('bob', 'here');
  expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: 'here' });
});

test('a close event and an error event of one socket make one leave', async () => {
  const alice = await join('alice');
  const bob = await join('bob');
  expect(await alice.next()).toMatchObject({ type: 'peer_join' });
  await runInDurableObject(stub(), (room, ctx) => {
    const socket = ctx.getWebSockets('bob')[0];
    if (!socket || !room.webSocketError) throw new Error('Bob has no socket');
    room.webSocketError(socket);
  });
  await sleep();
  await bob.close();
  expect(await alice.next()).toMatchObject({ type: 'peer_leave', clientId: 'bob' });
  await alice.signal('alice', 'nothing else');
  expect(await alice.next()).toMatchObject({ signal: 'nothing else' });
});

test.each(['signal', 'broadcast'])('a socket that no longer takes a %s leaves, once', async (type) => {
  const alice = await join('alice');
  const bob = await join('bob');
  const carol = await join('carol');
  for (const client of [alice, alice, bob]) expect(await client.next()).toMatchObject({ type: 'peer_join' });
  await runInDurableObject(stub(), (_room, ctx) => {
    const socket = ctx.getWebSockets('bob')[0];
    if (!socket) throw new Error('Bob has no socket');
    socket.send = () => {
      throw new TypeError("Can't call WebSocket send() after close().");
    };
  });
  await alice.send({ type, targetId: 'bob', signal: 1, data: 1 });
  expect(await alice.next()).toMatchObject({ type: 'peer_leave', clientId: 'bob' });
  await alice.signal('bob', 2);
  expect(await alice.next()).toMatchObject({ type: 'error', code: 'unknown_peer' });
  await bob.close();
  await alice.signal('carol', 'end');
  const heard = [await carol.next(), await carol.next()];
  expect(heard).toContainEqual(expect.objectContaining({ type: 'peer_leave', clientId: 'bob' }));
  expect(heard).not.toContainEqual(expect.objectContaining({ type: 'error' }));
  if (type === 'broadcast') expect(await carol.next()).toMatchObject({ type: 'signal', signal: 'end' });
});

test('an attachment of another version is no obstacle', async () => {
  const alice = await join('alice');
  const bob = await join('bob');
  await runInDurableObject(stub(), (_room, ctx) => {
    for (const socket of ctx.getWebSockets()) socket.serializeAttachment({ v: 2, unheard: ['of'] });
  });
  await sleep();
  await alice.signal('bob', 1);
  expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: 1 });
});

/** Alice, who has just pinged, and Bob, who never has. */
async function aliceWhoPings(): Promise<[alice: Client, bob: Client]> {
  const alice = await join('alice');
  const bob = await join('bob');
  expect(await alice.next()).toMatchObject({ type: 'peer_join' });
  await alice.sendFrame('ping');
  expect(await alice.next()).toBe('pong');
  await sleep();
  return [alice, bob];
}

test('a ghost is found at the next join: closed, announced once, not listed', async () => {
  const [alice, bob] = await aliceWhoPings();
  pass(151);
  const carol = await Client.connect(workerd, ROOM, 'carol');
  clients.push(carol);
  expect(await carol.next()).toEqual({ type: 'peers', peers: ['bob'], yourId: 'carol' });
  expect(await alice.closed).toMatchObject({ code: 4006, reason: 'No sign of life' });
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice' });
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'carol' });
  await carol.signal('bob', 'end');
  expect(await bob.next()).toMatchObject({ signal: 'end' });
});

test('a ghost is found by a signal to it', async () => {
  const [alice, bob] = await aliceWhoPings();
  pass(151);
  await bob.signal('alice', 1);
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice' });
  expect(await bob.next()).toMatchObject({ code: 'unknown_peer', targetId: 'alice' });
  expect((await alice.closed).code).toBe(4006);
});

test('a ghost is found by a broadcast', async () => {
  const [alice, bob] = await aliceWhoPings();
  pass(151);
  await bob.send({ type: 'broadcast', data: 1 });
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice' });
  expect((await alice.closed).code).toBe(4006);
});

test('a peer that comes back while its ghost is there replaces it, without a leave', async () => {
  const [, bob] = await aliceWhoPings();
  pass(151);
  await join('alice');
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
});

test('149 s after its ping one is no ghost', async () => {
  await aliceWhoPings();
  pass(149);
  const carol = await Client.connect(workerd, ROOM, 'carol');
  clients.push(carol);
  expect(await carol.next()).toMatchObject({ peers: ['alice', 'bob'] });
});

test('a message is a sign of life as good as a ping, even after the room slept', async () => {
  const [alice, bob] = await aliceWhoPings();
  pass(100);
  await alice.signal('bob', 1);
  expect(await bob.next()).toMatchObject({ signal: 1 });
  await sleep();
  pass(100);
  const carol = await Client.connect(workerd, ROOM, 'carol');
  clients.push(carol);
  expect(await carol.next()).toMatchObject({ peers: ['alice', 'bob'] });
  pass(60);
  await carol.close();
  expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'carol' });
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice' });
  expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'carol' });
});

test('a room that was opened for two is full at two, whoever is left of them, and after it slept', async () => {
  const enter = async (id: string, max: string): Promise<Client> => {
    const client = await Client.connect(workerd, ROOM, id, { max });
    clients.push(client);
    return client;
  };
  const alice = await enter('alice', '2');
  const bob = await enter('bob', '9');
  expect(await bob.next()).toMatchObject({ type: 'peers' });
  await alice.close();
  await sleep();
  const carol = await enter('carol', '9');
  expect(await carol.next()).toMatchObject({ type: 'peers', peers: ['bob'] });
  await sleep();
  expect(await (await enter('dora', '9')).closed).toMatchObject({ code: 4003, reason: 'Room is full: 2 peers' });
});

test.each([
  ['is lost, and comes back', 1006],
  ['says goodbye', 1000],
])('who joins before the room has heard that a member %s knows of it', async (_how, code) => {
  const [tom, token] = await settle('tom');
  await tom.signal('nobody', 'so that its place is held');
  await runInDurableObject(stub(), (room, ctx) => {
    const { fetch } = room;
    room.fetch = (request) => {
      const [closing] = ctx.getWebSockets('tom');
      closing?.close(1000); // as good as by its client: it is no longer open, and its event is yet to come
      const response = fetch.call(room, request);
      if (closing) room.webSocketClose(closing, code, '');
      room.fetch = fetch;
      return response;
    };
  });
  const bob = await Client.connect(workerd, ROOM, 'bob');
  clients.push(bob);
  expect(await bob.next()).toMatchObject({ type: 'peers', peers: ['tom'] });
  if (code === 1000) expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'tom', reason: 'left' });
  const again = await Client.connect(workerd, ROOM, 'tom', { resume: token });
  clients.push(again);
  expect(await again.next()).toMatchObject({ peers: ['bob'], resumed: code === 1006 });
  await tom.closed;
});
