/** What a server that means ill can do to a client: nothing that ends the process or keeps it busy. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import wrtc from 'node-datachannel/polyfill';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
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
  vi.restoreAllMocks();
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

/** A room answers once, so each odd answer comes on a connection of its own; the rest on each. */
const oddAnswers = [...oddFrames()].filter((frame) => frame.includes('"type":"peers"'));
const oddNews = [...oddFrames()].filter((frame) => !oddAnswers.includes(frame));

test('a signaling client takes odd frames for nothing, and goes on', async () => {
  const answers = [...oddAnswers];
  server.on('connection', (socket: WebSocket) => {
    for (const frame of [...oddNews, answers.pop() ?? '']) socket.send(frame);
    socket.send(new Uint8Array([1, 2, 3]));
    socket.send(welcome([]));
    for (const frame of oddNews) socket.send(frame);
    socket.send(JSON.stringify({ type: 'peer_leave', clientId: 'the end' }));
  });
  const meet = async (): Promise<void> => {
    const client = new SignalingClient({ workerUrl: url, roomId: 'room', clientId: 'me' });
    const heard = new Promise<void>((resolve) => {
      client.on('leave', ({ clientId }) => clientId === 'the end' && resolve());
    });
    await client.start();
    await heard;
    client.stop();
  };
  await Promise.all(oddAnswers.map(meet));
  expect(answers).toEqual([]);
});

test('a room takes odd frames for nothing, and goes on', async () => {
  const answers = [...oddAnswers];
  server.on('connection', (socket: WebSocket) => {
    socket.send(answers.pop() ?? '');
    socket.send(welcome([]));
    for (const frame of oddNews) socket.send(frame);
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end', timestamp: 1 }));
  });
  const meet = async (): Promise<void> => {
    const room = new P2PCF('name', 'room', { workerUrl: url, stunIceServers: [], wrtc });
    const heard = new Promise<void>((resolve) => {
      room.on('peerjoin', ({ id }) => id === 'the end' && resolve());
    });
    await room.start();
    await heard;
    room.destroy();
  };
  for (const _ of oddAnswers) await meet();
  expect(answers).toEqual([]);
});

/** A room that is in, and what its app is told beside the change of its state. */
async function enter(): Promise<{ room: P2PCF; reasons: (string | undefined)[] }> {
  const reasons: (string | undefined)[] = [];
  const room = new P2PCF('name', 'room', { workerUrl: url, stunIceServers: [], wrtc, offersAhead: false });
  room.on('state', (state, reason) => state === 'open' && reason !== undefined && reasons.push(reason));
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  await room.start();
  return { room, reasons };
}

const TOO_MANY = 'The server names more than 1000 members, or too many at once: the others are not met.';

test.each(['peers', 'peer_join', 'signal'])(
  'of members without end, by %s, a thousand are known, and the app is told once',
  async (type) => {
    const ids = Array.from({ length: 50_000 }, (_, n) => `member ${n}`);
    const signal = { type: 'offer', sdp: 'v=0' };
    server.on('connection', (socket: WebSocket) => {
      if (type === 'peers') socket.send(JSON.stringify({ type, peers: ids, polling: ids, yourId: 'me' }));
      else socket.send(welcome([]));
      if (type === 'peer_join') for (const clientId of ids) socket.send(JSON.stringify({ type, clientId }));
      if (type === 'signal') for (const fromId of ids) socket.send(JSON.stringify({ type, fromId, signal }));
    });
    const { room, reasons } = await enter();
    await expect.poll(() => reasons, WAIT).toEqual([TOO_MANY]);
    expect(room.peers.size).toBe(1000);
    room.destroy();
  },
);

test('members that come and go without end cost no more than a thousand connections, and then twenty a second', async () => {
  server.on('connection', (socket: WebSocket) => {
    socket.send(welcome([]));
    for (let n = 0; n < 20_000; n++) {
      socket.send(JSON.stringify({ type: 'peer_join', clientId: `member ${n}` }));
      socket.send(JSON.stringify({ type: 'peer_leave', clientId: `member ${n}`, reason: 'left' }));
    }
    socket.send(JSON.stringify({ type: 'peer_leave', clientId: 'the end' }));
  });
  const { room, reasons } = await enter();
  let came = 0;
  room.on('peerjoin', () => came++);
  const since = Date.now();
  await expect.poll(() => reasons, WAIT).toEqual([TOO_MANY]);
  expect(came).toBeLessThanOrEqual(1000 + (Date.now() - since) / 50);
  room.destroy();
});

