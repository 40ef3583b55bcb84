/** Rate Limiting bindings, with the one of the runtime. */
import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import worker from '../../src/index.ts';
import { newRoom } from '../support/new-room.ts';
import { JSON_TYPE } from '../support/poller.ts';

const settings = { ...env, JOIN_LIMITER: env.THREE_A_MINUTE, POLL_LIMITER: env.THREE_A_MINUTE };
const addressed = (address?: string): Record<string, string> => (address ? { 'CF-Connecting-IP': address } : {});

type Way = (by: object, address?: string) => Promise<Response>;
const ways: [string, Way][] = [
  [
    'joins',
    async (by, address) => {
      const headers = { Upgrade: 'websocket', ...addressed(address) };
      const url = `http://p2pcf-ws.test/ws/room/${newRoom()}`; // over all rooms
      const response = await worker.fetch(new Request(url, { headers }), { ...env, ...by });
      response.webSocket?.accept();
      response.webSocket?.close(1000);
      return response;
    },
  ],
  [
    'polls',
    (by, address) => {
      const init = { method: 'POST', headers: { ...JSON_TYPE, ...addressed(address) }, body: `{"r":"${newRoom()}"}` };
      return worker.fetch(new Request('http://p2pcf-ws.test/', init), { ...env, ...by });
    },
  ],
];

test.each(ways)('%s above the limit of an address get 429, and those of others pass', async (name, way) => {
  const address = name === 'joins' ? '192.0.2.1' : '192.0.2.2';
  for (let n = 0; n < 3; n++) expect([101, 200]).toContain((await way(settings, address)).status);
  const refused = await way(settings, address);
  expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '10']);
  expect(await refused.text()).toMatch(/in 10 s\.\n?$/);
  expect([101, 200]).toContain((await way(settings, '192.0.2.3')).status);
  expect([101, 200]).toContain((await way(settings)).status);
});

test.each(ways)('%s pass where the binding is missing, is none, or fails', async (_name, way) => {
  const failing = { limit: () => Promise.reject(new Error('no quota')) };
  for (const limiter of [undefined, '', 'a text', failing])
    for (let n = 0; n < 5; n++) {
      const by = { JOIN_LIMITER: limiter, POLL_LIMITER: limiter };
      expect([101, 200]).toContain((await way(by, '192.0.2.4')).status);
    }
});
