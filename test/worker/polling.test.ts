import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import worker from '../../src/index.ts';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { idsIn, JSON_TYPE, Poller, send } from '../support/poller.ts';
import { keepAsleep, meter, NOTHING, pass, stored } from '../support/within-room.ts';
import { workerd } from '../support/workerd-place.ts';

let room = '';
beforeEach(() => {
  room = newRoom();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const stub = () => env.SIGNALING_ROOM.getByName(room);

describe.each([
  ['awake', async () => undefined],
  ['asleep before every poll', () => keepAsleep(stub())],
])('pollers alone, the room %s', (_name, between) => {
  test('two meet, exchange packages and leave, and nothing is left', async () => {
    const alice = new Poller(room, 'alice');
    const bob = new Poller(room, 'bob');
    await between();
    expect(await send({ r: room, k: 'context of alice' })).toMatchObject({ status: 200, text: '{"ps":[],"pk":[]}' });
    await between();
    const { dk } = await alice.post();
    expect(dk).not.toBe('');
    await between();
    expect(idsIn(await bob.post([['alice', 'bob', 'offer']]))).toEqual(['alice']);
    for (let polls = 0; polls < 3; polls++) {
      await between();
      const reply = await alice.listen();
      expect(idsIn(reply)).toEqual(['bob']);
      expect(reply.pk).toEqual([['alice', 'bob', 'offer']]);
    }
    await between();
    expect((await alice.repost()).dk).toBe(dk);
    await between();
    expect(await bob.leave(dk)).toMatchObject({ status: 404 });
    await between();
    expect(await bob.leave()).toMatchObject({ status: 200, text: '{}' });
    await between();
    expect(await alice.listen()).toMatchObject({ ps: [], pk: [] });
    await between();
    expect(await alice.leave()).toMatchObject({ status: 200 });
    await between();
    expect(await stored(stub())).toEqual(NOTHING);
  });

  test('who says nothing more lapses, and nothing is left', async () => {
    pass(0); // from now on the clock moves only here, however slow the machine is
    const alice = new Poller(room, 'alice');
    const bob = new Poller(room, 'bob');
    await alice.post([], 60_000);
    await between();
    await bob.post([], 120_000);
    pass(59);
    await between();
    expect(idsIn(await bob.listen())).toEqual(['alice']);
    pass(1);
    await between();
    expect(idsIn(await bob.listen())).toEqual([]);
    await between();
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    expect(await stored(stub())).toMatchObject({ keys: { length: 2 }, alarm: expect.any(Number) }); // hers is a name by now
    pass(60);
    await between();
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    pass(840);
    await between();
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    await between();
    expect(await stored(stub())).toMatchObject({ keys: { length: 1 }, alarm: expect.any(Number) });
    pass(60);
    await between();
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    await between();
    expect(await stored(stub())).toEqual(NOTHING);
  });
});

test('what is written: a row and an alarm for the first, a row for the next, nothing for an idle poll', async () => {
  const counts = await meter(stub());
  const alice = new Poller(room, 'alice');
  const bob = new Poller(room, 'bob');
  await send({ r: room });
  await alice.listen();
  expect(counts().writes).toBe(0);
  await alice.post();
  expect(counts().writes).toBe(2);
  await bob.post();
  expect(counts().writes).toBe(3);
  for (let polls = 0; polls < 10; polls++) {
    await alice.listen();
    await bob.repost();
    await send({ r: room });
    await bob.leave('a wrong key');
  }
  expect(counts().writes).toBe(3);
  pass(90); // p2pcf posts anew when three quarters of its time are over
  await alice.post();
  expect(counts().writes).toBe(4);
  expect(await runDurableObjectAlarm(stub())).toBe(true); // late for nobody: Bob is there for thirty seconds more
  expect(counts().writes).toBe(5);
});

test('what is read: every row once when the room wakes, then nothing', async () => {
  const [alice, bob] = [new Poller(room, 'alice'), new Poller(room, 'bob')];
  await alice.post();
  await bob.post();
  await evictDurableObject(stub(), { webSockets: 'hibernate' });
  const reads = await runInDurableObject(stub(), (_room, { storage }) => [
    vi.spyOn(storage.kv, 'list'),
    vi.spyOn(storage.kv, 'get'),
    vi.spyOn(storage.sql, 'exec'),
    vi.spyOn(storage, 'getAlarm'),
  ]);
  for (let polls = 0; polls < 10; polls++) {
    expect(idsIn(await alice.listen())).toEqual(['bob']);
    await bob.repost();
  }
  pass(1);
  await alice.post();
  // A list each of the pollers, of the places held, and of the removals.
  expect(reads.map(({ mock }) => mock.calls.length)).toEqual([3, 0, 0, 0]);
});

test('the alarm comes for the first who lapses, and late rather than often', async () => {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ['Date'], now });
  const alarm = async () => ((await stored(stub())).alarm ?? 0) - now;
  await new Poller(room, 'alice').post([], 120_000);
  expect(await alarm()).toBe(120_000);
  await new Poller(room, 'bob').post([], 300_000);
  expect(await alarm()).toBe(120_000);
  const carol = new Poller(room, 'carol');
  await carol.post([], 60_000);
  expect(await alarm()).toBe(60_000);
  pass(30);
  await carol.post([], 600_000);
  expect(await alarm()).toBe(60_000);
  pass(30);
  await runDurableObjectAlarm(stub());
  expect(await alarm()).toBe(120_000);
  pass(60);
  await runDurableObjectAlarm(stub());
  expect(await alarm()).toBe(300_000);
  expect(idsIn(await send({ r: room }))).toEqual(['bob', 'carol']);
});

