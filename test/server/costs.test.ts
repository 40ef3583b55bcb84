/**
 * What one message, join or poll can cost at most, counted in a real server process: the table in SECURITY.md. On Linux
 * alone, which tells the memory of another process.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { anonymousBytes } from '../../bench/process.ts';
import { Client } from '../support/client.ts';
import { openSocket, placeOf } from '../support/place.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const MIB = 1024 * 1024;

let server: Server;
beforeEach(async () => {
  server = await startWorkerd({ main: 'test/support/metered.ts' });
});
afterEach(() => server.stop());

type Bill = Record<
  'workerRequests' | 'roomRequests' | 'messages' | 'rowsWritten' | 'rowsRead' | 'alarms' | 'timers',
  number
>;

const readBill = async (): Promise<Bill> => Object(await (await fetch(`${server.url}/bill`)).json());

/** What the bill grows by while something is done. */
async function costOf(action: () => Promise<unknown>): Promise<Bill> {
  const before = new Map(Object.entries(await readBill()));
  await action();
  const after = Object.entries(await readBill());
  return Object(Object.fromEntries(after.map(([item, count]) => [item, count - (before.get(item) ?? 0)])));
}

async function poll(id: string, more: object = {}): Promise<{ status: number; bytes: number; pk: unknown[] }> {
  const d = [id, 'a label', false, `${'A'.repeat(43)}=`, 1, []];
  const body = JSON.stringify({ r: 'lobby', k: `context of ${id}`, d, t: Date.now(), x: 120_000, ...more });
  const response = await fetch(server.url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  const text = await response.text();
  return { status: response.status, bytes: text.length, pk: response.ok ? JSON.parse(text).pk : [] };
}

const HASH = Array.from({ length: 32 }, () => 'AB').join(':');
const SDP = `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Wufr\r\na=ice-pwd:Wpwd\r\na=fingerprint:sha-256 ${HASH}\r\na=mid:0\r\n`;
const OFFER = {
  type: 'offer',
  sdp: SDP,
  candidates: [{ candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host' }, { candidate: '' }],
};

test('a join, into a room that is full of metadata: a request, no row, a message of half a MiB at most', async () => {
  const place = placeOf(server);
  const metadata = JSON.stringify('x'.repeat(2046));
  const members: Client[] = [];
  for (let n = 0; n < 127; n++)
    members.push(await Client.connect(place, 'lobby', `peer ${n}`, { metadata, ahead: '1' }));
  const [first] = members;
  await expect.poll(() => first?.received.length, WAIT).toBe(127); // who is there, and 126 joins
  const cost = await costOf(async () => {
    const joiner = await Client.connect(place, 'lobby', 'joiner', { metadata, ahead: '1', resume: '1' });
    const welcome = await joiner.next();
    expect(Object(welcome).peers).toHaveLength(127);
    expect(JSON.stringify(welcome).length).toBeLessThan(0.5 * MIB);
    await expect
      .poll(() => first?.received.slice(127), WAIT)
      .toMatchObject([{ type: 'peer_join', clientId: 'joiner' }]);
  });
  expect(JSON.stringify(first?.received.at(-1)).length).toBeLessThan(4096);
  expect(cost).toMatchObject({
    workerRequests: 1,
    roomRequests: 1,
    messages: 0,
    rowsWritten: 0,
    rowsRead: 0,
    timers: 0,
  });
});

test('a poller in a room of fifty sockets that all offer to it: two requests of its own, three rows at most', async () => {
  const sockets: Client[] = [];
  for (let n = 0; n < 50; n++) sockets.push(await Client.join(placeOf(server), 'lobby', `socket ${n}`));
  const cost = await costOf(async () => {
    expect(await poll('polly', { p: [] })).toMatchObject({ status: 200 });
    for (const socket of sockets) await socket.signal('polly', OFFER);
    await expect.poll(async () => (await readBill()).messages, WAIT).toBe(50);
    expect((await poll('polly')).pk).toHaveLength(50);
  });
  expect(cost).toMatchObject({ workerRequests: 2, roomRequests: 2, messages: 50, timers: 0 });
  expect(cost.rowsWritten).toBeLessThanOrEqual(3);
  const signals = await costOf(async () => {
    for (let n = 0; n < 50; n++) await sockets[n]?.signal('polly', { candidates: [{ candidate: `candidate:${n}` }] });
    await expect.poll(async () => (await readBill()).messages, WAIT).toBe(100);
  });
  expect(signals).toMatchObject({ roomRequests: 0, rowsWritten: 0, rowsRead: 0 });
});

test('200 polls of 64 KiB of empty objects: memory for two MiB, and replies of half a MiB', async () => {
  await Client.join(placeOf(server), 'lobby', 'socket');
  const before = anonymousBytes(server.pid);
  const statuses = new Set<number>();
  for (let n = 0; n < 200; n++) {
    const { status } = await poll(`m${n}`, { p: [['polly', `m${n}`, ...Array<object>(21_000).fill({})]] });
    statuses.add(status);
  }
  expect([...statuses].sort()).toEqual([200, 503]);
  expect((await poll('polly')).bytes).toBeLessThan(0.6 * MIB);
  expect(anonymousBytes(server.pid) - before).toBeLessThan(64 * MIB);
});

test.each([
  ['eight', 8, 'a client that does not read', 1, 'four MiB', 96],
  ['24', 24, '32 that do not read', 32, 'some 28 MiB', 96],
])(
  '%s members (%i) send to %s (%i): the room owes %s (process: %i), and then the others talk',
  async (_many, senderCount, _to, readerCount, _owed, mostMib) => {
    const readers: WebSocket[] = [];
    for (let n = 0; n < readerCount; n++) {
      const reader = await openSocket(server, `/ws/room/lobby?clientId=mallory${n}`, () => undefined);
      Reflect.get(reader, '_socket').pause();
      readers.push(reader);
    }
    const [alice, bob] = [
      await Client.join(placeOf(server), 'lobby', 'alice'),
      await Client.join(placeOf(server), 'lobby', 'bob'),
    ];
    expect(await alice.next()).toMatchObject({ type: 'peer_join' });
    const before = anonymousBytes(server.pid);
    const frameTo = (n: number): string =>
      JSON.stringify({ type: 'signal', targetId: `mallory${n % readerCount}`, signal: 'x'.repeat(60_000) });
    const senders: WebSocket[] = [];
    for (let n = 0; n < senderCount; n++)
      senders.push(await openSocket(server, `/ws/room/lobby?clientId=sender${n}`, () => undefined));
    const sent = senders.map(async (sender) => {
      const closed = new Promise((resolve) => sender.once('close', resolve));
      for (let n = 0; n < 500 && sender.readyState === sender.OPEN; n++)
        await new Promise<void>((resolve) => sender.send(frameTo(n), () => resolve()));
      sender.close();
      await closed;
    });
    await Promise.all(sent);
    for (let n = 0; n < 20; n++) {
      await alice.signal('bob', n);
      for (;;) if (Object(await bob.next()).signal === n) break;
    }
    expect(anonymousBytes(server.pid) - before).toBeLessThan(mostMib * MIB);
    for (const reader of readers) reader.terminate();
  },
);

test('a member that the room has closed and that ignores it: nothing of 100,000 messages is heard, nor paid for but by the message', async () => {
  const [alice, bob] = [
    await Client.join(placeOf(server), 'lobby', 'alice'),
    await Client.join(placeOf(server), 'lobby', 'bob'),
  ];
  expect(await alice.next()).toMatchObject({ type: 'peer_join' });
  const mallory = await openSocket(server, '/ws/room/lobby?clientId=mallory', () => undefined);
  const receiver = Reflect.get(mallory, '_receiver');
  const closed = new Promise((resolve) => receiver.once('conclude', resolve));
  for (const listener of receiver.listeners('conclude')) {
    if (listener.name === 'receiverOnConclude') receiver.removeListener('conclude', listener);
  }
  mallory.send('x'.repeat(65_537));
  await closed;
  for (const client of [alice, bob]) {
    expect(await client.next()).toMatchObject({ type: 'peer_join', clientId: 'mallory' });
    expect(await client.next()).toMatchObject({ type: 'peer_leave', clientId: 'mallory' });
  }
  const count = 100_000;
  const frame = JSON.stringify({ type: 'signal', targetId: 'bob', signal: 'x'.repeat(1000) });
  const { messages } = await readBill();
  for (let n = 0; n < count; n++) {
    if (n % 1000 === 0) await new Promise<void>((resolve) => mallory.send(frame, () => resolve()));
    else mallory.send(frame);
  }
  await expect.poll(async () => (await readBill()).messages, WAIT).toBe(messages + count);
  await alice.signal('bob', 'nothing else');
  expect(await bob.next()).toMatchObject({ fromId: 'alice', signal: 'nothing else' });
  expect(await readBill()).toMatchObject({ rowsWritten: 0, rowsRead: 0 });
  mallory.terminate();
});
