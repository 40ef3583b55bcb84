/**
 * ICE servers for each session, from a real server process; Cloudflare's endpoint is a stand-in that checks what it is
 * asked.
 */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { randomHex } from '../../src/client/random.ts';
import type { IceServer } from '../../src/protocol/ice-servers.ts';
import { Client, type Received } from '../support/client.ts';
import { listen } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const ORIGIN = 'https://app.example';
const OPEN = { ALLOWED_ORIGINS: ORIGIN, TURN_OPEN: 'true' };
const URLS = ['turn:turn.example:3478?transport=udp', 'turns:turn.example:5349'];
const SECRET = 'a secret that coturn knows, too';

/** Joins a room; its first message. */
async function join(server: Workerd, clientId: string, headers = {}): Promise<{ client: Client; welcome: Received }> {
  const client = await Client.connect(placeOf(server, { Origin: ORIGIN, ...headers }), newRoom(), clientId);
  return { client, welcome: message(await client.next()) };
}

function message(frame: Received | string): Received {
  if (typeof frame === 'string') throw new Error(`expected JSON, got ${frame}`);
  return frame;
}

function serversIn({ iceServers }: Received): IceServer[] {
  return Object(iceServers);
}

describe('of a secret shared with coturn', () => {
  const LIFETIME = 4;
  let server: Workerd;
  beforeAll(async () => {
    server = await startWorkerd({
      vars: {
        ...OPEN,
        TURN_URLS: URLS.join(' '),
        TURN_SECRET: SECRET,
        TURN_SECONDS: LIFETIME,
        ICE_SERVERS: '[{"urls":"stun:stun.example"}]',
      },
    });
  });
  afterAll(() => server?.stop());

  test.each([
    ['alice-1234', 'alice-1234'],
    ['Zoë "the" cat: 1', 'Zo___the__cat__1'],
  ])('%j gets credentials of its own in its first message', async (clientId, name) => {
    const { welcome } = await join(server, clientId);
    const [fixed, { urls, username = '', credential } = { urls: '' }] = serversIn(welcome);
    expect(fixed).toEqual({ urls: 'stun:stun.example' });
    expect(urls).toEqual(URLS);
    const [expiry, ...rest] = username.split(':');
    expect(rest).toEqual([name]);
    const inSeconds = Number(expiry) - Date.now() / 1000;
    expect(inSeconds).toBeGreaterThan(LIFETIME - 60);
    expect(inSeconds).toBeLessThanOrEqual(LIFETIME);
    expect(credential).toBe(createHmac('sha1', SECRET).update(username).digest('base64'));
    expect(welcome['iceServersSeconds']).toBe(LIFETIME);
  });

  test('who asks for new ones gets them, not before the old are about to end', async () => {
    const { client, welcome } = await join(server, 'alice');
    await client.send({ type: 'ice_servers' });
    const refusal = message(await client.next());
    expect(refusal).toMatchObject({ type: 'error', code: 'rate_limited' });
    const waitMs = Number(refusal['retryAfterMs']);
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(LIFETIME * 750);
    let answer = refusal;
    while (answer.type === 'error') {
      await delay(Number(answer['retryAfterMs'])); // a flood would be closed
      await client.send({ type: 'ice_servers' });
      answer = message(await client.next());
    }
    expect(answer).toMatchObject({ type: 'ice_servers', iceServersSeconds: LIFETIME });
    const [before, after] = [welcome, answer].map((each) => Number.parseInt(serversIn(each)[1]?.username ?? '', 10));
    expect(after).toBeGreaterThan(before ?? 0);
    await client.send({ type: 'ice_servers' });
    expect(await client.next()).toMatchObject({ type: 'error', code: 'rate_limited' });
  });

  test('what a client sends as the header of the Worker is not read', async () => {
    const given = { iceServers: [{ urls: 'stun:evil.example' }] };
    const carried = JSON.stringify({ roomId: 'another', clientId: 'mallory', ahead: false, given });
    const { welcome } = await join(server, 'alice', { 'X-P2PCF-WS-Join': carried });
    expect(welcome['yourId']).toBe('alice');
    expect(serversIn(welcome)[0]).toEqual({ urls: 'stun:stun.example' });
  });
});

test.each([
  ['as JSON', '[{"urls":"stun:stun.example"}]'],
  ['as wrangler.toml may have it', [{ urls: 'stun:stun.example' }]],
])('a list alone, %s, is given as it is, and does not end', async (_name, ICE_SERVERS) => {
  const server = await startWorkerd({ vars: { ICE_SERVERS } });
  try {
    const { client, welcome } = await join(server, 'alice');
    expect(serversIn(welcome)).toEqual([{ urls: 'stun:stun.example' }]);
    expect(welcome).not.toHaveProperty('iceServersSeconds');
    await client.send({ type: 'ice_servers' });
    expect(await client.next()).toMatchObject({ type: 'error', code: 'bad_message' });
  } finally {
    await server.stop();
  }
});

