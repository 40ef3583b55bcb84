/** What a stranger with a room's name may try, within the runtime; what needs real sockets is in test/server. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import worker from '../../src/index.ts';
import { idFault } from '../../src/protocol/ids.ts';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { JSON_TYPE, Poller, send } from '../support/poller.ts';
import { meter, pass } from '../support/within-room.ts';
import { workerd } from '../support/workerd-place.ts';

let room = '';
let clients: Client[] = [];
beforeEach(() => {
  room = newRoom();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const client of clients) await client.close(1000);
  clients = [];
});

const stub = () => env.SIGNALING_ROOM.getByName(room);
const sleep = () => evictDurableObject(stub(), { webSockets: 'hibernate' });
async function join(id: string, extensions: Record<string, string> = {}): Promise<Client> {
  const client = await Client.connect(workerd, room, id, extensions);
  clients.push(client);
  await client.next();
  return client;
}

const HASH = Array.from({ length: 32 }, () => 'AB').join(':');
const SDP = `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Wufr\r\na=ice-pwd:Wpwd\r\na=fingerprint:sha-256 ${HASH}\r\na=mid:0\r\n`;
const HOST = 'candidate:1 1 udp 2113937151 192.0.2.1 51000 typ host generation 0 ufrag Wufr network-cost 999';
const OFFER = { type: 'offer', sdp: SDP, candidates: [{ candidate: HOST }, { candidate: '' }] };
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

test('who is refused is no socket of the room, however long it ignores that', async () => {
  const alice = await join('alice', { resume: crypto.randomUUID() });
  const mallory: Client[] = [];
  for (let n = 0; n < 20; n++)
    mallory.push(await Client.connect(workerd, room, 'alice', { resume: crypto.randomUUID() }));
  expect(await runInDurableObject(stub(), (_room, ctx) => ctx.getWebSockets().length)).toBe(1);
  for (const each of mallory) expect(await each.closed).toMatchObject({ code: 4009 });
  await alice.signal('alice', 'still here');
  expect(await alice.next()).toMatchObject({ type: 'signal', signal: 'still here' });
});

test('a list of subprotocols that is longer than any join is refused', async () => {
  const headers = { Upgrade: 'websocket', 'Sec-WebSocket-Protocol': `p2pcf-ws${', '.repeat(17_000)}x` };
  const response = await exports.default.fetch(`http://p2pcf-ws.test/ws/room/${room}`, { headers });
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('longer than 32768')]);
});

describe('what is kept with a socket', () => {
  test('what is too long when it is written again is refused: each member would be sent it', async () => {
    const grows = (count: number): string => `[${Array.from({ length: count }, () => '1e20').join()}]`;
    for (const [name, value, fault] of [
      ['metadata', grows(510), 'The metadata is longer than 2560 UTF-8 bytes'],
      ['metadata', grows(117), 'The metadata is longer than 2560 UTF-8 bytes'],
      ['answer', `{"sealed":${grows(1600)}}`, 'The answer is longer than 8192 UTF-8 bytes'],
    ] as const) {
      const url = `http://p2pcf-ws.test/ws/room/${room}?${name}=${encodeURIComponent(value)}`;
      const response = await exports.default.fetch(url, { headers: { Upgrade: 'websocket' } });
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(fault)]);
    }
  });

  test('metadata that grows when it is written again breaks nothing, with an offer ahead beside it', async () => {
    const alice = await join('alice');
    const metadata = `[${Array.from({ length: 116 }, () => '1e20').join()}]`;
    const mallory = await join('mallory', { metadata });
    await mallory.send({ type: 'ahead', offer: 'x'.repeat(8000) });
    await mallory.signal('alice', 'still here');
    expect(await alice.next()).toMatchObject({ type: 'peer_join', clientId: 'mallory' });
    expect(await alice.next()).toMatchObject({ signal: 'still here' });
    await sleep();
    const bob = await Client.connect(workerd, room, 'bob', { ahead: '1' });
    clients.push(bob);
    expect(await bob.next()).toMatchObject({ offers: { mallory: 'x'.repeat(8000) } });
    await mallory.close();
    expect(await alice.next()).toMatchObject({ type: 'peer_join', clientId: 'bob' });
    expect(await alice.next()).toMatchObject({ type: 'peer_leave', clientId: 'mallory' });
  });

  test('the longest metadata, the longest offer ahead and offers to forty pollers: the latest offers stay', async () => {
    const mallory = await join('mallory', { metadata: JSON.stringify('ö'.repeat(1279)) });
    for (let n = 0; n < 40; n++) {
      await new Poller(room, `polly ${n}`).post();
      await mallory.signal(`polly ${n}`, OFFER);
    }
    await mallory.send({ type: 'ahead', offer: 'x'.repeat(8190) });
    for (let n = 0; n < 40; n++) expect(await mallory.next()).toMatchObject({ type: 'peer_join' });
    await mallory.signal('mallory', 'still here');
    expect(await mallory.next()).toMatchObject({ signal: 'still here' });
    const kept = await runInDurableObject(stub(), (_room, ctx) =>
      ctx.getWebSockets('mallory')[0]?.deserializeAttachment(),
    );
    expect(kept.metadata.length).toBe(1279 * 6 + 2);
    expect([...kept.offers, kept.ahead].join('')).toMatch(/"polly 39"/);
  });

  test('where even that cannot be stored, the offer goes, then the member, with a word', async () => {
    const alice = await join('alice');
    const mallory = await join('mallory');
    expect(await alice.next()).toMatchObject({ type: 'peer_join' });
    await runInDurableObject(stub(), (_room, ctx) => {
      const [socket] = ctx.getWebSockets('mallory');
      if (!socket) throw new Error('Mallory has no socket');
      const serialize = socket.serializeAttachment.bind(socket);
      socket.serializeAttachment = (attachment) => {
        if (attachment.ahead !== undefined) throw new Error('too large');
        serialize(attachment);
      };
    });
    await mallory.send({ type: 'ahead', offer: 1 });
    await mallory.signal('alice', 'without its offer');
    expect(await alice.next()).toMatchObject({ signal: 'without its offer' });
    await runInDurableObject(stub(), (_room, ctx) => {
      for (const socket of ctx.getWebSockets('mallory')) {
        socket.serializeAttachment = () => {
          throw new Error('too large');
        };
      }
    });
    await mallory.send({ type: 'ahead', offer: 2 });
    expect(await mallory.closed).toMatchObject({ code: 1011, reason: 'The room could not keep your state' });
    expect(await alice.next()).toMatchObject({ type: 'peer_leave', clientId: 'mallory', reason: 'timeout' });
  });
});

test('a room that fails at a join is answered with 503, and logged as much as is logged of anything', async () => {
  const logged = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const failing = { SIGNALING_ROOM: { getByName: () => ({ fetch: () => Promise.reject(new Error('overloaded')) }) } };
  for (let n = 0; n < 200; n++) {
    const init = { headers: { Upgrade: 'websocket' } };
    const request = new Request<unknown, IncomingRequestCfProperties>(`http://p2pcf-ws.test/ws/room/${room}`, init);
    const response = await worker.fetch(request, Object.assign({}, env, failing));
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '10']);
  }
  expect(logged.mock.calls.length).toBeGreaterThan(0);
  expect(logged.mock.calls.length).toBeLessThan(120);
  expect(logged.mock.calls[0]?.[0]).toContain('"event":"failed","code":503,"reason":"Error: overloaded"');
});

test('a poller in a room of fifty sockets costs three rows at most, and a signal to a poller none', async () => {
  const sockets: Client[] = [];
  for (let n = 0; n < 50; n++) sockets.push(await join(`socket ${n}`));
  const counts = await meter(stub());
  const polly = new Poller(room, 'polly');
  await polly.post();
  for (const socket of sockets) await socket.signal('polly', OFFER);
  for (let n = 0; n < 50; n++) await sockets[0]?.signal('polly', { candidates: [{ candidate: `candidate:${n}` }] });
  let packages: unknown[] = [];
  await vi.waitFor(async () => {
    const reply = await polly.listen();
    packages = reply.pk;
    expect(packages).toHaveLength(50);
  });
  await polly.post([['socket 1', 'polly', null, null, null, null, null, 1, [HOST]]]);
  expect(counts().writes).toBeLessThanOrEqual(3);
});

describe('polls', () => {
  const corsOf = async (body: string, headers = {}) => {
    const response = await exports.default.fetch('http://p2pcf-ws.test/', {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body,
    });
    const { status } = response;
    await response.text();
    return {
      status,
      cors: response.headers.get('Access-Control-Allow-Origin'),
      wait: response.headers.get('Retry-After'),
    };
  };
  const bodyOf = (id: string, more: object = {}) => ({
    r: room,
    k: `context of ${id}`,
    d: [id, 'a label', false, `${'A'.repeat(43)}=`, 1, []],
    t: Date.now(),
    x: 120_000,
    p: [] as unknown[],
    ...more,
  });

  test.each([
    ['packages 3,000 deep', (body: string) => body.replace('"p":[]', `"p":[["bob","alice",${nested(3000)}]]`), 200],
    ['packages 30,000 deep', (body: string) => body.replace('"p":[]', `"p":[["bob","alice",${nested(30_000)}]]`), 200],
    ['a field nobody knows, 30,000 deep', (body: string) => body.replace('{', `{"z":${nested(30_000)},`), 200],
    [
      '2,551 bytes of numbers',
      (body: string) => body.replace('"p":[]', `"p":[["bob","alice",${'1e20,'.repeat(510)}1]]`),
      200,
    ],
    [
      '64 KiB of numbers',
      (body: string) => body.replace('"p":[]', `"p":[["bob","alice",${'1e20,'.repeat(12_900)}1]]`),
      400,
    ],
    [
      '64 KiB of empty objects',
      (body: string) => body.replace('"p":[]', `"p":[["bob","alice",${'{},'.repeat(21_000)}1]]`),
      200,
    ],
    ['21,000 packages', (body: string) => body.replace('"p":[]', `"p":[${'{},'.repeat(21_000)}1]`), 400],
    ['a session id 3,000 deep', (body: string) => body.replace('"alice"', nested(3000)), 400],
    [
      'seventeen addresses',
      (body: string) => body.replace(',1,[]]', `,1,[${Array(17).fill('"192.0.2.1"').join()}]]`),
      400,
    ],
    ['an address of nothing but depth', (body: string) => body.replace(',1,[]]', `,1,[${nested(3000)}]]`), 400],
    ['half a surrogate pair', (body: string) => body.replace('"p":[]', '"p":[["bob","alice","\\ud800"]]'), 200],
    ['an infinite number', (body: string) => body.replace('"p":[]', '"p":[["bob","alice",1e999]]'), 200],
    ['the name of a socket', (body: string) => body.replace('"alice"', `"~${'0'.repeat(32)}"`), 400],
  ])('%s: an answer that a page may read', async (_name, spoil, status) => {
    const good = JSON.stringify(bodyOf('alice'));
    const body = spoil(good);
    expect(body).not.toBe(good);
    expect(await corsOf(body)).toMatchObject({ status, cors: '*' });
    expect(await corsOf(JSON.stringify(bodyOf('bob')))).toMatchObject({ status: 200 });
    expect(await corsOf(JSON.stringify(bodyOf('carol')))).toMatchObject({ status: 200 });
  });

  test('a room that fails is told with an answer that a page may read', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const failing = {
      ...env,
      SIGNALING_ROOM: { getByName: () => ({ poll: () => Promise.reject(new Error('reset')) }) },
    };
    const init = { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ r: room }) };
    const request = new Request<unknown, IncomingRequestCfProperties>('http://p2pcf-ws.test/', init);
    const response = await worker.fetch(request, Object.assign({}, env, failing));
    expect([
      response.status,
      response.headers.get('Retry-After'),
      response.headers.get('Access-Control-Allow-Origin'),
    ]).toEqual([503, '10', '*']);
  });

  test('a poll whose body breaks off is answered, and not logged: anybody can make any number', async () => {
    const [complained, logged] = [vi.spyOn(console, 'error'), vi.spyOn(console, 'log')];
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"r":'));
        controller.error(new Error('The connection was lost.'));
      },
    });
    const init = { method: 'POST', headers: JSON_TYPE, body };
    const request = new Request<unknown, IncomingRequestCfProperties>('http://p2pcf-ws.test/', init);
    const response = await worker.fetch(request, env);
    expect([response.status, response.headers.get('Access-Control-Allow-Origin')]).toEqual([400, '*']);
    expect([complained.mock.calls, logged.mock.calls]).toEqual([[], []]);
  });

  test('64 KiB a poll fill two MiB, then it is 503; the room wakes with no more than that, and goes on', async () => {
    const answers = new Map<number, number>();
    for (let n = 0; n < 100; n++) {
      const id = `m${n}`;
      const body = bodyOf(id, { p: [['bob', id, ...Array<object>(21_000).fill({})]] });
      const { status, cors, wait } = await corsOf(JSON.stringify(body));
      answers.set(status, (answers.get(status) ?? 0) + 1);
      expect([cors, status === 503]).toEqual(['*', wait !== null]);
    }
    expect([...answers.keys()].sort()).toEqual([200, 503]);
    const rows = await runInDurableObject(
      stub(),
      (_room, { storage }) => JSON.stringify([...storage.kv.list()]).length,
    );
    expect(rows).toBeLessThan(2.2 * 1024 * 1024);
    await sleep();
    // Nobody is sent it all: a poll brings half a MiB at most.
    const reply = await send({ ...bodyOf('bob'), p: undefined });
    expect(reply.text.length).toBeLessThan(600 * 1024);
    expect(reply.pk.length).toBeGreaterThan(5);
    pass(1000);
    await runDurableObjectAlarm(stub());
    pass(1000);
    await runDurableObjectAlarm(stub());
    expect(await corsOf(JSON.stringify(bodyOf('carol')))).toMatchObject({ status: 200 });
  });

  test.each(['é', '€', '😀'])(
    'what counts are bytes: a reply brings half a MiB of packages full of %s',
    async (each) => {
      const bytes = (text: string): number => new TextEncoder().encode(text).length;
      for (let n = 0; n < 40; n++) {
        const body = bodyOf(`m${n}`, { p: [['bob', `m${n}`, each.repeat(60_000 / bytes(each))]] });
        await corsOf(JSON.stringify(body));
      }
      const { status, text, pk } = await send({ ...bodyOf('bob'), p: undefined });
      expect(status).toBe(200);
      expect(pk.length).toBeGreaterThan(5);
      expect(bytes(text)).toBeLessThan(600 * 1024);
      const postings = await runInDurableObject(stub(), (_room, { storage }) => [...storage.kv.list()].length);
      expect(postings).toBeLessThan(36); // two MiB of 60,000 bytes each
    },
  );

  test('a context that polls too fast is told to wait, and another is not', async () => {
    const polly = JSON.stringify({ ...bodyOf('polly'), p: undefined });
    const answers = [];
    for (let n = 0; n < 100; n++) answers.push(await corsOf(polly));
    expect(answers[0]).toMatchObject({ status: 200 });
    expect(answers.at(-1)).toEqual({ status: 429, cors: '*', wait: '1' });
    expect(await corsOf(JSON.stringify({ ...bodyOf('paul'), p: undefined }))).toMatchObject({ status: 200 });
    expect(
      await corsOf(JSON.stringify({ ...bodyOf('polly'), dk: 'x' }), { 'X-Worker-Method': 'DELETE' }),
    ).toMatchObject({
      status: 429,
    });
  });

  test('a stranger writes five hundred rows or so in a minute, not a day’s quota', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const counts = await meter(stub());
    // Each context posts as fast as it may, and leaves so that the next finds room.
    for (let n = 0; n < 1500; n++) {
      const body = bodyOf(`m${n}`);
      const { status, dk } = await send(body);
      if (n % 25 === 0) vi.setSystemTime(Date.now() + 1000);
      if (status === 200) await send({ ...body, dk }, { headers: { ...JSON_TYPE, 'X-Worker-Method': 'DELETE' } });
    }
    expect(counts().writes).toBeLessThan(4 * 600);
    expect(await send(bodyOf('last'))).toMatchObject({ status: 429 });
  });

  test('one address does not use up what a room lets be posted, under however many contexts', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const from = (ip: string) => ({ headers: { ...JSON_TYPE, 'CF-Connecting-IP': ip } });
    const counts = await meter(stub());
    const statuses = [];
    for (let n = 0; n < 520; n++) {
      const body = bodyOf(`m${n % 90}`, { t: Date.now() + n });
      statuses.push((await send(body, from(`2001:db8:0:1::${n.toString(16)}`))).status);
    }
    expect(statuses.filter((status) => status === 200)).toHaveLength(240);
    expect(statuses.slice(240)).toEqual(Array(280).fill(429));
    expect(counts().writes).toBe(240 + 1);
    expect(await send(bodyOf('polly'), from('192.0.2.1'))).toMatchObject({ status: 200 });
    expect(await send(bodyOf('paul'), from('2001:db8:0:2::1'))).toMatchObject({ status: 200 });
  });

  test('a posting that asks for a millisecond is kept for thirty seconds, one alarm', async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now });
    const counts = await meter(stub());
    for (let n = 0; n < 10; n++) await send(bodyOf('polly', { x: 1, t: now + n }));
    const alarm = await runInDurableObject(stub(), (_room, { storage }) => storage.getAlarm());
    expect(alarm).toBe(now + 30_000);
    expect(counts().writes).toBe(10 + 1);
  });

  test('a lapsed poller’s session id is its own for a quarter of an hour, and what it was sent is not read', async () => {
    const alice = new Poller(room, 'alice');
    await alice.post();
    const bob = new Poller(room, 'bob');
    await bob.post([['alice', 'bob', 'a secret']], 900_000);
    pass(130);
    await runDurableObjectAlarm(stub());
    await sleep();
    const mallory = new Poller(room, 'alice', 'context of mallory');
    expect(await mallory.listen()).toMatchObject({ status: 409 });
    expect(await mallory.post()).toMatchObject({ status: 409 });
    expect((await alice.post()).pk).toEqual([['alice', 'bob', 'a secret']]);
    expect(await mallory.post()).toMatchObject({ status: 409 });
  });

  test('a lapsed poller’s session id is no socket’s either, under whatever name', async () => {
    const alice = new Poller(room, 'alice');
    const hex = '0123456789abcdef0123456789abcdef';
    const native = new Poller(room, hex);
    await alice.post();
    await native.post();
    pass(130);
    await runDurableObjectAlarm(stub());
    await sleep();
    for (const id of ['alice', hex]) {
      const mallory = await Client.connect(workerd, room, id);
      expect(await mallory.closed).toMatchObject({ code: 4009, reason: 'Id is taken' });
    }
    for (const owner of [alice, native]) expect(await owner.post()).toMatchObject({ status: 200 });
  });

  test('a lapsed poller’s session id is not pushed out by two hundred others that lapse', async () => {
    const alice = new Poller(room, 'alice');
    await alice.post();
    await new Poller(room, 'bob').post([['alice', 'bob', 'a secret']], 900_000);
    pass(130);
    await runDurableObjectAlarm(stub());
    for (const round of ['a', 'b']) {
      for (let n = 0; n < 100; n++)
        expect(await send(bodyOf(`${round} ${n}`, { x: 30_000 }))).toMatchObject({ status: 200 });
      pass(31);
      await runDurableObjectAlarm(stub());
    }
    await sleep();
    expect(await new Poller(room, 'alice', 'context of mallory').listen()).toMatchObject({ status: 409 });
    expect((await alice.post()).pk).toEqual([['alice', 'bob', 'a secret']]);
  });

  test('no poller goes by the name of a socket, come or to come', async () => {
    const hex = '0123456789abcdef0123456789abcdef';
    expect(await new Poller(room, `~${hex}`).post()).toMatchObject({ status: 400 });
    await join(hex);
    expect(await new Poller(room, `~${hex}`).post()).toMatchObject({ status: 400 });
    expect(await new Poller(room, hex).post()).toMatchObject({ status: 409 });
  });
});

describe('rows', () => {
  test('a drop writes its place and an alarm, and both go at its end', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const [alice] = await Client.settle(workerd, room, 'alice');
    const counts = await meter(stub());
    await alice.close(4010);
    await vi.waitFor(() => expect(counts().writes).toBe(2));
    pass(31);
    await runDurableObjectAlarm(stub());
    expect(counts().writes).toBe(2 + 2);
  });

  test('a posting writes itself and an alarm; when it lapses its name and an alarm, which go in the end', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const counts = await meter(stub());
    await new Poller(room, 'polly').post();
    expect(counts().writes).toBe(2);
    pass(130);
    await runDurableObjectAlarm(stub());
    expect(counts().writes).toBe(2 + 3);
    pass(16 * 60);
    await runDurableObjectAlarm(stub());
    expect(counts().writes).toBe(5 + 2);
  });
});

describe('joins', () => {
  const statusOf = async (id: string, headers: Record<string, string> = {}, leaves = true) => {
    const response = await exports.default.fetch(`http://p2pcf-ws.test/ws/room/${room}?clientId=${id}`, {
      headers: { Upgrade: 'websocket', ...headers },
    });
    response.webSocket?.accept();
    if (leaves) response.webSocket?.close(1000);
    return { status: response.status, wait: response.headers.get('Retry-After') };
  };

  test('a room takes some hundred joins at once, then a few each second, before anything is accepted', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const answers = [];
    for (let n = 0; n < 700; n++) answers.push(await statusOf(`m${n}`));
    expect(answers.filter(({ status }) => status === 101)).toHaveLength(3 * 128);
    expect(answers.at(-1)).toEqual({ status: 429, wait: '1' });
    pass(1);
    expect(await statusOf('alice')).toMatchObject({ status: 101 });
  });

  test.each([
    ['is here', 1000],
    ['has lost its socket', 1006],
  ])(
    'strangers from everywhere use up the room’s joins: who %s comes back, and no stranger by that',
    async (_where, code) => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
      const token = crypto.randomUUID();
      const bob = await Client.connect(workerd, room, 'bob', { resume: token });
      expect(await bob.next()).toMatchObject({ type: 'peers' });
      await bob.signal('nobody', 'so that its place is held');
      await bob.next();
      if (code === 1006)
        await runInDurableObject(stub(), (each, ctx) => {
          for (const socket of ctx.getWebSockets('bob')) each.webSocketClose(socket, 1006, '');
        });
      for (let n = 0; (await statusOf(`m${n}`)).status === 101; n++);
      expect(await statusOf('late')).toMatchObject({ status: 429 });
      const comesBack = async (resume: string): Promise<number> => {
        const url = `http://p2pcf-ws.test/ws/room/${room}?clientId=bob&resume=${resume}`;
        const { status, webSocket } = await exports.default.fetch(url, { headers: { Upgrade: 'websocket' } });
        webSocket?.accept();
        return status;
      };
      for (const stranger of ['1', crypto.randomUUID()]) expect(await comesBack(stranger)).toBe(429);
      for (let n = 0; n < 10; n++) expect(await comesBack(token)).toBe(101);
      expect(await comesBack(token)).toBe(429);
    },
  );

  test('newcomers with much metadata, whom nobody may read of, are told of as far as there is memory for that', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const bob = await Client.connect(workerd, room, 'bob', { resume: '1' });
    const { resumeToken } = Object(await bob.next());
    for (let n = 0; n < 119; n++) expect(await statusOf(`m${n}`, {}, false)).toMatchObject({ status: 101 });
    const metadata = encodeURIComponent(JSON.stringify('x'.repeat(2_500)));
    let passed = 0;
    while ((await statusOf(`m&metadata=${metadata}`)).status === 101) passed++;
    expect(passed * 120 * 2_500).toBeGreaterThan(32 * 2 ** 20);
    expect(passed * 120 * 2_500).toBeLessThan(40 * 2 ** 20);
    expect(await statusOf(`bob&resume=${resumeToken}`)).toMatchObject({ status: 101 });
  });

  test('one address does not use up the room’s joins: the others join', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const answers = [];
    for (let n = 0; n < 300; n++)
      answers.push(await statusOf(`m${n}`, { 'CF-Connecting-IP': `2001:db8:0:1::${n.toString(16)}` }));
    expect(answers.filter(({ status }) => status === 101)).toHaveLength(256);
    expect(answers.at(-1)).toMatchObject({ status: 429 });
    expect(await statusOf('alice', { 'CF-Connecting-IP': '2001:db8:0:2::1' })).toMatchObject({ status: 101 });
    expect(await statusOf('bob', { 'CF-Connecting-IP': '192.0.2.1' })).toMatchObject({ status: 101 });
  });

  test('what an address has open counts when the room wakes: it joins no more often by letting it sleep', async () => {
    const open: WebSocket[] = [];
    const enter = async (ip: string): Promise<number> => {
      const url = `http://p2pcf-ws.test/ws/room/${room}?clientId=m${open.length}`;
      const headers = { Upgrade: 'websocket', 'CF-Connecting-IP': ip };
      const { status, webSocket } = await exports.default.fetch(url, { headers });
      webSocket?.accept();
      if (webSocket) open.push(webSocket);
      return status;
    };
    for (let n = 0; n < 100; n++) expect(await enter('192.0.2.1')).toBe(101);
    await sleep();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const from = { 'CF-Connecting-IP': '192.0.2.1' };
    for (let n = 100; n < 256; n++) expect(await statusOf(`m${n}`, from)).toMatchObject({ status: 101 });
    expect(await statusOf('m', from)).toMatchObject({ status: 429 });
    expect(await enter('192.0.2.2')).toBe(101);
    for (const socket of open) socket.close(1000);
  });

  test('the tag of an address is nobody’s id', async () => {
    const headers = { Upgrade: 'websocket', 'CF-Connecting-IP': '192.0.2.1' };
    const url = `http://p2pcf-ws.test/ws/room/${room}?clientId=victim`;
    const { webSocket } = await exports.default.fetch(url, { headers });
    webSocket?.accept();
    const tags = await runInDurableObject(stub(), (_room, ctx) =>
      ctx.getWebSockets('victim').map((socket) => ctx.getTags(socket)),
    );
    expect(tags).toEqual([['victim', expect.toSatisfy((tag) => tag !== '' && idFault(tag) !== undefined, 'no id')]]);
    const mallory = await join('mallory');
    await mallory.signal(String(tags[0]?.[1]), 'whoever you are');
    expect(await mallory.next()).toMatchObject({ code: 'unknown_peer' });
    webSocket?.close(1000);
  });

  test('nobody says where it comes from but the Worker', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const forged = { 'X-P2PCF-WS-Join': JSON.stringify({ roomId: room, clientId: 'alice', address: 'forged' }) };
    for (let n = 0; n < 256; n++) await statusOf(`m${n}`, { ...forged, 'CF-Connecting-IP': '192.0.2.1' });
    expect(await statusOf('m', { ...forged, 'CF-Connecting-IP': '192.0.2.1' })).toMatchObject({ status: 429 });
  });
});

describe('messages', () => {
  test('an offer ahead 4,080 deep keeps nobody out that joins for it', async () => {
    const depth = 4_080;
    const [mallory, alice] = [await join('mallory'), await join('alice')];
    await mallory.sendFrame(`{"type":"ahead","offer":${nested(depth)}}`);
    await mallory.signal('alice', 'sent');
    expect(await alice.next()).toMatchObject({ signal: 'sent' });
    await sleep();
    const bob = await Client.connect(workerd, room, 'bob', { ahead: '1' });
    clients.push(bob);
    expect(await bob.next()).toMatchObject({ type: 'peers', peers: ['mallory', 'alice'] });
    for (const sealed of [nested(depth), nested(1_000)]) {
      await mallory.sendFrame('{"type":"ahead","offer":1}');
      const carol = await Client.connect(workerd, room, `carol ${sealed.length}`, {
        ahead: '1',
        answer: `{"sealed":${sealed}}`,
      });
      clients.push(carol);
      expect(await carol.next()).toMatchObject({ type: 'peers' });
    }
  });

  test('a signal 30,000 deep is carried or refused, and its sender stays', async () => {
    const [alice, mallory] = [await join('alice'), await join('mallory')];
    expect(await alice.next()).toMatchObject({ type: 'peer_join' });
    for (const [type, field] of [
      ['signal', 'signal'],
      ['broadcast', 'data'],
      ['ahead', 'offer'],
    ]) {
      await mallory.sendFrame(`{"type":"${type}","targetId":"alice","${field}":${nested(30_000)}}`);
    }
    await mallory.signal('alice', 'still here');
    for (;;) if (Object(await alice.next()).signal === 'still here') break;
    expect(await mallory.next()).toMatchObject({ type: 'error', code: 'bad_message' }); // the offer is too long
  });

  test('a member that the room has closed is not listened to: nothing is parsed or looked up', async () => {
    await join('alice');
    const mallory = await join('mallory');
    const calls = await runInDurableObject(stub(), (object, ctx) => {
      const [socket] = ctx.getWebSockets('mallory');
      if (!socket) throw new Error('Mallory has no socket');
      object.webSocketMessage(socket, 'x'.repeat(65_537));
      const spies = [
        vi.spyOn(JSON, 'parse'),
        vi.spyOn(ctx, 'getWebSockets'),
        vi.spyOn(ctx.storage.kv, 'list'),
        vi.spyOn(socket, 'serializeAttachment'),
        vi.spyOn(socket, 'deserializeAttachment'),
      ];
      const frame = JSON.stringify({ type: 'signal', targetId: 'alice', signal: 'x'.repeat(1000) });
      for (let n = 0; n < 100_000; n++) object.webSocketMessage(socket, frame);
      return spies.map(({ mock }) => mock.calls.length);
    });
    expect(calls).toEqual([0, 0, 0, 0, 0]);
    expect(await mallory.next()).toMatchObject({ code: 'too_large' });
  });
});
