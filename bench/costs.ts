/**
 * `npm run bench:costs`: how much of the server's CPU one message, join or poll can cost at most: a column of the table in
 * SECURITY.md.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { Client } from '../test/support/client.ts';
import { openSocket, placeOf } from '../test/support/place.ts';
import { type Server, startWorkerd } from '../test/support/server.ts';
import { cpuSeconds } from './process.ts';
import { median } from './statistics.ts';

const SAMPLES = 5;
/** As wrangler.toml has them. */
const MAX_PEERS = 128;
const MAX_MESSAGE_BYTES = 65_536;

const ROOM = 'lobby';
/** Metadata of 2 KiB each is what a full room may have. */
const METADATA = JSON.stringify('x'.repeat(2046));
const HASH = Array.from({ length: 32 }, () => 'AB').join(':');
const SDP = `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Wufr\r\na=ice-pwd:Wpwd\r\na=fingerprint:sha-256 ${HASH}\r\na=mid:0\r\n`;

/** Makes a room ready on a fresh server, and returns what is measured: how often it is done, and the doing. */
type Scene = (server: Server) => Promise<{ times: number; act: () => Promise<unknown> }>;

const large = 'x'.repeat(MAX_MESSAGE_BYTES - 200);

/** Texts of digits that V8 would keep at one place: what takes longest to be read (src/protocol/json.ts). */
const digits = (n: number): string[] => Array.from({ length: 4_800 }, (_, m) => String((n * 4_800 + m + 1) * 2 ** 15));

const SCENES: Record<string, Scene> = {
  async 'a join'(server) {
    await fill(server, MAX_PEERS - 1, true);
    const token = crypto.randomUUID();
    const comeBack = async (): Promise<unknown> =>
      (await Client.connect(placeOf(server), ROOM, 'joiner', { metadata: METADATA, ahead: '1', resume: token })).next();
    return { times: 100, act: () => repeat(100, comeBack) };
  },
  async 'a signal to a socket'(server) {
    const [alice] = await fill(server, 1);
    const bob = await Client.join(placeOf(server), ROOM, 'bob');
    return { times: 25, act: () => heardBy(bob, 25, (n) => alice.signal('bob', digits(n))) };
  },
  async 'a broadcast'(server) {
    const members = await fill(server, MAX_PEERS - 1);
    const [first] = members;
    const act = (): Promise<unknown> =>
      heardBy(first, 3, (n) => members[n + 1]?.send({ type: 'broadcast', data: large })); // more would be too much at once
    return { times: 3, act };
  },
  async 'a signal to a poller'(server) {
    const members = await fill(server, 100);
    await poll(server, 'polly', { p: [] });
    const offer = {
      type: 'offer',
      sdp: SDP,
      candidates: [{ candidate: `candidate:1 1 udp 1 192.0.2.1 9 typ host` }, { candidate: '' }],
    };
    const [first] = members;
    const act = async (): Promise<void> => {
      for (const member of members) await member.signal('polly', offer);
      // What is read last tells that all has been read.
      await heardBy(first, 99, (n) => members[n + 1]?.signal('peer 0', n));
    };
    return { times: 100, act };
  },
  async 'a poll that only asks'(server) {
    await fill(server, 90);
    for (let n = 0; n < 30; n++) await poll(server, `m${n}`, { p: packagesFor('polly', `m${n}`, 40_000) });
    await poll(server, 'polly', { p: [] });
    return { times: 50, act: () => repeat(50, () => poll(server, 'polly')) };
  },
  async 'a poll that posts'(server) {
    await fill(server, 90);
    const post = (n: number): Promise<void> => {
      const id = `m${n % 30}`;
      return poll(server, id, { p: packagesFor('nobody', id, 60_000), t: Date.now() + n });
    };
    return { times: 100, act: () => repeat(100, post) };
  },
  async 'a drop'(server) {
    const [first] = await fill(server, 1);
    const sockets: WebSocket[] = [];
    for (let n = 0; n < 100; n++) {
      const path = `/ws/room/${ROOM}?clientId=m${n}&resume=1&metadata=${encodeURIComponent(METADATA)}`;
      const socket = await openSocket(server, path, () => undefined);
      socket.send(JSON.stringify({ type: 'signal', targetId: 'peer 0', signal: n }));
      sockets.push(socket);
    }
    await heardOf(first, 1 + 200);
    const act = async (): Promise<void> => {
      for (const socket of sockets) socket.terminate();
      for (const n of sockets.keys()) {
        do {
          await delay(5);
          await first.signal(`m${n}`, 'are you there?');
        } while (Object(await first.next()).code !== 'peer_away');
      }
    };
    return { times: 100, act };
  },
};

async function microsecondsOf(scene: Scene): Promise<number> {
  const server = await startWorkerd();
  try {
    const { times, act } = await scene(server);
    const before = cpuSeconds(server.pid);
    await act();
    return ((cpuSeconds(server.pid) - before) * 1e6) / times;
  } finally {
    await server.stop();
  }
}

/** So many members. Each has heard of all that came later and, if `ahead`, published the longest offer that it may. */
async function fill(server: Server, size: number, ahead = false): Promise<[Client, ...Client[]]> {
  const members: Client[] = [];
  for (let n = 0; n < size; n++) {
    const member = await Client.connect(placeOf(server), ROOM, `peer ${n}`, { metadata: METADATA, ahead: '1' });
    await member.next();
    if (ahead) await member.send({ type: 'ahead', offer: 'x'.repeat(8_000) });
    members.push(member);
  }
  const [first, ...others] = members;
  if (!first) throw new Error('nobody to fill the room with');
  await heardOf(first, size);
  return [first, ...others];
}

/** Waits until a member has received so many messages. */
async function heardOf(member: Client, count: number): Promise<void> {
  while (member.received.length < count) await member.next();
}

/** Says something so many times, and waits until `listener` has heard of each. */
async function heardBy(listener: Client, times: number, say: (n: number) => Promise<void> | undefined): Promise<void> {
  const before = listener.received.length;
  for (let n = 0; n < times; n++) await say(n);
  await heardOf(listener, before + times);
}

async function repeat(times: number, act: (n: number) => Promise<unknown>): Promise<void> {
  for (let n = 0; n < times; n++) await act(n);
}

async function poll(server: Server, id: string, more: object = {}): Promise<void> {
  const d = [id, 'a label', false, `${'A'.repeat(43)}=`, 1, []];
  const body = JSON.stringify({ r: ROOM, k: `context of ${id}`, d, t: Date.now(), x: 120_000, ...more });
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(server.url, { method: 'POST', headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${id} polled, and was answered ${response.status} ${text}`);
}

/** A poller's packages for another, of so many bytes in all. */
function packagesFor(receiver: string, sender: string, bytes: number): unknown[] {
  const candidates = Array.from({ length: 4 }, () => 'x'.repeat(bytes / 4));
  return [[receiver, sender, '', '', '', Date.now(), '', ...candidates]];
}

for (const [action, scene] of Object.entries(SCENES)) {
  const samples: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) samples.push(await microsecondsOf(scene));
  console.log(`${action}: ${Math.round(median(samples))} µs`);
}