describe('of Cloudflare', () => {
  /** What it answers with; the last request it got waits for the answer. */
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let asked: { line: string; authorization: string | undefined; type: string | undefined; body: unknown }[];
  let server: Workerd;
  const cloudflare = createServer(async (request, response) => {
    const { method, url, headers } = request;
    const line = `${method} ${headers.host}${url}`;
    asked.push({
      line,
      authorization: headers.authorization,
      type: headers['content-type'],
      body: await json(request),
    });
    answer(request, response);
  });
  /** As its documentation has it. */
  const success = (_request: IncomingMessage, response: ServerResponse): void => {
    const name = `user ${asked.length}`;
    const iceServers = [
      { urls: ['stun:stun.cloudflare.com:3478', 'stun:stun.cloudflare.com:53'] },
      {
        urls: [
          'turn:turn.cloudflare.com:3478?transport=udp',
          'turn:turn.cloudflare.com:53?transport=udp',
          'turns:turn.cloudflare.com:5349?transport=tcp',
        ],
        username: name,
        credential: 'password',
      },
    ];
    response.writeHead(201, { 'Content-Type': 'application/json' }).end(JSON.stringify({ iceServers }));
  };
  beforeEach(async () => {
    asked = [];
    answer = success;
    const port = await listen(cloudflare);
    server = await startWorkerd({
      vars: { ...OPEN, TURN_KEY_ID: 'key/id', TURN_KEY_TOKEN: 'key-token' },
      outbound: `127.0.0.1:${port}`,
    });
  });
  afterEach(async () => {
    await server?.stop();
    cloudflare.closeAllConnections();
    await new Promise((resolve) => cloudflare.close(resolve));
  });

  test('each session is asked for by itself, and told in a message of its own', async () => {
    for (const [index, clientId] of ['alice', 'bob smith'].entries()) {
      const { client, welcome } = await join(server, clientId);
      expect(welcome).not.toHaveProperty('iceServers');
      expect(await client.next()).toEqual({
        type: 'ice_servers',
        iceServers: [
          { urls: ['stun:stun.cloudflare.com:3478'] },
          {
            urls: ['turn:turn.cloudflare.com:3478?transport=udp', 'turns:turn.cloudflare.com:5349?transport=tcp'],
            username: `user ${index + 1}`,
            credential: 'password',
          },
        ],
        iceServersSeconds: 86_400,
      });
      await client.send({ type: 'ice_servers' });
      expect(await client.next()).toMatchObject({ code: 'rate_limited' });
    }
    const request = {
      line: 'POST rtc.live.cloudflare.com/v1/turn/keys/key%2Fid/credentials/generate-ice-servers',
      authorization: 'Bearer key-token',
      type: 'application/json',
    };
    expect(asked).toEqual([
      { ...request, body: { ttl: 86_400, customIdentifier: 'alice' } },
      { ...request, body: { ttl: 86_400, customIdentifier: 'bob_smith' } },
    ]);
  });

  test('nobody waits for it: who has joined is in the room before it answers', async () => {
    const held = Promise.withResolvers<() => void>();
    answer = (request, response) => held.resolve(() => success(request, response));
    const { client, welcome } = await join(server, 'alice');
    expect(welcome.type).toBe('peers');
    const release = await held.promise;
    await client.sendFrame('ping');
    expect(await client.next()).toBe('pong');
    release();
    expect(await client.next()).toMatchObject({ type: 'ice_servers' });
  });

  test('a stranger that is refused the id of another is given nothing, nor is that other', async () => {
    const place = placeOf(server, { Origin: ORIGIN });
    const roomId = newRoom();
    const tokens = [randomHex(36), randomHex(36)].map((token) => ({ resume: token }));
    const alice = await Client.connect(place, roomId, 'alice', tokens[0]);
    expect(await alice.next()).toMatchObject({ type: 'peers' });
    expect(await alice.next()).toMatchObject({ type: 'ice_servers' });
    for (let n = 0; n < 3; n++) {
      const mallory = await Client.connect(place, roomId, 'alice', tokens[1]);
      expect(await mallory.closed).toMatchObject({ code: 4009 });
    }
    await alice.sendFrame('ping');
    expect(await alice.next()).toBe('pong');
    expect(asked).toHaveLength(1);
  });

  test('a provider that stumbles is asked once more', async () => {
    answer = (_request, response) => {
      answer = success;
      response.writeHead(500).end();
    };
    const { client } = await join(server, 'alice');
    expect(await client.next()).toMatchObject({ type: 'ice_servers' });
    expect(server.log()).not.toContain('turn provider failed');
  });

  test.each<[name: string, times: number, answer: (request: IncomingMessage, response: ServerResponse) => void]>([
    ['refuses', 1, (_request, response) => response.writeHead(401).end('{"error":"key-token"}')],
    ['says what is no JSON', 1, (_request, response) => response.writeHead(201).end('<html>')],
    ['makes no sense', 1, (_request, response) => response.writeHead(201).end('{"iceServers":[{"urls":"a"}]}')],
    [
      'names no server that a browser can use',
      1,
      (_request, response) => response.writeHead(201).end('{"iceServers":[{"urls":["stun:stun.example:53"]}]}'),
    ],
    ['says nothing', 2, () => undefined],
    ['hangs up', 2, (request) => request.socket.destroy()],
    ['fails', 2, (_request, response) => response.writeHead(503).end()],
  ])('when it %s nobody is kept out, and it is logged once', async (_name, times, failure) => {
    answer = failure;
    for (const clientId of ['alice', 'bob', 'carol']) {
      const { client, welcome } = await join(server, clientId);
      expect(welcome).not.toHaveProperty('iceServers');
      await client.sendFrame('ping');
      expect(await client.next()).toBe('pong');
    }
    const complaints = (): number => server.log().split('turn provider failed').length - 1;
    await expect.poll(() => asked.length, WAIT).toBe(3 * times);
    await expect.poll(complaints, WAIT).toBe(1);
    answer = success;
    const { client } = await join(server, 'dave');
    expect(await client.next()).toMatchObject({ type: 'ice_servers' });
    expect(complaints()).toBe(1);
    expect(server.log()).not.toContain('key-token');
  });
});