test('a room answers once: a page does not meet everybody anew as often as a server likes', async () => {
  server.on('connection', (socket: WebSocket) => {
    for (let n = 0; n < 1000; n++) socket.send(welcome([`member ${n}`]));
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end' }));
  });
  const { room } = await enter();
  await expect.poll(() => [...room.peers.keys()], WAIT).toEqual(['member 0', 'the end']);
  room.destroy();
});

test('a poller that comes without end is sent our offer a dozen times, and not as often as a server says so', async () => {
  let offers = 0;
  server.on('connection', (socket: WebSocket) => {
    socket.send(JSON.stringify({ type: 'peers', peers: ['poller'], polling: ['poller'], yourId: 'me' }));
    const join = JSON.stringify({ type: 'peer_join', clientId: 'poller', polling: true });
    socket.on('message', (data) => {
      if (!String(data).includes('"offer"')) return;
      if (offers++ === 0) for (let n = 0; n < 2000; n++) socket.send(join);
      if (offers === 1) socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end' }));
    });
  });
  const { room } = await enter();
  await expect.poll(() => room.peers.has('the end') && offers > 1, WAIT).toBe(true);
  room.destroy();
  await expect.poll(() => server.clients.size, WAIT).toBe(0); // all that was said before has arrived
  expect(offers).toBeLessThan(20);
});

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

test('what is nested too deeply to be written again, or too large to be kept, is not kept', async () => {
  server.on('connection', (socket: WebSocket) => {
    socket.send(welcome([]));
    const more = `"username":${nested(100_000)},"x":${nested(100_000)}`;
    socket.send(`{"type":"ice_servers","iceServers":[{"urls":["stun:127.0.0.1"],${more}}]}`);
    socket.send(`{"type":"peer_join","clientId":"deep","metadata":{"client_id":"name","x":${nested(100_000)}}}`);
    socket.send(`{"type":"peer_join","clientId":"large","metadata":{"client_id":"${'x'.repeat(100_000)}"}}`);
    socket.send(`{"type":"peer_join","clientId":"good","metadata":{"client_id":"name","metadata":7}}`);
  });
  const { room } = await enter();
  await expect.poll(() => room.peers.size, WAIT).toBe(3);
  const brought = [...room.peers.values()].map(({ id, client_id, metadata }) => [id, client_id, metadata]);
  expect(brought).toEqual([
    ['deep', 'deep', undefined],
    ['large', 'large', undefined],
    ['good', 'name', 7],
  ]);
  expect(room.turnIceServers).toEqual([{ urls: ['stun:127.0.0.1'] }]);
  room.destroy();
});

test('a room with a key outlives what is nested too deeply, and members without end', async () => {
  server.on('connection', (socket: WebSocket) => {
    const ids = Array.from({ length: 50_000 }, (_, n) => `member ${n}`);
    socket.send(JSON.stringify({ type: 'peers', peers: ids, polling: ids, yourId: 'me' }));
    socket.send(`{"type":"error","code":"odd","message":"","x":${nested(100_000)}}`);
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end' }));
  });
  const refused: string[] = [];
  const onUntrusted = ({ id }: { id: string }): unknown => refused.push(id);
  const options = { workerUrl: url, stunIceServers: [], wrtc, key: P2PCF.newKey(), onUntrusted };
  const room = new P2PCF('name', 'room', options);
  await room.start();
  await expect.poll(() => refused.at(-1), WAIT).toBe('the end');
  expect(refused).toHaveLength(1001);
  room.destroy();
});

