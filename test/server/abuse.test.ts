/** What strangers and bad networks do, over real TCP. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { openSocket, placeOf } from '../support/place.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const peerLeave = (clientId: string) => ({
  type: 'peer_leave',
  clientId,
  timestamp: expect.any(Number),
  reason: 'timeout',
});

/** Alice and Bob, and Mallory's bare socket, whose joins have been read. */
async function withMallory(
  server: Server,
): Promise<{ alice: Client; bob: Client; mallory: WebSocket; frames: string[] }> {
  const room = newRoom();
  const alice = await Client.join(placeOf(server), room, 'alice');
  const bob = await Client.join(placeOf(server), room, 'bob');
  const frames: string[] = [];
  const mallory = await openSocket(server, `/ws/room/${encodeURIComponent(room)}?clientId=mallory`, (socket) => {
    socket.on('message', (frame) => frames.push(String(frame)));
  });
  for (const client of [alice, alice, bob]) expect(await client.next()).toMatchObject({ type: 'peer_join' });
  return { alice, bob, mallory, frames };
}

/** Alice and Bob talk in turns; each message must be the very next the other hears. */
async function talk(alice: Client, bob: Client, turns: number): Promise<void> {
  for (let n = 0; n < turns; n++) {
    await alice.signal('bob', n);
    expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: n });
    await bob.signal('alice', n);
    expect(await alice.next()).toEqual({ type: 'signal', fromId: 'bob', signal: n });
  }
}

const closeOf = (socket: WebSocket): Promise<{ code: number; reason: string }> =>
  new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })));

describe('with the limits of wrangler.toml', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startWorkerd();
  });
  afterAll(() => server.stop());

  test.each([
    ['cut', (socket: WebSocket) => socket.terminate()],
    ['reset', (socket: WebSocket) => Reflect.get(socket, '_socket').resetAndDestroy()],
  ])('a connection that is %s leaves once', async (_how, die) => {
    const { alice, bob, mallory } = await withMallory(server);
    die(mallory);
    expect(await alice.next()).toEqual(peerLeave('mallory'));
    expect(await bob.next()).toEqual(peerLeave('mallory'));
    await talk(alice, bob, 1);
  });

  test('a frame no WebSocket would send ends that connection alone', async () => {
    const { alice, bob, mallory } = await withMallory(server);
    const closed = closeOf(mallory);
    Reflect.get(mallory, '_socket').write(Buffer.from([0xf3, 0x80, 0, 0, 0, 0])); // reserved bits set
    expect(await alice.next()).toEqual(peerLeave('mallory'));
    expect(await bob.next()).toEqual(peerLeave('mallory'));
    await talk(alice, bob, 1);
    await closed;
  });

  test('nobody sends compressed what would become a thousand times as much in the room', async () => {
    const url = `${server.url.replace(/^http/, 'ws')}/ws/room/${encodeURIComponent(newRoom())}`;
    const mallory = new WebSocket(url, { perMessageDeflate: true });
    await new Promise((resolve, reject) => mallory.once('open', resolve).once('error', reject));
    expect(mallory.extensions).toBe('');
    mallory.terminate();
  });

  test.each([
    ['Content-Length: 100\r\n\r\nhello', 400],
    ['Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 400],
    ['Content-Length: 0\r\n\r\n', 101],
  ])('a join with a body, of which workerd would never notice the end, is refused: %j', async (rest, status) => {
    const room = encodeURIComponent(newRoom());
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const answered = once(socket, 'data');
    const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    socket.write(
      `GET /ws/room/${room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n${rest}`,
    );
    expect(String(await answered)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    socket.destroy();
  });

  test.each([0, 1, 999, 1004, 1015, 5000, 65_535])(
    'a close frame with the code %i, which may not be sent, is answered',
    async (code) => {
      const { hostname, port } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      const answers: Buffer[] = [];
      const [head, whole] = [new Promise((resolve) => socket.once('data', resolve)), once(socket, 'end')];
      socket.on('data', (data) => answers.push(data));
      const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
      socket.write(
        `GET /ws/room/${encodeURIComponent(newRoom())} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n\r\n`,
      );
      await head;
      socket.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, code >> 8, code & 255]));
      await whole;
      expect(Buffer.concat(answers).subarray(-4)).toEqual(Buffer.from([0x88, 2, 1002 >> 8, 1002 & 255]));
      socket.destroy();
    },
  );

  test.each(['a b%zz[', 'a<b>', 'x:99999999'])('the Host %j gets a sentence', async (host) => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    socket.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect(await answered).toMatch(/^HTTP\/1.1 400 .*The Host of the request is none\.\n$/s);
    socket.destroy();
  });

  test('a flood is throttled, then closed, and what passed was in order', async () => {
    const { alice, bob, mallory, frames } = await withMallory(server);
    const closed = closeOf(mallory);
    const count = 5000;
    for (let n = 0; n < count; n++) mallory.send(JSON.stringify({ type: 'signal', targetId: 'bob', signal: n }));
    expect(await closed).toEqual({ code: 4008, reason: 'Too many messages' });
    expect(await alice.next()).toEqual(peerLeave('mallory'));
    let passed = 0;
    for (;;) {
      const message = await bob.next();
      if (typeof message !== 'string' && message.type === 'peer_leave') break;
      expect(message).toEqual({ type: 'signal', fromId: 'mallory', signal: passed++ });
    }
    expect(passed).toBeGreaterThanOrEqual(500 + 2 * 20);
    expect(passed).toBeLessThan(count / 2);
    const errors = frames.map((frame) => JSON.parse(frame)).filter(({ type }) => type === 'error');
    expect(errors[0]).toMatchObject({ code: 'rate_limited', retryAfterMs: expect.any(Number) });
    expect(errors.every(({ code }) => code === 'rate_limited')).toBe(true);
    await talk(alice, bob, 1);
  });

  test('a member that waits as long as rate_limited says may go on', async () => {
    const room = newRoom();
    const alice = await Client.join(placeOf(server), room, 'alice');
    let retryAfterMs: number | undefined;
    while (retryAfterMs === undefined) {
      await alice.signal('alice', 'again');
      const answer = Object(await alice.next());
      if (answer.type === 'error') retryAfterMs = answer.retryAfterMs;
    }
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs)); // the wait is what is tested
    await alice.signal('alice', 'patient');
    expect(await alice.next()).toMatchObject({ type: 'signal', signal: 'patient' });
  });
});

