/** What a server that means ill can do to a client: nothing that ends the process or keeps it busy. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import wrtc from 'node-datachannel/polyfill';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { P2PCF } from '../../src/client/index.ts';
import { SignalingClient } from '../../src/client/signaling.ts';
import { WAIT } from '../support/wait.ts';

let server: WebSocketServer;
let url: string;
let uncaught: unknown[];
const note = (error: unknown): unknown => uncaught.push(error);

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'p2pcf-ws' });
  await once(server, 'listening');
  const { port }: AddressInfo = Object(server.address());
  url = `http://127.0.0.1:${port}`;
  uncaught = [];
  process.on('uncaughtException', note);
});

afterEach(async () => {
  process.off('uncaughtException', note);
  for (const socket of server.clients) socket.terminate();
  await new Promise((resolve) => server.close(resolve));
  expect(uncaught).toEqual([]);
});

const ODD_VALUES = [null, 7, '', 'x', [], {}, [[]], [null], { id: null }, { __proto__: null, type: {} }];

/** Frames that no server of ours sends. */
function* oddFrames(): Generator<string> {
  yield* ['', '{', 'null', '7', '"peers"', '[]', '{}', '{"type":null}', '{"type":"__proto__"}', 'ping'];
  for (const type of ['peers', 'peer_join', 'peer_leave', 'signal', 'broadcast', 'error', 'constructor']) {
    yield JSON.stringify({ type });
    for (const value of ODD_VALUES) {
      const ids = { peers: ['someone'], yourId: 'me', clientId: 'someone', fromId: 'someone' };
      yield JSON.stringify({ type, ...ids, metadata: value, offers: value, polling: value, graceSeconds: value });
      yield JSON.stringify({ type, ...ids, signal: value, data: value, code: value, message: value, targetId: value });
      yield JSON.stringify({ type, ...ids, code: 'closing', message: '', close: value });
      yield JSON.stringify({ type, ...ids, code: 'closing', message: '', close: { code: value, reason: value } });
      yield JSON.stringify({ type, peers: value, yourId: value, clientId: value, fromId: value });
      yield JSON.stringify({ type, ...ids, metadata: { someone: value }, offers: { someone: value } });
    }
  }
}

const welcome = (peers: string[]): string => JSON.stringify({ type: 'peers', peers, yourId: 'me' });

test('a signaling client takes odd frames for nothing, and goes on', async () => {
  server.on('connection', (socket: WebSocket) => {
    for (const frame of oddFrames()) socket.send(frame);
    socket.send(new Uint8Array([1, 2, 3]));
    socket.send(welcome(['the end']));
  });
  const client = new SignalingClient({ workerUrl: url, roomId: 'room', clientId: 'me' });
  const heard = new Promise<void>((resolve) => {
    client.on('peers', ({ peers }) => peers.includes('the end') && resolve());
  });
  await client.start();
  await heard;
  client.stop();
});

test('a room takes odd frames for nothing, and goes on', async () => {
  server.on('connection', (socket: WebSocket) => {
    socket.send(welcome([]));
    for (const frame of oddFrames()) socket.send(frame);
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end', timestamp: 1 }));
  });
  const room = new P2PCF('name', 'room', { workerUrl: url, stunIceServers: [], wrtc });
  const heard = new Promise<void>((resolve) => {
    room.on('peerjoin', ({ id }) => id === 'the end' && resolve());
  });
  await room.start();
  await heard;
  room.destroy();
});

test('a refusal that names an absurd wait is final, and is not knocked at for ever', async () => {
  let connections = 0;
  server.on('connection', (socket: WebSocket) => {
    connections++;
    socket.close(4009, 'Id is held for 99999999999 s');
  });
  const client = new SignalingClient({ workerUrl: url, roomId: 'room', clientId: 'me' });
  const refused = new Promise((resolve) => client.once('refused', resolve));
  await expect(client.start()).rejects.toThrow('Id is held for 99999999999 s');
  expect(await refused).toEqual({ code: 4009, reason: 'Id is held for 99999999999 s' });
  expect([client.state, connections]).toEqual(['closed', 1]);
});

test('a server that lets us in a hundred times over leaves no timer that goes on after stop', async () => {
  let connections = 0;
  let pings = 0;
  let answer: (() => void) | undefined;
  server.on('connection', (socket: WebSocket) => {
    connections++;
    socket.on('message', () => {
      pings++;
      answer?.();
      socket.send('pong');
    });
    for (let n = 0; n < 100; n++) socket.send(welcome([]));
  });
  const client = new SignalingClient({ workerUrl: url, roomId: 'room', clientId: 'me', pingEveryMs: 500 });
  await client.start();
  await expect.poll(() => pings, WAIT).toBe(100); // one at each
  await new Promise<void>((resolve) => {
    answer = resolve;
  });
  client.stop();
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // thrice the time between pings
  expect(pings).toBeLessThan(103);
  expect([client.state, connections]).toEqual(['closed', 1]);
});

test('what the room said before the certificate was there is for nothing if we have left by then', async () => {
  let isSaid: (() => void) | undefined;
  const said = new Promise<void>((resolve) => {
    isSaid = resolve;
  });
  server.on('connection', (socket: WebSocket) => {
    socket.on('message', () => isSaid?.()); // our ping: the rest has come with the welcome
    socket.send(welcome(['listed']));
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'joiner', timestamp: 1 }));
    socket.send(JSON.stringify({ type: 'signal', fromId: 'caller', signal: { type: 'offer', sdp: 'v=0' } }));
  });
  let made = 0;
  let certify: (() => void) | undefined;
  class Slow extends wrtc.RTCPeerConnection {
    static override generateCertificate(): Promise<never> {
      return new Promise((_resolve, reject) => {
        certify = reject;
      });
    }
    constructor(configuration: ConstructorParameters<typeof wrtc.RTCPeerConnection>[0]) {
      super(configuration);
      made++;
    }
  }
  const options = { workerUrl: url, stunIceServers: [], offersAhead: false, wrtc: { RTCPeerConnection: Slow } };
  const room = new P2PCF('name', 'room', options);
  room.start().catch(() => undefined);
  await said;
  await new Promise((resolve) => setTimeout(resolve, 200));
  room.destroy();
  certify?.();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([room.state, room.peers.size, made]).toEqual(['closed', 0, 0]);
});
