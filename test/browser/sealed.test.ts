/** Rooms with a key in real browsers, through a server that records all it sees; and who is known again. */
import type { Browser as Chromium } from 'playwright-core';
import type { Browser as Firefox } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { launchFirefox, openInFirefox } from '../support/firefox.ts';
import { type Middleman, startMiddleman } from '../support/middleman.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, inPage, type RoomPage, say, until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';

type TestPage = RoomPage & { errors: string[]; close(): Promise<void>; reload(): Promise<unknown> };

/** A name that is not this machine's, so that a page there has no secure context. */
const INSECURE = 'insecure.test';

let server: Server;
let middleman: Middleman;
let pages: PageServer;
let firefox: Firefox;
let chromium: Chromium;
beforeAll(async () => {
  [server, pages, firefox, chromium] = await Promise.all([
    startWorkerd(),
    servePage(),
    launchFirefox(),
    launchChromium([`--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`]),
  ]);
  middleman = await startMiddleman(server.url);
});
afterAll(async () => {
  await Promise.all([firefox?.close(), chromium?.close(), middleman?.stop(), pages?.stop()]);
  await server?.stop();
});

let open: TestPage[] = [];
afterEach(async () => {
  const closing = open;
  open = [];
  middleman.seen = [];
  for (const page of closing) await page.close();
  expect(closing.flatMap((page) => page.errors)).toEqual([]);
});

async function newPage(browser: string, url = pages.url): Promise<TestPage> {
  const page: TestPage = browser === 'Firefox' ? await openInFirefox(firefox, url) : await openPage(chromium, url);
  open.push(page);
  return page;
}

test.each([
  ['Chromium', 'Chromium'],
  ['Chromium', 'Firefox'],
  ['Firefox', 'Chromium'],
])(
  '%s, joined by %s with the same key: the server learns nothing, and both read the same string',
  async (...browsers) => {
    const [room, key] = [newRoom(), 'AAECAwQFBgcICQoLDA0ODw'];
    const [alice, bob] = [await newPage(browsers[0]), await newPage(browsers[1])];
    const options = { key, hideRoom: true, metadata: { private: 'my words' } };
    await enter(alice, middleman.url, room, 'Alice', options);
    await enter(bob, middleman.url, room, 'Bobby', options);
    for (const page of [alice, bob]) await connected(page, 1);
    await say(alice, 'from Alice');
    await heard(bob, 'from Alice');
    const read = (): unknown => [...window.room.peers.values()][0]?.sas;
    const string = await inPage(alice, read);
    expect(string).toEqual({ digits: expect.stringMatching(/^\d{3} \d{3}$/), emoji: expect.any(Array) });
    expect(await inPage(bob, read)).toEqual(string);
    const seenByBob = (): unknown =>
      [...window.room.peers.values()].map(({ client_id, metadata }) => [client_id, metadata]);
    expect(await inPage(bob, seenByBob)).toEqual([['Alice', { private: 'my words' }]]);
    const factsOf = (page: TestPage): Promise<unknown> =>
      inPage(page, () => {
        const sdp = [...window.room.peers.values()][0]?._pc.localDescription?.sdp ?? '';
        const facts = sdp.matchAll(/(?:ice-ufrag:|ice-pwd:|sha-256 |candidate:(?:\S+ ){4})(\S+)/g);
        return Array.from(facts, ([, fact]) => fact);
      });
    const facts = (await Promise.all([alice, bob].map(factsOf))).flat().map(String);
    expect(facts.length).toBeGreaterThanOrEqual(8);
    const record = middleman.seen.join('\n');
    expect(record.length).toBeGreaterThan(1000);
    const secrets = [...facts, room, key, 'Alice', 'Bobby', 'private', 'words', 'v=0', 'a=', 'candidate', 'sdp'];
    // Firefox's and Chromium's random credentials may be short enough to stand in any base64 by chance.
    const told = secrets.filter((secret) => record.includes(secret) && (secret.length > 4 || secret === 'v=0'));
    expect(told).toEqual([]);
  },
);

test.each(['Chromium', 'Firefox'])(
  'a device is known again by its identity, in %s; others are not trusted',
  async (browser) => {
    const room = newRoom();
    const enterAsDevice = (url: string, room: string): Promise<void> =>
      P2PCF.identity('app').then((identity) => {
        window.room = new P2PCF('Device', room, { workerUrl: url, stunIceServers: [], identity });
        return window.room.start();
      });
    const watcher = await newPage('Chromium');
    const device = await newPage(browser);
    await enter(watcher, server.url, room, 'Watcher');
    await inPage(device, enterAsDevice, server.url, room);
    await connected(watcher, 1);
    const fingerprint = String(await inPage(watcher, () => [...window.room.peers.values()][0]?.fingerprint));
    expect(fingerprint).toMatch(/^sha-256 [0-9A-F:]{95}$/);

    const trusting = (url: string, room: string, known: string): Promise<void> => {
      window.room.destroy();
      window.log = [];
      window.room = new P2PCF('Watcher', room, {
        workerUrl: url,
        stunIceServers: [],
        trust: ({ fingerprint }) => fingerprint === known,
        onUntrusted: ({ clientId }, reason) => window.log.push(`${clientId}: ${reason}`),
      });
      return window.room.start();
    };
    await inPage(watcher, trusting, server.url, room, fingerprint);
    await device.reload(); // tomorrow
    await inPage(device, enterAsDevice, server.url, room);
    await connected(watcher, 1);
    await until(watcher, [fingerprint], () => [...window.room.peers.values()].map((peer) => peer.fingerprint));
    const stranger = await newPage('Chromium');
    await enter(stranger, server.url, room, 'Stranger');
    await until(watcher, true, () =>
      window.log.some((line) => line.startsWith('Stranger: It is not trusted. Its certificate is sha-256 ')),
    );
    await connected(watcher, 1);
    await connected(stranger, 1); // to the device
  },
);

test('without a secure context, a key is refused with what it needs', async () => {
  const page = await newPage('Chromium', pages.url.replace('127.0.0.1', INSECURE));
  const refusal = (url: string): Promise<string> =>
    new P2PCF('Alice', 'room', { workerUrl: url, key: 'AAECAwQFBgcICQoLDA0ODw', stunIceServers: [] })
      .start()
      .then(() => 'started', String);
  expect(await inPage(page, refusal, server.url)).toBe(
    'Error: The options key and password need a secure context, which is https or localhost.',
  );
});
