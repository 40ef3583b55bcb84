/** The library in Node, with an injected WebRTC. */
import wrtc from 'node-datachannel/polyfill';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import { P2PCF, type Peer } from '../../src/client/index.ts';
import { SignalingClient, type SignalingOptions } from '../../src/client/signaling.ts';
import { ownedId } from '../../src/protocol/owned-id.ts';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { type Server, startWorkerd } from '../support/server.ts';

let server: Server;
beforeAll(async () => {
  server = await startWorkerd();
});
afterAll(() => server.stop());

function member(room: string, name: string, offersAhead: boolean): P2PCF {
  return new P2PCF(name, room, { workerUrl: server.url, stunIceServers: [], offersAhead, wrtc });
}

const firstPeer = (room: P2PCF): Promise<Peer> => new Promise((resolve) => room.once('peerconnect', resolve));
const firstMessage = (room: P2PCF): Promise<ArrayBuffer> =>
  new Promise((resolve) => room.once('msg', (_peer, data) => resolve(data)));

test.each([true, false])('two meet, send bytes both ways and part, offers ahead: %s', async (offersAhead) => {
  const room = newRoom();
  const alice = member(room, 'Alice', offersAhead);
  const bob = member(room, 'Bobby', offersAhead);
  const met = [firstPeer(alice), firstPeer(bob)];
  await alice.start();
  await bob.start();
  const [aliceSees, bobSees] = await Promise.all(met);
  expect([aliceSees?.client_id, bobSees?.client_id]).toEqual(['Bobby', 'Alice']);
  const bytes = new Uint8Array(100_000).map((_, n) => n % 251);
  const heard = [firstMessage(alice), firstMessage(bob)];
  await alice.broadcast(bytes);
  await bob.broadcast('as UTF-8: ö');
  expect(new Uint8Array((await heard[1]) ?? new ArrayBuffer())).toEqual(bytes);
  expect(new TextDecoder().decode(await heard[0])).toBe('as UTF-8: ö');
  const parted = new Promise<Peer>((resolve) => alice.once('peerclose', resolve));
  bob.destroy();
  expect(await parted).toBe(aliceSees);
  expect(alice.peers.size).toBe(0);
  alice.destroy();
});

test.each([
  ['each side', ['Alice', 'Bobby']],
  ['the side that answers', ['Alice']],
  ['the side that offers', ['Bobby']],
])(
  'a connection that %s sees close by itself is made anew, before the connect timer',
  async (_who, closing) => {
    const room = newRoom();
    const alice = member(room, 'Alice', false);
    const bob = member(room, 'Bobby', false);
    const peers: Peer[] = [];
    const states: string[] = [];
    for (const each of [alice, bob]) {
      each.on('peerjoin', (peer) => peers.push(peer));
      each.on('peerstate', (_peer, state) => states.push(`${each.clientId} ${state}`));
    }
    const met = [firstPeer(alice), firstPeer(bob)];
    alice.once('peerjoin', (peer) => {
      const closeAtAnswer = (signal: object): void => {
        if (!('type' in signal) || signal.type !== 'answer') return;
        peer.off('signal', closeAtAnswer);
        for (const each of peers) if (closing.includes(each === peer ? 'Alice' : 'Bobby')) each._pc.close();
      };
      peer.on('signal', closeAtAnswer);
    });
    await alice.start();
    await bob.start();
    const [aliceSees, bobSees] = await Promise.all(met);
    expect([aliceSees?.client_id, bobSees?.client_id]).toEqual(['Bobby', 'Alice']);
    expect(states).toEqual(expect.arrayContaining(closing.map((name) => `${name} failed`)));
    alice.destroy();
    bob.destroy();
  },
  15_000,
);

test('sending to a peer that is gone is an error, not silence', async () => {
  const room = newRoom();
  const alice = member(room, 'Alice', true);
  const bob = member(room, 'Bobby', true);
  const met = firstPeer(alice);
  await Promise.all([alice.start(), bob.start()]);
  const peer = await met;
  bob.destroy();
  await new Promise((resolve) => alice.once('peerclose', resolve));
  await expect(alice.send(peer, 'hello?')).rejects.toThrow('is not connected');
  alice.destroy();
});