test('ICE servers without end are not taken, nor others each moment', async () => {
  const list = (n: number): object[] => [{ urls: [`stun:127.0.0.1:${n}`] }];
  server.on('connection', (socket: WebSocket) => {
    socket.send(welcome([]));
    const many = Array.from({ length: 50_000 }, (_, n) => list((n % 60_000) + 1)).flat();
    socket.send(JSON.stringify({ type: 'ice_servers', iceServers: many }));
    for (let n = 1; n <= 1000; n++) socket.send(JSON.stringify({ type: 'ice_servers', iceServers: list(n) }));
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end' }));
  });
  const { room } = await enter();
  await expect.poll(() => room.peers.size, WAIT).toBe(1);
  expect(room.turnIceServers).toEqual(list(5));
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

test('a server that lets us in a hundred times over is asked once, and leaves no timer that goes on after stop', async () => {
  let connections = 0;
  let pings = 0;
  server.on('connection', (socket: WebSocket) => {
    connections++;
    socket.on('message', () => {
      pings++;
      socket.send('pong');
    });
    for (let n = 0; n < 100; n++) socket.send(welcome([]));
  });
  const client = new SignalingClient({ workerUrl: url, roomId: 'room', clientId: 'me', pingEveryMs: 5_000 });
  await client.start();
  await expect.poll(() => pings, WAIT).toBe(2); // at once, and five seconds later
  client.stop();
  await new Promise((resolve) => setTimeout(resolve, 6_000)); // longer than the time between pings
  expect(pings).toBe(2);
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

test('an app that leaves as a peer closes, of which the server says that it is new, has left', async () => {
  server.on('connection', (socket: WebSocket) => {
    socket.send(welcome([]));
    socket.on('message', (data) => {
      if (!String(data).includes('"ahead"')) return;
      socket.send(JSON.stringify({ type: 'peer_join', clientId: 'eve', timestamp: 1 }));
      socket.send(JSON.stringify({ type: 'peer_join', clientId: 'eve', timestamp: 2, offerTaken: true }));
    });
  });
  const open = new Set<object>();
  class Counted extends wrtc.RTCPeerConnection {
    constructor(configuration: ConstructorParameters<typeof wrtc.RTCPeerConnection>[0]) {
      super(configuration);
      open.add(this);
    }
    override close(): void {
      open.delete(this);
      super.close();
    }
  }
  const options = { workerUrl: url, stunIceServers: [], wrtc: { RTCPeerConnection: Counted } };
  const room = new P2PCF('name', 'room', options);
  const log: string[] = [];
  room.on('peerjoin', ({ id }) => log.push(`${id} joins`));
  const left = new Promise<void>((resolve) =>
    room.on('peerclose', ({ id }) => {
      log.push(`${id} closes`);
      room.destroy();
      setTimeout(resolve);
    }),
  );
  await room.start();
  await left;
  expect([log, room.peers.size, open.size]).toEqual([['eve joins', 'eve closes'], 0, 0]);
});

test('of a poller that leaves before our first offer is made the app hears neither that it comes nor that it goes', async () => {
  server.on('connection', (socket: WebSocket) => {
    socket.send(JSON.stringify({ type: 'peers', peers: ['poller'], polling: ['poller'], yourId: 'me' }));
    socket.send(JSON.stringify({ type: 'peer_leave', clientId: 'poller' }));
    socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end' }));
  });
  class Slow extends wrtc.RTCPeerConnection {
    override createOffer(): Promise<never> {
      return new Promise(() => undefined);
    }
  }
  const options = { workerUrl: url, stunIceServers: [], offersAhead: false, wrtc: { RTCPeerConnection: Slow } };
  const room = new P2PCF('name', 'room', options);
  const log: string[] = [];
  room
    .on('peerjoin', ({ id }) => log.push(`${id} joins`))
    .on('peerstate', ({ id }, state) => log.push(`${id} ${state}`))
    .on('peerclose', ({ id }) => log.push(`${id} closes`));
  await room.start();
  await expect.poll(() => log, WAIT).toEqual(['poller closed', 'the end joins']);
  room.destroy();
});

test('a server that holds places for an absurd time does not have us forget their members at once', async () => {
  let connections = 0;
  server.on('connection', (socket: WebSocket) => {
    if (++connections === 1) {
      socket.send(welcome(['eve']));
      socket.close(1001);
      return;
    }
    socket.send(JSON.stringify({ type: 'peers', peers: [], yourId: 'me', graceSeconds: 1e300 }));
    setTimeout(() => socket.send(JSON.stringify({ type: 'peer_join', clientId: 'the end' })), 200);
  });
  const { room } = await enter();
  await expect.poll(() => [...room.peers.keys()], WAIT).toEqual(['eve', 'the end']);
  room.destroy();
});

test('a server that takes its time for each answer, but not longer than it may, is not given up', async () => {
  let connections = 0;
  server.on('connection', (socket: WebSocket) => {
    connections++;
    setTimeout(() => socket.send(welcome([])), 600);
    socket.on('message', () => setTimeout(() => socket.send('pong'), 600));
  });
  // An answer has 800 ms, or two round trips.
  const client = new SignalingClient({ workerUrl: url, roomId: 'room', pingEveryMs: 2_000 });
  const states: string[] = [];
  client.on('state', (state) => states.push(state));
  await client.start();
  let answers = 0;
  for (const socket of server.clients) socket.on('message', () => answers++);
  await vi.waitUntil(() => answers === 2, WAIT);
  expect([connections, states]).toEqual([1, ['connecting', 'open']]);
  client.stop();
});