test('an alarm that rings early only sets the next', async () => {
  const alice = new Poller(room, 'alice');
  await alice.post();
  expect(await runDurableObjectAlarm(stub())).toBe(true);
  expect(await stored(stub())).toMatchObject({ keys: { length: 1 }, alarm: expect.any(Number) });
  await alice.leave();
});

describe('with sockets in the room', () => {
  test('nobody polls under the id of a socket', async () => {
    const sue = await Client.join(workerd, room, 'sue');
    expect(await new Poller(room, 'sue').post()).toMatchObject({
      status: 409,
      text: expect.stringMatching(/^Taken: /),
    });
    expect(await new Poller(room, 'sue').listen()).toMatchObject({ status: 409 });
    expect(await stored(stub())).toEqual(NOTHING);
    await sue.close(1000);
    await vi.waitFor(async () => expect(await new Poller(room, 'sue').post()).toMatchObject({ status: 200 }));
  });

  test('a place held and a posting share the alarm, and neither takes the other along when it goes', async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now });
    const [sue] = await Client.settle(workerd, room, 'sue');
    await sue.sendFrame('ping');
    expect(await sue.next()).toBe('pong');
    const alice = new Poller(room, 'alice');
    await alice.post([], 300_000);
    await runInDurableObject(stub(), (object, ctx) => {
      const [socket] = ctx.getWebSockets('sue');
      if (socket) object.webSocketError(socket);
    });
    const { alarm } = await stored(stub());
    expect(alarm).toBeLessThan(now + 300_000);
    expect(await new Poller(room, 'sue').post()).toMatchObject({ status: 409 });
    await alice.leave();
    expect(await stored(stub())).toMatchObject({ keys: { length: 1 }, alarm });
    await alice.post([], 300_000);
    pass(((alarm ?? 0) - now) / 1000);
    await runDurableObjectAlarm(stub());
    expect(await stored(stub())).toMatchObject({ keys: { length: 1 }, alarm: now + 300_000 });
    expect(idsIn(await send({ r: room }))).toEqual(['alice']);
    pass(300);
    await runDurableObjectAlarm(stub());
    pass(900);
    await runDurableObjectAlarm(stub());
    expect(await stored(stub())).toEqual(NOTHING);
    await sue.close(1000);
  });

  test('the sockets stay when the last poller lapses or leaves', async () => {
    const sue = await Client.join(workerd, room, 'sue');
    const alice = new Poller(room, 'alice');
    await alice.post();
    await alice.leave();
    await alice.post();
    pass(120);
    await runDurableObjectAlarm(stub());
    pass(900);
    await runDurableObjectAlarm(stub());
    expect(await stored(stub())).toEqual(NOTHING);
    for (const news of [{}, { reason: 'left' }, {}, { reason: 'timeout' }]) {
      const type = 'reason' in news ? 'peer_leave' : 'peer_join';
      expect(await sue.next()).toMatchObject({ ...news, type, clientId: 'alice' });
    }
    await sue.signal('sue', 'still here');
    expect(await sue.next()).toMatchObject({ signal: 'still here' });
    await sue.close(1000);
  });
});

