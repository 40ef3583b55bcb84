/** What a room token says, on its way from the Worker to the room, and kept while the room sleeps. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, expect, test, vi } from 'vitest';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { JSON_TYPE } from '../support/poller.ts';
import { SECRET, signToken } from '../support/room-token.ts';
import { pass } from '../support/within-room.ts';
import { workerdWith } from '../support/workerd-place.ts';

const place = workerdWith({ ...env, AUTH_SECRET: SECRET });

afterEach(() => vi.useRealTimers());

const makeToken = (claims: Record<string, unknown> = {}): Promise<string> => signToken({ prefix: 'room', ...claims });

const join = async (room: string, id: string, claims: Record<string, unknown> = {}, more = {}): Promise<Client> =>
  Client.connect(place, room, id, { token: await makeToken(claims), ...more });

const sleep = (room: string): Promise<void> =>
  evictDurableObject(env.SIGNALING_ROOM.getByName(room), { webSockets: 'hibernate' });

async function leaveByPoll(_client: Client, room: string): Promise<void> {
  const { status } = await place.fetch(`/?token=${await makeToken()}`, {
    method: 'POST',
    headers: { ...JSON_TYPE, 'X-Worker-Method': 'DELETE' },
    body: JSON.stringify({ r: room, k: 'a context', dk: 'a key' }),
  });
  expect(status).toBe(404);
}

test('the subject of a token is told by the room, also after it has slept', async () => {
  const room = newRoom();
  const sub = `${'ß'.repeat(124)}""\u{1f600}`; // 256 bytes of JSON, of what takes the most when it is escaped
  const metadata = JSON.stringify('ß'.repeat(1_200));
  const alice = await join(room, 'alice', { sub }, { metadata });
  expect(await alice.next()).toMatchObject({ type: 'peers', peers: [] });
  await alice.send({ type: 'ahead', offer: 'x'.repeat(6_000) });
  await alice.send({ type: 'signal', targetId: 'alice', signal: 1 });
  expect(await alice.next()).toMatchObject({ type: 'signal' });
  await sleep(room);
  const bob = await join(room, 'bob', { sub: 'bob' }, { ahead: '1' });
  expect(await bob.next()).toMatchObject({
    verified: { alice: { sub } },
    offers: { alice: expect.stringMatching(/^x{6000}$/) },
  });
  expect(await alice.next()).toMatchObject({ type: 'peer_join', clientId: 'bob', verified: { sub: 'bob' } });
  expect((await (await join(room, 'alice', { sub: 'bob' })).closed).code).toBe(4009);
  await bob.close();
  await alice.close();
});

test.each<[string, wake: (carol: Client, room: string) => Promise<unknown>]>([
  ['a broadcast', (carol) => carol.send({ type: 'broadcast', data: 1 })],
  ['what none of the others hears', (carol) => carol.send({ type: 'ahead', offer: 1 })],
  ['a poller that leaves, and was not there', leaveByPoll],
])('whose token has expired is put out when the room wakes for %s, a resumed one too', async (_what, wake) => {
  const room = newRoom();
  const soon = { exp: Math.floor(Date.now() / 1000) + 60 };
  const resume = '0123456789abcdef0123456789abcdef0123';
  const alice = await join(room, 'alice', {}, { resume });
  await alice.next();
  await alice.close(4010);
  const again = await join(room, 'alice', soon, { resume });
  expect(await again.next()).toMatchObject({ type: 'peers', resumed: true });
  const bob = await join(room, 'bob', soon);
  expect(await bob.next()).toMatchObject({ type: 'peers', peers: ['alice'] });
  const carol = await join(room, 'carol');
  expect(await carol.next()).toMatchObject({ peers: ['alice', 'bob'] });
  await sleep(room);
  pass(80);
  await wake(carol, room);
  const expired = { code: 4401, reason: 'The token has expired' };
  expect([await again.closed, await bob.closed]).toMatchObject([expired, expired]);
  expect([await carol.next(), await carol.next()]).toMatchObject(
    ['alice', 'bob'].map((clientId) => ({ type: 'peer_leave', clientId, reason: 'timeout' })),
  );
  await carol.close();
});

test('who has been removed stays out while the room sleeps, socket or poller, and is forgotten when the token has expired', async () => {
  const room = newRoom();
  const host = await join(room, 'host', { sub: 'host', host: true });
  const mallory = { sub: 'mallory', exp: Math.floor(Date.now() / 1000) + 300 };
  const target = await join(room, 'target', mallory, { resume: '0123456789abcdef0123456789abcdef0123' });
  await target.send({ type: 'remove', targetId: 'host' });
  await target.next();
  expect(await target.next()).toMatchObject({ type: 'error', code: 'not_host' });
  await host.send({ type: 'remove', targetId: 'target' });
  const removed = { code: 4403, reason: 'Removed by a host' };
  expect(await target.next()).toMatchObject({ type: 'error', code: 'closing', close: removed });
  expect(await target.closed).toMatchObject(removed);
  await host.next();
  expect([await host.next(), await host.next()]).toMatchObject([
    { type: 'peer_join', clientId: 'target', verified: { sub: 'mallory' } },
    { type: 'peer_leave', clientId: 'target', reason: 'removed' },
  ]);
  await host.close();
  await sleep(room);
  expect(await (await join(room, 'another id', mallory)).closed).toMatchObject(removed);
  const response = await place.fetch(`/?token=${await makeToken(mallory)}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ r: room, k: 'a context' }),
  });
  expect([response.status, await response.text()]).toEqual([403, 'Removed by a host.']);
  pass(311);
  const stub = env.SIGNALING_ROOM.getByName(room);
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await runInDurableObject(stub, async (_room, { storage }) => [...(await storage.list()).keys()])).toEqual([]);
  const back = await join(room, 'target', { sub: 'mallory' });
  expect(await back.next()).toMatchObject({ type: 'peers', peers: [] });
  await back.close();
});

test('a removal that cannot be stored holds as long as the room is awake', async () => {
  const room = newRoom();
  const host = await join(room, 'host', { sub: 'host', host: true });
  const target = await join(room, 'target', { sub: 'mallory' });
  const quota = (): never => {
    throw new Error('Exceeded allowed rows written in Durable Objects free tier.');
  };
  await runInDurableObject(env.SIGNALING_ROOM.getByName(room), (_room, { storage }) => {
    Object.assign(storage.kv, { put: quota, delete: quota });
    Object.assign(storage, { setAlarm: quota, deleteAll: quota });
  });
  await host.send({ type: 'remove', targetId: 'target' });
  expect(await target.closed).toMatchObject({ code: 4403 });
  expect((await (await join(room, 'another', { sub: 'mallory' })).closed).code).toBe(4403);
  for (const id of ['target', 'another']) await host.send({ type: 'remove', targetId: id });
  const carol = await join(room, 'carol', { sub: 'carol' });
  expect(await carol.next()).toMatchObject({ type: 'peers', peers: ['host'] });
  for (const client of [host, carol]) await client.close();
});
