/** P2PCF's HTTP protocol over real HTTP. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../support/client.ts';
import { placeOf } from '../support/place.ts';
import { type Server, startWorkerd } from '../support/server.ts';

let server: Server;
beforeAll(async () => {
  server = await startWorkerd({ vars: { MAX_PEERS_PER_ROOM: 2 } });
});
afterAll(() => server.stop());

async function poll(body: BodyInit | object, type = 'application/json'): Promise<[status: number, text: string]> {
  const isRaw = typeof body === 'string' || body instanceof ReadableStream;
  const init = { method: 'POST', headers: { 'Content-Type': type }, duplex: 'half' as const };
  const response = await fetch(server.url, { ...init, body: isRaw ? body : JSON.stringify(body) });
  return [response.status, await response.text()];
}

const posting = (id: string) => ({
  r: 'lobby',
  k: `context of ${id}`,
  d: [id, 'a label', false, `${'A'.repeat(43)}=`, 1, []],
  t: Date.now(),
  x: 120_000,
  p: [],
});

test('pollers and sockets fill a room together', async () => {
  const sue = await Client.join(placeOf(server), 'lobby', 'sue');
  expect(await poll(posting('alice'))).toMatchObject([200, expect.any(String)]);
  const [status, text] = await poll(posting('bob'));
  expect([status, text]).toEqual([503, expect.stringMatching(/^Full: .*2 peers.*\.$/)]);
  expect(await poll(posting('alice'))).toMatchObject([200, expect.any(String)]);
  await sue.close(1000);
  await expect.poll(() => poll(posting('bob'))).toMatchObject([200, expect.any(String)]);
});

test('the content type as p2pcf sends it, with a space after it', async () => {
  expect(await poll({ r: 'another' }, 'application/json ')).toEqual([200, '{"ps":[],"pk":[]}']);
});

test('a body that does not say how long it is, and is too long', async () => {
  const pieces = Array.from({ length: 5 }, () => new Uint8Array(16_384));
  const body = new ReadableStream({
    pull(controller) {
      const piece = pieces.pop();
      if (piece) controller.enqueue(piece);
      else controller.close();
    },
  });
  expect(await poll(body)).toMatchObject([413, expect.stringMatching(/^Too large: /)]);
  expect(await poll({ r: 'another' })).toMatchObject([200, expect.any(String)]);
});