test('signaling alone: who is here, signals, broadcasts and refusals', async () => {
  const roomId = newRoom();
  const log: unknown[] = [];
  const alice = new SignalingClient({ workerUrl: `${server.url}/`, roomId, clientId: 'alice', metadata: { n: 1 } });
  alice.on('state', (state) => log.push(state));
  await alice.start();
  const joined = new Promise((resolve) => alice.once('join', resolve));
  const bob = new SignalingClient({ workerUrl: server.url.replace('http', 'ws'), roomId, clientId: 'bob' });
  const present = new Promise((resolve) => bob.once('peers', resolve));
  await bob.start();
  expect(await present).toMatchObject({ peers: ['alice'], yourId: 'bob', metadata: { alice: { n: 1 } } });
  expect(await joined).toMatchObject({ clientId: 'bob' });
  const signaled = new Promise((resolve) => bob.once('signal', (...heard) => resolve(heard)));
  alice.send('bob', { any: 'JSON' });
  expect(await signaled).toEqual(['alice', { any: 'JSON' }]);
  const broadcast = new Promise((resolve) => alice.once('broadcast', (...heard) => resolve(heard)));
  bob.broadcast(7);
  expect(await broadcast).toEqual(['bob', 7]);
  const refused = new Promise((resolve) => bob.once('error', resolve));
  bob.send('nobody', 1);
  expect(await refused).toMatchObject({ code: 'unknown_peer', targetId: 'nobody' });
  const left = new Promise((resolve) => alice.once('leave', resolve));
  bob.stop();
  expect(await left).toMatchObject({ clientId: 'bob' });
  expect(log).toEqual(['connecting', 'open']);
  alice.stop();
  expect(log).toEqual(['connecting', 'open', 'closed']);
});

/** Both wait for the server to end TCP before they tell of a close frame: Node's own three seconds, ws thirty. */
const NODE_SOCKETS = [
  ['of Node', globalThis.WebSocket],
  ['of ws', WsWebSocket],
] as const;

describe.each(NODE_SOCKETS)(
  'with the WebSocket %s, a refusal is acted on before its close event',
  (_whose, WebSocket) => {
    /** What the library hears of the end of its sockets: nothing. */
    class WithoutEnd extends WebSocket {
      constructor(url: string, subprotocols: string[]) {
        super(url, subprotocols);
        Object.defineProperty(this, 'onclose', { set: () => undefined });
      }
    }
    const client = (workerUrl: string, roomId: string, options: Partial<SignalingOptions>): SignalingClient =>
      new SignalingClient({ workerUrl, roomId, WebSocket: WithoutEnd, ...options });

    test('where the id is taken, or belongs to another token', async () => {
      const roomId = newRoom();
      const alice = client(server.url, roomId, { clientId: 'alice' });
      await alice.start();
      for (const [clientId, reason] of [
        ['alice', 'Id is taken'],
        [ownedId(crypto.randomUUID()), 'Id belongs to another token'],
      ] as const) {
        const twin = client(server.url, roomId, { clientId });
        const refused = new Promise((resolve) => twin.once('refused', resolve));
        await expect(twin.start()).rejects.toMatchObject({
          message: `The room refused: ${reason} (4009).`,
          code: 4009,
        });
        expect(await refused).toEqual({ code: 4009, reason });
        expect(twin.state).toBe('closed');
      }
      expect(alice.state).toBe('open');
      alice.stop();
    });

    test('where the room is full', async () => {
      const small = await startWorkerd({ vars: { MAX_PEERS_PER_ROOM: 1 } });
      const roomId = newRoom();
      const alice = client(small.url, roomId, {});
      await alice.start();
      const listening = new Set<unknown>(); // as a page would have it
      vi.stubGlobal('addEventListener', (_event: string, listener: unknown) => listening.add(listener));
      vi.stubGlobal('removeEventListener', (_event: string, listener: unknown) => listening.delete(listener));
      const room = new P2PCF('Bobby', roomId, {
        workerUrl: small.url,
        stunIceServers: [],
        wrtc,
        WebSocket: WithoutEnd,
      });
      const started = room.start();
      expect(listening.size).toBeGreaterThan(2);
      await expect(started).rejects.toMatchObject({
        message: 'The room refused: Room is full (4003).',
        code: 4003,
      });
      expect([room.state, listening.size]).toEqual(['closed', 0]);
      vi.unstubAllGlobals();
      alice.stop();
      await small.stop();
    });

    test('and where another takes over, it is back at once', async () => {
      const roomId = newRoom();
      const resumeToken = crypto.randomUUID();
      const alice = client(server.url, roomId, { clientId: 'alice', resumeToken });
      await alice.start();
      const back = new Promise((resolve) => alice.once('peers', resolve));
      const late = await Client.connect(placeOf(server), roomId, 'alice', { resume: resumeToken });
      expect(await late.next()).toMatchObject({ resumed: true });
      expect(await back).toMatchObject({ resumed: true });
      alice.stop();
    });
  },
);

test.each([
  ['name', 'room', undefined, /^workerUrl is missing/],
  ['name', 'room', { workerUrl: 'example.com' }, /must begin with https/],
  ['name', 'x'.repeat(129), { workerUrl: 'https://example.com' }, /^The room id is longer than 128 characters/],
  ['name', 'room', { workerUrl: 'https://example.com', metadata: 'x'.repeat(2047) }, /^The metadata has 2049 bytes/],
  ['name', 'room', { workerUrl: 'https://example.com' }, /^There is no WebRTC here/],
])('new P2PCF(%j, %.10j, %.60j) says what is wrong', (clientId, roomId, options, complaint) => {
  expect(() => Reflect.construct(P2PCF, [clientId, roomId, options])).toThrow(complaint);
});
