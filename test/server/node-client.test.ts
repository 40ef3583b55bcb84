/** The library in Node, with an injected WebRTC. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import wrtc from 'node-datachannel/polyfill';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import { signalFrames } from '../../src/client/chunks.ts';
import { P2PCF, type Peer } from '../../src/client/index.ts';
import { SignalingClient, type SignalingOptions } from '../../src/client/signaling.ts';
import { ownedId } from '../../src/protocol/owned-id.ts';
import { Client } from '../support/client.ts';
import { startFaultyProxy } from '../support/faults.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

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

/** Two in a room of their own, and the peer that each sees. */
async function meet(offersAhead = true): Promise<{ alice: P2PCF; bob: P2PCF; aliceSees: Peer; bobSees: Peer }> {
  const room = newRoom();
  const alice = member(room, 'Alice', offersAhead);
  const bob = member(room, 'Bobby', offersAhead);
  const met = Promise.all([firstPeer(alice), firstPeer(bob)]);
  await alice.start();
  await bob.start();
  const [aliceSees, bobSees] = await met;
  return { alice, bob, aliceSees, bobSees };
}

test.each([true, false])('two meet, send bytes both ways and part, offers ahead: %s', async (offersAhead) => {
  const { alice, bob, aliceSees, bobSees } = await meet(offersAhead);
  expect([aliceSees.client_id, bobSees.client_id]).toEqual(['Bobby', 'Alice']);
  const bytes = new Uint8Array(100_000).map((_, n) => n % 251);
  const heard = [firstMessage(alice), firstMessage(bob)];
  await alice.broadcast(bytes);
  await bob.broadcast('as UTF-8: ö');
  expect(new Uint8Array((await heard[1]) ?? new ArrayBuffer())).toEqual(bytes);
  expect(new TextDecoder().decode(await heard[0])).toBe('as UTF-8: ö');
  const datagrams = [alice, bob].map(
    (each) => new Promise((resolve) => each.once('datagram', (_, data) => resolve(data))),
  );
  for (const each of [alice, bob]) each.broadcastUnreliable(new Uint8Array([7]));
  for (const data of datagrams) expect(await data).toEqual(new Uint8Array([7]).buffer);
  const parted = new Promise<Peer>((resolve) => alice.once('peerclose', resolve));
  bob.destroy();
  expect(await parted).toBe(aliceSees);
  expect(alice.peers.size).toBe(0);
  alice.destroy();
});

test.each([true, false])('a process whose member has left ends by itself, offers ahead: %s', async (offersAhead) => {
  const script = `
    import wrtc from 'node-datachannel/polyfill';
    import { P2PCF } from './src/client/index.ts';
    const spare = Promise.withResolvers();
    class RTCPeerConnection extends wrtc.RTCPeerConnection {
      createDataChannel(...given) {
        spare.resolve();
        return super.createDataChannel(...given);
      }
    }
    const options = { workerUrl: '${server.url}', offersAhead: ${offersAhead}, wrtc: { RTCPeerConnection } };
    const alice = new P2PCF('Alice', '${newRoom()}', { ...options, stunIceServers: [] });
    await alice.start();
    await spare.promise;
    alice.destroy();
    console.log('left');`;
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const ending = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd, timeout: 60_000 });
  expect((await ending).stdout).toBe('left\n');
});