describe('without a rate limit', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startWorkerd({ vars: { MESSAGES_PER_SECOND: 0, MAX_PEERS_PER_ROOM: 1024 } });
  });
  afterAll(() => server.stop());

  test('10,000 malformed frames from one are each answered while two others talk', async () => {
    const { alice, bob, mallory, frames } = await withMallory(server);
    const count = 10_000;
    const malformed = ['{', 'null', '{"type":"peers"}', Buffer.from([1, 2, 3]), '{"type":"signal","targetId":"bob"}'];
    for (let n = 0; n < count; n++) mallory.send(malformed[n % malformed.length] ?? '');
    await talk(alice, bob, 200);
    const ponged = new Promise((resolve) =>
      mallory.on('message', (frame) => String(frame) === 'pong' && resolve(true)),
    );
    mallory.send('ping');
    await ponged;
    const answers = frames.filter((frame) => frame !== 'pong').map((frame) => JSON.parse(frame));
    const codes = answers.filter(({ type }) => type === 'error').map(({ code }) => code);
    const expected = ['bad_json', 'bad_message', 'unknown_type', 'binary', 'bad_message'];
    expect(codes).toEqual(Array.from({ length: count }, (_, n) => expected[n % expected.length]));
    await talk(alice, bob, 1);
    expect(mallory.readyState).toBe(mallory.OPEN);
  });

  test('a member that does not read disturbs nobody, and can be left', async () => {
    const { alice, bob, mallory } = await withMallory(server);
    Reflect.get(mallory, '_socket').pause();
    const signal = 'x'.repeat(60_000);
    for (let n = 0; n < 200; n++) await alice.signal('mallory', signal); // 12 MB, far more than TCP buffers hold
    await talk(alice, bob, 50);
    mallory.terminate();
    expect(await alice.next()).toEqual(peerLeave('mallory'));
    expect(await bob.next()).toEqual(peerLeave('mallory'));
    await talk(alice, bob, 1);
  });

  test('10,000 signals arrive in order', async () => {
    const room = newRoom();
    const alice = await Client.join(placeOf(server), room, 'alice');
    const bob = await Client.join(placeOf(server), room, 'bob');
    for (let n = 0; n < 10_000; n++) await alice.signal('bob', n);
    for (let n = 0; n < 10_000; n++) expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: n });
  });

  test('1,000 peers join one room: each is told of all before it and hears of all after it', async () => {
    const room = newRoom();
    const count = 1000;
    const clients: Client[] = [];
    const ids = Array.from({ length: count }, (_, n) => `peer ${n}`);
    for (let n = 0; n < count; n += 50) {
      const batch = ids.slice(n, n + 50).map((id) => Client.connect(placeOf(server), room, id));
      clients.push(...(await Promise.all(batch)));
    }
    for (const [n, client] of clients.entries()) {
      const first = Object(await client.next());
      expect(first).toMatchObject({ type: 'peers', yourId: ids[n] });
      const known: string[] = first.peers;
      while (known.length < count - 1) {
        const message = Object(await client.next());
        if (message.type !== 'peer_join') throw new Error(`a peer heard ${JSON.stringify(message)}`);
        known.push(message.clientId);
      }
      expect(new Set(known)).toEqual(new Set(ids.filter((id) => id !== ids[n])));
    }
    const [first, last] = [clients[0], clients.at(-1)];
    await first?.signal(ids.at(-1) ?? '', 'across');
    expect(await last?.next()).toEqual({ type: 'signal', fromId: ids[0], signal: 'across' });
  }); // half a million messages, at 40 µs of workerd's time each
});

test('a full room is closed with a reason a page can read, until someone leaves', async () => {
  const server = await startWorkerd({ vars: { MAX_PEERS_PER_ROOM: 2 } });
  try {
    const room = newRoom();
    const alice = await Client.join(placeOf(server), room, 'alice');
    const bob = await Client.join(placeOf(server), room, 'bob');
    expect(await alice.next()).toMatchObject({ type: 'peer_join', clientId: 'bob' });
    const carol = await Client.connect(placeOf(server), room, 'carol');
    expect(await carol.closed).toEqual({ code: 4003, reason: 'Room is full: 2 peers', wasClean: true });
    expect(carol.received).toEqual([]);
    await talk(alice, bob, 1);
    const newBob = await Client.join(placeOf(server), room, 'bob'); // takes no new place
    expect(await bob.closed).toMatchObject({ code: 4000 });
    await newBob.close();
    const returned = await Client.connect(placeOf(server), room, 'carol');
    expect(await returned.next()).toEqual({ type: 'peers', peers: ['alice'], yourId: 'carol' });
  } finally {
    await server.stop();
  }
});