describe('before any room is woken', () => {
  /** Answers through a Worker whose rooms cannot be woken. */
  const refused = async (
    init: RequestInit<IncomingRequestCfProperties>,
  ): Promise<[status: number, text: string, cors: string | null]> => {
    const request = new Request<unknown, IncomingRequestCfProperties>('http://p2pcf-ws.test/', {
      method: 'POST',
      headers: JSON_TYPE,
      ...init,
    });
    const response = await worker.fetch(request, {
      ...env,
      get SIGNALING_ROOM(): never {
        throw new Error('a room was woken');
      },
    });
    return [response.status, await response.text(), response.headers.get('Access-Control-Allow-Origin')];
  };

  test.each([
    ['no body', {}, 400, 'Bad JSON'],
    ['no JSON', { body: '{' }, 400, 'Bad JSON'],
    ['no room', { body: '{}' }, 400, 'Bad room id'],
    ['bytes that are no UTF-8', { body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, 'Bad room id'],
    [
      'another type',
      { body: '{"r":"lobby"}', headers: { 'Content-Type': 'text/plain' } },
      400,
      'Expected content-type application/json',
    ],
    [
      'no type',
      { body: new TextEncoder().encode('{"r":"lobby"}'), headers: {} },
      400,
      'Expected content-type application/json',
    ],
    ['no key', { body: '{"r":"lobby"}', method: 'DELETE' }, 400, 'Missing delete key'],
    ['64 KiB and a byte', { body: JSON.stringify({ r: 'x'.repeat(65_536 - 7) }) }, 413, 'Too large'],
    ['64 KiB', { body: JSON.stringify({ r: 'x'.repeat(65_536 - 8) }) }, 400, 'Bad room id'],
    ['two bytes a character', { body: JSON.stringify({ r: 'é'.repeat(32_765) }) }, 413, 'Too large'],
  ])('%s', async (_name, init, status, fault) => {
    expect(await refused(init)).toEqual([status, expect.stringMatching(new RegExp(`^${fault}: .+\\.$`)), '*']);
  });

  test('a body without end is not read to its end', async () => {
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(16_384));
      },
    });
    expect(await refused({ body })).toMatchObject([413, expect.any(String), '*']);
    expect(pulled).toBeLessThan(10);
  });
});

test('a browser that asks first is told that its page may', async () => {
  const headers = {
    Origin: 'https://app.test',
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'content-type,x-worker-method',
  };
  const preflight = await exports.default.fetch('http://p2pcf-ws.test/', { method: 'OPTIONS', headers });
  expect(Object.fromEntries(preflight.headers)).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET,HEAD,POST,DELETE,OPTIONS',
    'access-control-allow-headers': 'content-type,x-worker-method',
    'access-control-max-age': '86400',
    vary: 'Access-Control-Request-Headers',
  });
  const options = await exports.default.fetch('http://p2pcf-ws.test/', { method: 'OPTIONS' });
  expect(options.headers.get('Allow')).toBe('GET, POST, DELETE, OPTIONS');
});

test('p2pcf.rn leaves with DELETE', async () => {
  const id = 'a'.repeat(32);
  const d = [id, 'a label', false, `${'A'.repeat(43)}=`, 1, []];
  const body = { r: room, k: 'context', d, t: Date.now(), x: 60_000, p: [] };
  const { dk } = await send(body);
  expect(await send({ ...body, dk }, { method: 'DELETE' })).toMatchObject({ status: 200, text: '{}' });
  expect(await stored(stub())).toEqual(NOTHING);
});
