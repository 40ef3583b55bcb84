/** All kinds of answers over HTTP: none is taken for anything but what it says it is. */
import { env, exports } from 'cloudflare:workers';
import { afterEach, expect, test, vi } from 'vitest';
import worker from '../../src/index.ts';
import { ownedId } from '../../src/protocol/owned-id.ts';
import type { Env } from '../../src/worker/signaling-room.ts';
import { newRoom } from '../support/new-room.ts';
import { JSON_TYPE } from '../support/poller.ts';

afterEach(() => vi.useRealTimers());

const UPGRADE = { Upgrade: 'websocket' };
const ADDRESS = { 'CF-Connecting-IP': '192.0.2.1' };
const LIMITED = { limit: async () => ({ success: false }) };
const asks =
  (path: string, init?: RequestInit<IncomingRequestCfProperties>, settings: Partial<Env> = {}) =>
  (): Promise<Response> =>
    worker.fetch(new Request<unknown, IncomingRequestCfProperties>(`http://p2pcf-ws.test${path}`, init), {
      ...env,
      ...settings,
    });
const polls = (body: object, settings?: Partial<Env>, headers: Record<string, string> = JSON_TYPE) =>
  asks('/', { method: 'POST', headers, body: JSON.stringify(body) }, settings);

/** One more join than a room takes at once. */
async function joinsTooFast(): Promise<Response> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  const room = newRoom();
  for (let n = 0; n < 1_000; n++) {
    const response = await exports.default.fetch(`http://p2pcf-ws.test/ws/room/${room}?clientId=m${n}`, {
      headers: UPGRADE,
    });
    if (!response.webSocket) return response;
    response.webSocket.accept();
    response.webSocket.close(1000);
  }
  throw new Error('the room takes them all');
}

test.each<[number, string, () => Promise<Response>]>([
  [200, 'what this is, as JSON', asks('/')],
  [200, 'what this is, as a page', asks('/', { headers: { Accept: 'text/html' } })],
  [200, 'health', asks('/health')],
  [200, 'a poll', polls({ r: newRoom(), k: 'a context' })],
  [200, 'a preflight', asks('/', { method: 'OPTIONS' })],
  [
    200,
    'a preflight of a browser',
    asks('/', {
      method: 'OPTIONS',
      headers: {
        Origin: 'https://a.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type',
      },
    }),
  ],
  [400, 'a bad join', asks('/ws/room/%', { headers: UPGRADE })],
  [400, 'a bad poll', polls({})],
  [400, 'a poll of another type', polls({}, {}, { 'Content-Type': 'text/plain' })],
  [
    401,
    'a poll without a token',
    polls({ r: newRoom(), k: 'a context' }, { AUTH_SECRET: 'a secret of at least thirty-two bytes' }),
  ],
  [
    403,
    'a poll from another page',
    polls(
      { r: newRoom(), k: 'a context' },
      { ALLOWED_ORIGINS: 'https://a.example' },
      { ...JSON_TYPE, Origin: 'https://b.example' },
    ),
  ],
  [404, 'nothing there', asks('/nothing')],
  [
    404,
    'nothing to leave',
    polls({ r: newRoom(), k: 'a context', dk: 'a key' }, {}, { ...JSON_TYPE, 'X-Worker-Method': 'DELETE' }),
  ],
  [405, 'another method', asks('/health', { method: 'POST' })],
  [413, 'a large poll', polls({ r: 'x'.repeat(70_000) })],
  [426, 'no upgrade', asks('/ws/room/lobby')],
  [
    429,
    'joins of an address',
    asks('/ws/room/lobby', { headers: { ...UPGRADE, ...ADDRESS } }, { JOIN_LIMITER: LIMITED }),
  ],
  [429, 'joins of a room', joinsTooFast],
  [429, 'polls of an address', polls({ r: newRoom() }, { POLL_LIMITER: LIMITED }, { ...JSON_TYPE, ...ADDRESS })],
  [500, 'settings that make no sense', asks('/', {}, { MAX_PEERS_PER_ROOM: 'many' })],
])('%i, %s', async (status, _what, ask) => {
  const response = await ask();
  await response.text();
  expect([response.status, response.headers.get('X-Content-Type-Options')]).toEqual([status, 'nosniff']);
});

/** What must not be touched. */
const ASLEEP = new Proxy(env.SIGNALING_ROOM, {
  get() {
    throw new Error('the room was woken');
  },
});

test.each<[string, string, number]>([
  ['nobody', `clientId=${ownedId('0123456789abcdef0123456789abcdef0123')}`, 4009],
  ['the bearer of another token', `clientId=${ownedId('0123456789abcdef0123456789abcdef0123')}&resume=1`, 4009],
])('an owned id is refused before a room is woken, to %s', async (_who, query, code) => {
  const { webSocket } = await asks(`/ws/room/lobby?${query}`, { headers: UPGRADE }, { SIGNALING_ROOM: ASLEEP })();
  if (!webSocket) throw new Error('no WebSocket: a page would not learn why');
  const closed = new Promise<CloseEvent>((resolve) => webSocket.addEventListener('close', resolve));
  webSocket.accept();
  expect((await closed).code).toBe(code);
});

test('its owner wakes the room', async () => {
  const token = '0123456789abcdef0123456789abcdef0123';
  const path = `/ws/room/lobby?clientId=${ownedId(token)}&resume=${token}`;
  await expect(asks(path, { headers: UPGRADE }, { SIGNALING_ROOM: ASLEEP })()).rejects.toThrow('the room was woken');
});