test('an offer is published ahead in Node, too, with its candidates', async () => {
  const room = newRoom();
  const alice = member(room, 'Alice', true);
  await alice.start();
  const taken = async (): Promise<unknown> => {
    const taker = await Client.connect(placeOf(server), room, 'taker', { ahead: '1' });
    const { offers } = Object(await taker.next());
    await taker.close();
    return offers;
  };
  await expect
    .poll(taken, WAIT)
    .toMatchObject({ [alice.sessionId]: { type: 'offer', candidates: expect.arrayContaining([expect.anything()]) } });
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

test('two whose signals take so long that a connection cannot come about within 18 s connect later', async () => {
  const far = await startFaultyProxy(server.url);
  onTestFinished(() => far.stop());
  const room = newRoom();
  const options = { workerUrl: far.url, stunIceServers: [], wrtc, pingEveryMs: 100_000 };
  const both = ['Alice', 'Bobby'].map((name) => new P2PCF(name, room, options));
  onTestFinished(() => {
    for (const each of both) each.destroy();
  });
  const met = Promise.all(both.map(firstPeer));
  await Promise.all(both.map((each) => each.start()));
  far.delay(4_900);
  expect((await met).map(({ client_id }) => client_id)).toEqual(['Bobby', 'Alice']);
});

test('a peer that a listener closes as it connects is not told of as connected afterwards', async () => {
  const room = newRoom();
  const alice = member(room, 'Alice', true);
  const bob = member(room, 'Bobby', true);
  const log: string[] = [];
  alice
    .on('peerconnect', ({ destroyed }) => log.push(destroyed ? 'connect, closed' : 'connect'))
    .on('peerclose', () => log.push('close'))
    .on('peerstate', (peer, state) => state === 'connected' && log.length === 0 && peer.destroy());
  await alice.start();
  await bob.start();
  await vi.waitFor(() => expect(log).toHaveLength(2), WAIT);
  expect(log).toEqual(['close', 'connect']); // once they have met again
  alice.destroy();
  bob.destroy();
});

test('a peer that speaks of another certificate and goes, over and over, is met with pauses', async () => {
  const room = newRoom();
  const alice = member(room, 'Alice', false);
  const mallory = member(room, 'Mallory', false);
  let met = 0;
  mallory.on('peerconnect', (peer) => {
    met++;
    const sdp = `v=0\r\na=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}\r\n`;
    for (const frame of signalFrames({ type: 'offer', sdp }, 1)) peer._channel?.send(frame);
    setTimeout(() => peer.destroy(), 50);
  });
  await alice.start();
  await mallory.start();
  await vi.waitFor(() => expect(met).toBeGreaterThan(0), WAIT);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(met).toBeLessThan(5); // a second and more between two
  alice.destroy();
  mallory.destroy();
});

test('a peer that takes no datagrams costs no other its own, and what it does not take counts as dropped', async () => {
  const room = newRoom();
  const alice = member(room, 'Alice', false);
  const sdpTransform = (sdp: string): string => sdp.replace(/a=max-message-size:\d+/, 'a=max-message-size:10');
  const mallory = new P2PCF('Mallory', room, {
    workerUrl: server.url,
    stunIceServers: [],
    offersAhead: false,
    wrtc,
    sdpTransform,
  });
  const bob = member(room, 'Bobby', false);
  const sees: Peer[] = [];
  alice.on('peerconnect', (peer) => sees.push(peer));
  await alice.start();
  await mallory.start();
  await vi.waitUntil(() => sees.length === 1, WAIT);
  await bob.start();
  await vi.waitUntil(() => sees.length === 2, WAIT);
  const heard = new Promise<ArrayBuffer>((resolve) => bob.once('datagram', (_, data) => resolve(data)));
  const repeat = setInterval(() => alice.broadcastUnreliable(new Uint8Array(100)), 50); // Bob's channel may not be open yet
  expect(() => alice.broadcastUnreliable(new Uint8Array(100))).not.toThrow();
  expect((await heard).byteLength).toBe(100);
  clearInterval(repeat);
  expect(sees.map(({ client_id, datagramsDropped }) => [client_id, datagramsDropped > 0])).toEqual([
    ['Mallory', true],
    ['Bobby', false],
  ]);
  for (const each of [alice, mallory, bob]) each.destroy();
});

test('a peer that opens channels without end is closed with an error', async () => {
  const { alice, bob, aliceSees, bobSees } = await meet();
  const errors: string[] = [];
  aliceSees.on('error', ({ message }) => errors.push(message));
  const open = (): Promise<void> =>
    new Promise((resolve) => {
      const channel = bobSees._pc.createDataChannel('surplus');
      channel.onopen = () => channel.close();
      channel.onclose = () => resolve();
    });
  for (let n = 0; n < 100; n++) await open();
  const heard = firstMessage(alice);
  await bob.broadcast('hello');
  await heard;
  expect(errors).toEqual([]);
  bobSees._pc.createDataChannel('surplus');
  await expect.poll(() => errors, WAIT).toEqual([`The peer ${bob.sessionId} is closed. It opens too many channels.`]);
  alice.destroy();
  bob.destroy();
});

test('peers that have broken off their sockets give way to a member that waits, the longest gone first, and no more of them', async () => {
  const short = await startWorkerd({ vars: { RESUME_GRACE_SECONDS: 1 } });
  const room = newRoom();
  const options = { workerUrl: short.url, stunIceServers: [], offersAhead: false, wrtc };
  const lost: string[] = [];
  class Watched extends WebSocket {
    constructor(url: string, subprotocols: string[]) {
      super(url, subprotocols);
      this.addEventListener('message', ({ data }) => String(data).includes('peer_leave') && lost.push(data));
    }
  }
  const alice = new P2PCF('Alice', room, { ...options, maxConnections: 3, WebSocket: Watched });
  const bob = new P2PCF('Bobby', room, options);
  const met = firstPeer(alice);
  await alice.start();
  await bob.start();
  await met;
  const ghosts: P2PCF[] = [];
  for (const name of ['Ghost 1', 'Ghost 2']) {
    const proxy = await startFaultyProxy(short.url);
    onTestFinished(() => proxy.stop());
    const ghost = new P2PCF(name, room, { ...options, workerUrl: proxy.url });
    ghosts.push(ghost);
    const haunted = firstPeer(alice);
    await ghost.start();
    await haunted;
    proxy.refuse(true);
    proxy.drop();
    await expect.poll(() => lost.length, WAIT).toBe(ghosts.length);
  }
  const carol = new P2PCF('Carol', room, options);
  const metAtLast = firstPeer(alice);
  await carol.start();
  expect((await metAtLast).client_id).toBe('Carol');
  expect(Array.from(alice.peers.values(), ({ client_id, connected }) => [client_id, connected])).toEqual([
    ['Bobby', true],
    ['Ghost 2', true],
    ['Carol', true],
  ]);
  for (const each of [alice, bob, carol, ...ghosts]) each.destroy();
  await short.stop();
});

test('a peer that leaves before its turn has come is gone without a peerclose, as nothing has told that it came', async () => {
  const room = newRoom();
  const options = { workerUrl: server.url, stunIceServers: [], offersAhead: false, wrtc };
  const alice = new P2PCF('Alice', room, { ...options, maxConnections: 1 });
  const log: string[] = [];
  alice
    .on('peerjoin', ({ id }) => log.push(`${id} joins`))
    .on('peerstate', ({ id }, state) => log.push(`${id} ${state}${alice.peers.has(id) ? '' : ', not in peers'}`))
    .on('peerclose', ({ id }) => log.push(`${id} closes`));
  await alice.start();
  const first = await Client.join(placeOf(server), room, 'first');
  const second = await Client.join(placeOf(server), room, 'second');
  await vi.waitUntil(() => alice.peers.size === 2, WAIT);
  await second.close(1000);
  await first.close(1000);
  await vi.waitUntil(() => alice.peers.size === 0, WAIT);
  expect(log).toEqual([
    'first joins',
    'second waiting',
    'second closed, not in peers',
    'first closed, not in peers',
    'first closes',
  ]);
  alice.destroy();
});

test('a member that leaves while we are away, and has no connection just then, is not met again', async () => {
  const room = newRoom();
  const way = await startFaultyProxy(server.url);
  const alice = new P2PCF('Alice', room, { workerUrl: way.url, stunIceServers: [], wrtc });
  const joined: string[] = [];
  alice.on('peerjoin', ({ id }) => joined.push(id));
  await alice.start();
  const bob = await Client.join(placeOf(server), room, 'bob'); // whose turn comes after 1 to 2 s
  const zoe = await Client.join(placeOf(server), room, 'zoe'); // and here after 4 s at least, as of two ids ours is less
  await vi.waitUntil(() => alice.peers.size === 2, WAIT);
  for (const peer of alice.peers.values()) peer.destroy();
  way.refuse(true);
  way.drop();
  await vi.waitUntil(() => alice.state === 'reconnecting', WAIT);
  await bob.close(1000);
  way.refuse(false);
  await vi.waitUntil(() => joined.length > 2, WAIT);
  alice.peers.get('zoe')?.destroy();
  await vi.waitUntil(() => alice.peers.has('zoe'), WAIT);
  expect(joined).toEqual(['bob', 'zoe', 'zoe', 'zoe']);
  alice.destroy();
  await zoe.close(1000);
  await way.stop();
});

test('peerjoin comes before peerconnect, also where the connection is there before our offer is done with', async () => {
  const room = newRoom();
  class Slow extends wrtc.RTCPeerConnection {
    override async setLocalDescription(description: RTCSessionDescriptionInit): Promise<void> {
      await super.setLocalDescription(description);
      await new Promise(() => undefined);
    }
  }
  const options = { workerUrl: server.url, stunIceServers: [], offersAhead: false, maxConnections: 1 };
  const alice = new P2PCF('Alice', room, { ...options, wrtc: { RTCPeerConnection: Slow } });
  const log: string[] = [];
  alice
    .on('peerjoin', ({ client_id }) => log.push(`${client_id} joins`))
    .on('peerconnect', ({ client_id }) => log.push(`${client_id} connects`));
  await alice.start();
  const first = await Client.join(placeOf(server), room, 'first');
  await vi.waitUntil(() => log.length === 1, WAIT);
  const bob = member(room, 'Bobby', false);
  await bob.start();
  await vi.waitUntil(() => alice.peers.size === 2, WAIT);
  await first.close(1000); // and Bobby's turn has come
  await expect.poll(() => log, WAIT).toEqual(['first joins', 'Bobby joins', 'Bobby connects']);
  alice.destroy();
  bob.destroy();
});

test.each([true, false])('whoever answers is DTLS server, which loses no hello; offers ahead: %s', async (ahead) => {
  const room = newRoom();
  const [alice, bob] = [member(room, 'Alice', ahead), member(room, 'Bobby', ahead)];
  const roles: string[] = [];
  for (const each of [alice, bob])
    each.on('peerjoin', (peer) =>
      peer.on('signal', (signal) => {
        const { type, sdp = '' } = Object(signal);
        if (type === 'answer') roles.push(String(/a=setup:(\w+)/.exec(sdp)?.[1]));
      }),
    );
  await alice.start();
  await bob.start();
  await vi.waitUntil(() => [alice, bob].every(({ connectedSessions }) => connectedSessions.length === 1), WAIT);
  expect(new Set(roles)).toEqual(new Set(['passive'])); // more than one where an answer is sent again
  alice.destroy();
  bob.destroy();
});

test('a peer that a listener closes as its connection is to be made anew gets no other', async () => {
  const room = newRoom();
  let made = 0;
  class Counted extends wrtc.RTCPeerConnection {
    constructor(configuration: ConstructorParameters<typeof wrtc.RTCPeerConnection>[0]) {
      super(configuration);
      made++;
    }
  }
  const options = { workerUrl: server.url, stunIceServers: [], offersAhead: false };
  const alice = new P2PCF('Alice', room, { ...options, wrtc: { RTCPeerConnection: Counted } });
  const bob = member(room, 'Bobby', false);
  const met = firstPeer(alice);
  await alice.start();
  await bob.start();
  const peer = await met;
  const before = made;
  peer.on('state', (state) => state === 'connecting' && peer.destroy());
  Object(peer).negotiator.startOver();
  expect([peer.destroyed, made - before]).toEqual([true, 0]);
  alice.destroy();
  bob.destroy();
});

test('a peer that a listener of its first signal closes is not signaled to', async () => {
  const room = newRoom();
  const sent: string[] = [];
  class Watched extends WebSocket {
    override send(data: string): void {
      if (data.includes('"signal"')) sent.push(data);
      super.send(data);
    }
  }
  const options = { workerUrl: server.url, stunIceServers: [], offersAhead: false, wrtc };
  const alice = new P2PCF('Alice', room, { ...options, WebSocket: Watched });
  const bob = member(room, 'Bobby', false);
  let closed = 0;
  alice.on('peerjoin', (peer) => peer.on('signal', () => peer.destroy())).on('peerclose', () => closed++);
  await alice.start();
  await bob.start();
  await vi.waitUntil(() => closed > 0, WAIT);
  expect(sent).toEqual([]);
  alice.destroy();
  bob.destroy();
});

test('a peer that is closed as its connection is to be made anew says nothing more', async () => {
  const room = newRoom();
  const alice = member(room, 'Alice', false);
  const mallory = new P2PCF('Mallory', room, {
    workerUrl: server.url,
    stunIceServers: [],
    offersAhead: false,
    wrtc,
    sdpTransform: (sdp) => sdp.replace(/a=max-message-size:\d+/, 'a=max-message-size:10'),
  });
  const met = [firstPeer(alice), firstPeer(mallory)];
  const log: string[] = [];
  await alice.start();
  await mallory.start();
  const [aliceSees, mallorySees] = await Promise.all(met);
  if (!aliceSees || !mallorySees) throw new Error('both have met');
  onTestFinished(() => void vi.useRealTimers());
  const closed = new Promise<void>((resolve) =>
    aliceSees
      .on('state', (state, reason) => log.push(`${state} ${reason ?? ''}`))
      .on('error', ({ message }) => log.push(message))
      .on('close', () => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        resolve();
      }),
  );
  // An offer that cannot be taken, so that Alice starts over; that she cannot say.
  const sdp = `v=0\r\n${/a=fingerprint:.*/.exec(mallorySees._pc.localDescription?.sdp ?? '')?.[0]}\r\nm=application 9 x y\r\n`;
  for (const frame of signalFrames({ type: 'offer', sdp }, 1)) mallorySees._channel?.send(frame);
  await closed;
  vi.advanceTimersByTime(20_000); // longer than a connection may take
  expect(log).toEqual(['closed ', expect.stringContaining('It takes no signal of ours')]);
  vi.useRealTimers();
  alice.destroy();
  mallory.destroy();
});

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

test('an app that removes all its listeners of a peer hears of it by the room all the same', async () => {
  const { alice, bob, aliceSees: peer } = await meet();
  peer.removeAllListeners();
  const heard = firstMessage(alice);
  await bob.broadcast('hello');
  expect((await heard).byteLength).toBe(5);
  const parted = new Promise((resolve) => alice.once('peerclose', resolve));
  peer.removeAllListeners('close');
  bob.destroy();
  expect(await parted).toBe(peer);
  expect(alice.peers.size).toBe(0);
  alice.destroy();
});

test('a message arrives whole, whatever its onProgress does, and statistics are told once', async () => {
  const { alice, bob, aliceSees: peer } = await meet();
  const errors: unknown[] = [];
  vi.stubGlobal('queueMicrotask', (report: () => void) =>
    Promise.resolve()
      .then(report)
      .catch((error) => errors.push(error)),
  );
  const heard = firstMessage(bob);
  await alice.send(peer, new Uint8Array(40_000), (sent) => {
    throw sent;
  });
  expect((await heard).byteLength).toBe(40_000);
  vi.unstubAllGlobals();
  expect(errors).toEqual([16_000, 32_000, 40_000]);
  alice.destroy();
  bob.destroy();
});

test('a peer that goes while a stream of its messages pauses ends no process, where a closed connection has no statistics', async () => {
  let refused = 0;
  const pair = { requestsSent: 0, responsesReceived: 0, requestsReceived: 0, packetsReceived: 0 };
  const stats = new Map<string, object>([
    ['transport', { type: 'transport', selectedCandidatePairId: 'pair' }],
    ['pair', pair],
  ]);
  let asked = 0;
  /** As that of @roamhq/wrtc (0.10). */
  class StrictConnection extends wrtc.RTCPeerConnection {
    #isClosed = false;
    override close(): void {
      this.#isClosed = true;
      super.close();
    }
    override getStats(): Promise<RTCStatsReport> {
      asked++;
      if (!this.#isClosed) return Promise.resolve(stats);
      refused++;
      return Promise.reject(new Error('RTCPeerConnection is closed'));
    }
  }
  const room = newRoom();
  const options = { workerUrl: server.url, stunIceServers: [] };
  const alice = new P2PCF('Alice', room, { ...options, wrtc: { RTCPeerConnection: StrictConnection } });
  const bob = new P2PCF('Bobby', room, { ...options, wrtc });
  const met = [firstPeer(alice), firstPeer(bob)];
  await alice.start();
  await bob.start();
  await Promise.all(met);
  for (let n = 0; n < 10; n++) await bob.broadcast('a stream');
  await expect.poll(() => asked, WAIT).toBeGreaterThan(0);
  bob.destroy();
  await expect.poll(() => refused, WAIT).toBeGreaterThan(0); // an unhandled rejection fails the run
  alice.destroy();
});

test.each(['state', 'peerclose'] as const)('a listener of %s that starts again is in again', async (event) => {
  const room = newRoom();
  const alice = member(room, 'Alice', true);
  const bob = member(room, 'Bobby', true);
  const met = firstPeer(alice);
  await alice.start();
  await bob.start();
  await met;
  const again = new Promise<Peer>((resolve, reject) =>
    alice.once(event, () => {
      alice.start().catch(reject);
      alice.once('peerconnect', resolve);
    }),
  );
  alice.destroy();
  expect((await again).client_id).toBe('Bobby');
  alice.destroy();
  bob.destroy();
});

test.each([true, false])('an sdpTransform that returns nothing is named, offers ahead: %s', async (offersAhead) => {
  const room = newRoom();
  const options = { workerUrl: server.url, stunIceServers: [], offersAhead, wrtc };
  const alice = new P2PCF('Alice', room, options);
  const bob: P2PCF = Reflect.construct(P2PCF, ['Bobby', room, { ...options, sdpTransform: () => undefined }]);
  const failed = new Promise((resolve) => {
    bob.on('peerstate', (_peer, state, reason) => state === 'failed' && resolve(reason));
  });
  await alice.start();
  await bob.start();
  expect(await failed).toContain('The option sdpTransform returned undefined, not a string');
  alice.destroy();
  bob.destroy();
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

test.each(['connecting', 'open', 'reconnecting'] as const)(
  'a listener that stops us when we are %s has the last word',
  async (when) => {
    const sockets: WebSocket[] = [];
    class Counted extends WebSocket {
      constructor(url: string, subprotocols: string[]) {
        super(url, subprotocols);
        sockets.push(this);
      }
    }
    const client = new SignalingClient({ workerUrl: server.url, roomId: newRoom(), WebSocket: Counted });
    const stopped = new Promise<void>((resolve) => {
      client.on('state', (state) => {
        if (state === 'open') sockets[0]?.close(4010); // and its close event follows
        if (state !== when) return;
        client.stop();
        resolve();
      });
    });
    client.start().catch(() => undefined);
    await stopped;
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // a lost connection is made anew within 250 ms
    expect([client.state, sockets.length]).toEqual(['closed', when === 'connecting' ? 0 : 1]);
  },
);

test('a listener that stops us and starts again waits for the next answer', async () => {
  const client = new SignalingClient({ workerUrl: server.url, roomId: newRoom() });
  const again = new Promise<string>((resolve) => {
    const stopOnce = (state: string): void => {
      if (state !== 'open') return;
      client.off('state', stopOnce).stop();
      void client.start().then(() => resolve(client.state));
    };
    client.on('state', stopOnce);
  });
  await expect(client.start()).rejects.toThrow('Stopped');
  expect(await again).toBe('open');
  client.stop();
});

test.each([
  ['rejects', () => Promise.reject(new Error('none to be had'))],
  [
    'throws',
    () => {
      throw new Error('none to be had');
    },
  ],
])('an option prepare that %s costs the answer, and not the join', async (_how, prepare) => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  onTestFinished(() => warn.mockRestore());
  const client = new SignalingClient({ workerUrl: server.url, roomId: newRoom(), prepare });
  await client.start();
  expect(warn).toHaveBeenCalledWith('P2PCF-WS: The option prepare failed: Error: none to be had');
  client.stop();
});

test('members that repeat their offers do not have us send more than the room takes', async () => {
  const room = newRoom();
  const refused: string[] = [];
  class Watched extends WebSocket {
    constructor(url: string, subprotocols: string[]) {
      super(url, subprotocols);
      this.addEventListener('message', ({ data }) => String(data).includes('rate_limited') && refused.push(data));
    }
  }
  const options = { workerUrl: server.url, stunIceServers: [], wrtc };
  const alice = new P2PCF('Alice', room, { ...options, WebSocket: Watched });
  await alice.start();
  const hostile = await Promise.all([1, 2, 3, 4].map((n) => Client.join(placeOf(server), room, `hostile ${n}`)));
  const offering = new wrtc.RTCPeerConnection();
  offering.createDataChannel('any');
  await offering.setLocalDescription(await offering.createOffer());
  const signal = { type: 'offer', sdp: offering.localDescription?.sdp, attempt: 'the same' };
  for (const each of hostile) {
    for (let n = 0; n < 240; n++) await each.signal(alice.sessionId, signal);
    // It is answered now and then, or else no honest peer would be whose answer was lost.
    await vi.waitFor(() => expect(each.received.join()).not.toBe(''), WAIT);
  }
  const bob = member(room, 'Bobby', true);
  const met = firstPeer(bob);
  await bob.start();
  expect((await met).client_id).toBe('Alice');
  expect(refused).toEqual([]);
  for (const each of hostile) await each.close(1000);
  offering.close();
  alice.destroy();
  bob.destroy();
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
        message: 'The room refused: Room is full: 1 peers (4003).',
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

test.each([undefined, null, 'https://example.com', 5])('new SignalingClient(%j) says what is wrong', (options) => {
  expect(() => Reflect.construct(SignalingClient, [options])).toThrow(
    `The options are ${JSON.stringify(options)}, not an object: pass { workerUrl, roomId }.`,
  );
});

test('new SignalingClient says so of what the server would refuse', () => {
  const make = (more: object): unknown =>
    Reflect.construct(SignalingClient, [{ workerUrl: 'https://example.com', roomId: 'lobby', ...more }]);
  expect(() => make({ metadata: 'x'.repeat(2559) })).toThrow('The metadata has 2561 bytes of JSON; 2560 is the most.');
  for (const resumeToken of ['mine', 5, crypto.randomUUID().toUpperCase(), 'a'.repeat(36)])
    expect(() => make({ resumeToken })).toThrow('resumeToken must have 36 characters, random and in small letters');
  expect(() => make({ metadata: 1n })).toThrow('The metadata must be what JSON can say');
  for (const WebSocket of ['ws', {}]) expect(() => make({ WebSocket })).toThrow('as the option WebSocket');
  make({ metadata: 'x'.repeat(2558), resumeToken: crypto.randomUUID() });
});

test.each([undefined, null, 'a session id', {}])('%j, which is no peer, is named where one is wanted', (peer) => {
  const room = new P2PCF('name', 'room', { workerUrl: 'https://example.com', wrtc });
  for (const method of ['send', 'sendUnreliable', 'remove'] as const)
    expect(() => Reflect.apply(room[method], room, [peer, 'hello'])).toThrow(
      `${method}() takes a peer, as room.peers has them.`,
    );
});

test.each([1_000, 15_988, 15_989, 16_000, 16_001, 40_000, 2_000_000])(
  'a buffer of %i bytes that the app uses again at once arrives as it was, from send and from broadcast',
  async (size) => {
    const { alice, bob, aliceSees } = await meet();
    const heard: ArrayBuffer[] = [];
    bob.on('msg', (_peer, data) => heard.push(data));
    const buffer = new Uint8Array(size).fill(1);
    buffer.set([0xb9, 0x1f]); // as a frame begins
    const before = buffer.slice();
    const sent = [alice.send(aliceSees, buffer), alice.broadcast(buffer.buffer), aliceSees.send(buffer)];
    structuredClone(buffer, { transfer: [buffer.buffer] });
    await Promise.all(sent);
    await vi.waitFor(() => expect(heard).toHaveLength(3), WAIT);
    for (const each of heard) expect(Buffer.compare(new Uint8Array(each), before)).toBe(0);
    alice.destroy();
    bob.destroy();
  },
);

test('metadata or a room id that the app changes stays as it was when the room was made, and keeps nobody from coming back', async () => {
  const sockets: WsWebSocket[] = [];
  class Kept extends WsWebSocket {
    constructor(url: string, subprotocols: string[]) {
      super(url, subprotocols);
      sockets.push(this);
    }
  }
  const roomId = newRoom();
  const metadata: Record<string, unknown> = { colour: 'red' };
  const room = new P2PCF('Alice', roomId, {
    workerUrl: server.url,
    stunIceServers: [],
    wrtc,
    metadata,
    WebSocket: Kept,
  });
  const options = { workerUrl: server.url, roomId, metadata, WebSocket: Kept };
  const client = new SignalingClient(options);
  for (const each of [room, client]) await each.start();
  options.roomId = newRoom(); // of another client, that is about to be made
  Object.assign(metadata, { colour: 'blue', long: 'x'.repeat(5_000), itself: metadata, big: 1n });
  const back = new Promise((resolve) => client.once('peers', resolve));
  for (const each of sockets) each.terminate();
  await vi.waitFor(() => expect([room.state, client.state]).toEqual(['open', 'open']), WAIT);
  expect(await back).toMatchObject({ resumed: true });
  const bob = await Client.connect(placeOf(server), roomId, 'bob');
  expect(Object.values(Object(await bob.next()).metadata)).toEqual(
    expect.arrayContaining([{ client_id: 'Alice', metadata: { colour: 'red' } }, { colour: 'red' }]),
  );
  room.destroy();
  client.stop();
});

test.each([
  ['name', 'room', undefined, /^workerUrl is missing/],
  ['name', 'room', 'https://example.com', /^options is "https:\/\/example.com": it must be an object like/],
  ['name', 'room', { workerUrl: 'example.com' }, /must begin with https/],
  ['name', 'x'.repeat(129), { workerUrl: 'https://example.com' }, /^The option roomId is longer than 128 characters/],
  ['name', 'room', { workerUrl: 'https://example.com', metadata: 'x'.repeat(2047) }, /^The metadata has 2049 bytes/],
  ['name', 'room', { workerUrl: 'https://example.com' }, /^There is no WebRTC here/],
])('new P2PCF(%j, %.10j, %.60j) says what is wrong', (clientId, roomId, options, complaint) => {
  expect(() => Reflect.construct(P2PCF, [clientId, roomId, options])).toThrow(complaint);
});

test('a room is full at maxPeers of whoever opened it, and the app may go to another', async () => {
  const roomId = newRoom();
  const rooms: P2PCF[] = [];
  const enter = async (name: string, id: string, maxPeers: number): Promise<void> => {
    const room = new P2PCF(name, id, { workerUrl: server.url, stunIceServers: [], wrtc, maxPeers });
    rooms.push(room);
    const moved = new Promise<void>((resolve, reject) =>
      room.on('full', ({ max }) => enter(`${name}, who heard ${max}`, `${roomId}-2`, 5).then(resolve, reject)),
    );
    await room.start().catch((error: unknown) => {
      expect(error).toMatchObject({ code: 4003 });
      return moved;
    });
  };
  await enter('Alice', roomId, 2);
  await enter('Bobby', roomId, 9);
  await enter('Carol', roomId, 9);
  await enter('Dorothy', roomId, 9);
  expect(rooms.filter(({ state }) => state === 'open').map((room) => [room.clientId, room.roomId])).toEqual([
    ['Alice', roomId],
    ['Bobby', roomId],
    ['Carol, who heard 2', `${roomId}-2`],
    ['Dorothy, who heard 2', `${roomId}-2`],
  ]);
  for (const room of rooms) room.destroy();
});
