/** P2PCF's own clients, unmodified as npm has them, in real Chromium, polling a real server. They take their time. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { SECRET, signToken } from '../support/room-token.ts';
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
type Kind = 'p2pcf' | 'p2pcf.rn';

/** A page whose client has joined, of one kind or the other. Its events are in `log`, its messages in `got`. */
async function join(kind: Kind, room: string, clientId: string, workerUrl = server.url): Promise<Page> {
  const page = await newPage(pages.url);
  await enter(page, kind, room, clientId, workerUrl);
  return page;
}

async function enter(page: Page, kind: Kind, room: string, clientId: string, workerUrl = server.url): Promise<void> {
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
    [kind, room, clientId, workerUrl] as const,
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

test('with a room token in their workerUrl they meet where the server wants one, and a page without has no way in', async () => {
  const guarded = await startWorkerd({ vars: { AUTH_SECRET: SECRET } });
  try {
    const workerUrl = `${guarded.url}/?token=${await signToken({ rooms: ['lobby'] })}`;
    const stranger = await newPage(pages.url); // p2pcf.rn would leave the refusal uncaught
    const refused = stranger.waitForResponse((response) => response.status() === 401);
    await enter(stranger, 'p2pcf', 'lobby', 'MyUsername', guarded.url);
    await refused;
    const alice = await join('p2pcf', 'lobby', 'MyUsername', workerUrl);
    const desktop = await join('p2pcf.rn', 'lobby', 'my desktop', workerUrl);
    const [bob, phone] = [
      await join('p2pcf', 'lobby', 'MyUsername', workerUrl),
      await join('p2pcf.rn', 'lobby', 'my phone', workerUrl),
    ];
    for (const page of [alice, bob, desktop, phone]) await logged(page, 'connect');
    await exchange(alice, bob, [1000]);
    await exchange(phone, desktop, [1000]);
    expect(await stranger.evaluate(() => window.log)).toEqual([]);
  } finally {
    await guarded.stop();
  }
});
