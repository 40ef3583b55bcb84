/** P2PCF's own clients, unmodified as npm has them, in real Chromium, polling a real server. They take their time. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { sha256 } from '../support/sha256.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  const clients = servePage(
    `import p2pcf from 'p2pcf'; import rn from 'p2pcf.rn';
      globalThis.pollingClients = { p2pcf, 'p2pcf.rn': rn };`,
    // What only a phone has.
    { define: { global: 'window' }, external: ['react-native-webrtc', '@react-native-async-storage/async-storage'] },
  );
  [server, pages, browser] = await Promise.all([startWorkerd(), clients, launchChromium()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop(), browser.close()]);
});

const newPage = pagesOfEachTest(() => browser);
/** A page whose client has joined, of one kind or the other. Its events are in `log`, its messages in `got`. */
async function join(kind: 'p2pcf' | 'p2pcf.rn', room: string, clientId: string): Promise<Page> {
  const page = await newPage(pages.url);
  await enter(page, kind, room, clientId);
  return page;
}

async function enter(page: Page, kind: 'p2pcf' | 'p2pcf.rn', room: string, clientId: string): Promise<void> {
  await page.evaluate(
    async ([kind, room, clientId, workerUrl]) => {
      window.log = [];
      window.got = [];
      const options = { workerUrl, stunIceServers: [], turnIceServers: [], isDesktop: clientId.includes('desktop') };
      const client = new pollingClients[kind](clientId, room, options);
      window.client = client;
      client.on('peerconnect', () => window.log.push('connect'));
      client.on('peerclose', () => window.log.push('close'));
      client.on('msg', async (_peer, data) => {
        window.got.push({ from: '', length: data.byteLength, sum: await globalThis.sha256(data), text: '' });
      });
      await client.start();
    },
    [kind, room, clientId, server.url] as const,
  );
}

const logged = (page: Page, entry: string): Promise<unknown> =>
  page.waitForFunction((entry) => window.log.includes(entry), entry, WAIT);

/** Sends messages of these lengths from one page, and checks what the other gets. */
async function exchange(from: Page, to: Page, lengths: number[]): Promise<void> {
  await to.evaluate(() => {
    window.got = [];
  });
  for (const length of lengths) {
    await from.evaluate((length) => {
      window.client.broadcast(Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251).buffer);
    }, length);
  }
  await to.waitForFunction((count) => window.got.length === count, lengths.length);
  const got = await to.evaluate(() => window.got.map(({ length, sum }) => ({ length, sum })));
  const sent: unknown[] = [];
  for (const length of lengths) {
    sent.push({ length, sum: await sha256(Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251)) });
  }
  expect(got.sort((a, b) => a.length - b.length)).toEqual(sent);
}

/** How many are on the room's board. */
async function present(room: string): Promise<number> {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(server.url, { method: 'POST', headers, body: JSON.stringify({ r: room }) });
  const { ps }: { ps: unknown[] } = Object(await response.json());
  return ps.length;
}

test('p2pcf with p2pcf: they connect, exchange bytes, a reloaded page comes back, and leave', async () => {
  const [alice, bob] = [await join('p2pcf', 'lobby', 'MyUsername'), await join('p2pcf', 'lobby', 'MyUsername')];
  await Promise.all([logged(alice, 'connect'), logged(bob, 'connect')]);
  const lengths = [2, 1000, 15_999, 16_001, 1_000_000]; // p2pcf cannot send fewer than two
  await exchange(alice, bob, lengths);
  await exchange(bob, alice, lengths);
  await bob.reload();
  await logged(alice, 'close');
  await alice.evaluate(() => {
    window.log = [];
  });
  await enter(bob, 'p2pcf', 'lobby', 'MyUsername');
  await Promise.all([logged(alice, 'connect'), logged(bob, 'connect')]);
  await exchange(bob, alice, [1000]);
  expect(await present('lobby')).toBe(2);
  for (const page of [alice, bob]) await page.evaluate(() => window.client.destroy());
  await expect.poll(() => present('lobby')).toBe(0);
});

test('p2pcf.rn with p2pcf.rn, and p2pcf with p2pcf, in one room', async () => {
  const desktop = await join('p2pcf.rn', 'mixed', 'my desktop');
  const alice = await join('p2pcf', 'mixed', 'MyUsername');
  const [phone, bob] = [await join('p2pcf.rn', 'mixed', 'my phone'), await join('p2pcf', 'mixed', 'MyUsername')];
  for (const page of [desktop, phone, alice, bob]) await logged(page, 'connect');
  for (const [from, to] of [
    [desktop, phone],
    [phone, desktop],
    [alice, bob],
    [bob, alice],
  ] as const) {
    await exchange(from, to, [2, 1000, 16_000]);
  }
  for (const page of [desktop, phone, alice, bob]) {
    expect(await page.evaluate(() => window.log)).toEqual(['connect']);
    expect(await page.evaluate(() => window.client.peers?.size ?? window.client.getPeers?.().length)).toBe(1);
  }
});
