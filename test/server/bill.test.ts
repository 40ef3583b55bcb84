/** What a real conversation costs, counted in a real server process; the arithmetic of docs/cost.md starts from it. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freeTierTable } from '../../scripts/free-tier.ts';
import { SignalingClient } from '../../src/client/signaling.ts';
import type { Peers } from '../../src/protocol/messages.ts';
import { Client } from '../support/client.ts';
import { startFaultyProxy } from '../support/faults.ts';
import { placeOf } from '../support/place.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { meet } from '../support/two-peers.ts';

let server: Server;
beforeEach(async () => {
  server = await startWorkerd({ main: 'test/support/metered.ts' });
});
afterEach(() => server.stop());

const readBill = async (): Promise<Record<string, number>> => Object(await (await fetch(`${server.url}/bill`)).json());

test('two peers who meet cost two requests at each stage and their messages; no row, no alarm, no timer', async () => {
  const meeting = await meet(server.url, 'room', new Uint8Array(randomBytes(1024)));
  const afterwards = await Client.join(placeOf(server), 'another room', 'pinger');
  for (let n = 0; n < 100; n++) await afterwards.sendFrame('ping');
  for (let n = 0; n < 100; n++) expect(await afterwards.next()).toBe('pong');
  expect(await readBill()).toEqual({
    workerRequests: 2 + 1,
    roomRequests: 2 + 1,
    messages: meeting.messagesSent,
    alarms: 0,
    rowsRead: 0,
    rowsWritten: 0,
    timers: 0,
    wakes: 2,
  });
});

test('that a place would be held costs nothing; a drop costs a request to come back and three rows', async () => {
  const proxy = await startFaultyProxy(server.url);
  const alice = new SignalingClient({ workerUrl: proxy.url, roomId: 'room', clientId: 'alice' });
  const bob = new SignalingClient({ workerUrl: server.url, roomId: 'room', clientId: 'bob' });
  await alice.start();
  await bob.start();
  bob.send('alice', 1);
  await new Promise((resolve) => alice.once('signal', resolve));
  const quiet = { alarms: 0, rowsRead: 0, rowsWritten: 0, timers: 0, wakes: 1 };
  expect(await readBill()).toEqual({ ...quiet, workerRequests: 2, roomRequests: 2, messages: 1 });
  proxy.refuse(true);
  proxy.reset();
  const away = { ...quiet, rowsWritten: 2, workerRequests: 2, roomRequests: 2, messages: 1 }; // the place, its alarm
  await expect.poll(readBill).toEqual(away);
  const back = new Promise<Peers>((resolve) => alice.once('peers', resolve));
  proxy.refuse(false);
  expect(await back).toMatchObject({ resumed: true });
  expect(await readBill()).toEqual({ ...away, rowsWritten: 3, workerRequests: 3, roomRequests: 3 });
  alice.stop();
  bob.stop();
  await proxy.stop();
});

test('a quiet room hibernates with its sockets open, pinged or not, and wakes as it was', async () => {
  const alice = await Client.join(placeOf(server), 'room', 'alice');
  const bob = await Client.join(placeOf(server), 'room', 'bob');
  expect(await alice.next()).toMatchObject({ type: 'peer_join' });
  expect((await readBill())['wakes']).toBe(1);
  const quietUntil = Date.now() + 13_000; // workerd hibernates an object after ten quiet seconds (2026-11)
  while (Date.now() < quietUntil) {
    await alice.sendFrame('ping');
    expect(await alice.next()).toBe('pong');
    await new Promise((resolve) => setTimeout(resolve, 1000)); // quiet is what is tested
  }
  await alice.signal('bob', 'good morning');
  expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: 'good morning' });
  expect((await readBill())['wakes']).toBe(2);
  const carol = await Client.connect(placeOf(server), 'room', 'carol');
  expect(await carol.next()).toEqual({ type: 'peers', peers: ['alice', 'bob'], yourId: 'carol' });
});

test('the table of sessions per day in docs/cost.md is the arithmetic of this bill', async () => {
  const cost = await readFile(new URL('../../docs/cost.md', import.meta.url), 'utf8');
  expect(cost).toContain(freeTierTable());
});
