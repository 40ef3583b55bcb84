/** The library in real Firefox, and in Firefox together with Chromium, against a real server. */
import { createHash } from 'node:crypto';
import type { Browser as Chromium } from 'playwright-core';
import type { Browser as Firefox } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startWorkerd } from '../../scripts/server.ts';
import { launchChromium, openPage, type PageServer, servePage } from './chromium.ts';
import { launchFirefox, openInFirefox } from './firefox.ts';
import { connected, enter, heard, inPage, type RoomPage, say, until, watch } from './room-page.ts';

type TestPage = RoomPage & { errors: string[]; close(): Promise<void> };

let server: Server;
let pages: PageServer;
let firefox: Firefox;
let chromium: Chromium;
beforeAll(async () => {
  [server, pages, firefox, chromium] = await Promise.all([
    startWorkerd(),
    servePage(),
    launchFirefox(),
    launchChromium(),
  ]);
});
afterAll(async () => {
  await Promise.all([firefox?.close(), chromium?.close(), server?.stop(), pages?.stop()]);
});

let open: TestPage[] = [];
afterEach(async () => {
  const closing = open;
  open = [];
  for (const page of closing) await page.close();
  expect(closing.flatMap((page) => page.errors)).toEqual([]);
});

let rooms = 0;

describe.each([
  ['Firefox', 'Firefox'],
  ['Firefox', 'Chromium'],
  ['Chromium', 'Firefox'],
])('%s, joined by %s', (...browsers) => {
  /** Alice is in the room when Bobby joins; both are connected. */
  async function meet(options: { metadata?: unknown; offersAhead?: boolean } = {}): Promise<[TestPage, TestPage]> {
    const room = `room ${++rooms}`;
    const join = async (browser: string | undefined, name: string): Promise<TestPage> => {
      const page: TestPage =
        browser === 'Firefox' ? await openInFirefox(firefox, pages.url) : await openPage(chromium, pages.url);
      open.push(page);
      await enter(page, server.url, room, name, { metadata: { name }, ...options });
      return page;
    };
    const alice = await join(browsers[0], 'Alice');
    const bob = await join(browsers[1], 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    return [alice, bob];
  }

  test.each([true, false])('two pages meet and talk, offers ahead: %s', async (offersAhead) => {
    const [alice, bob] = await meet({ offersAhead });
    await say(alice, 'from Alice');
    await say(bob, 'from Bobby');
    await heard(alice, 'from Bobby');
    await heard(bob, 'from Alice');
    const seen = (page: RoomPage): Promise<unknown> =>
      inPage(page, () => [...window.room.peers.values()].map(({ client_id, metadata }) => [client_id, metadata]));
    expect(await seen(alice)).toEqual([['Bobby', { name: 'Bobby' }]]);
    expect(await seen(bob)).toEqual([['Alice', { name: 'Alice' }]]);
    expect(await inPage(alice, () => window.log)).toEqual(['connect Bobby']);
    expect(await inPage(bob, () => window.log)).toEqual(['connect Alice']);
  });

  test('0 bytes to 1 MB arrive intact and in order, both ways at once', async () => {
    const both = await meet();
    const lengths = [0, 1, 16_000, 16_001, 1_000_000];
    const expected = lengths.map((length) => {
      const bytes = new Uint8Array(length).map((_, n) => n * 31 + (n >> 8));
      return { length, sum: createHash('sha256').update(bytes).digest('hex') };
    });
    const send = (lengths: number[]): Promise<unknown> =>
      Promise.all(
        lengths.map((length) => window.room.broadcast(new Uint8Array(length).map((_, n) => n * 31 + (n >> 8)))),
      );
    await Promise.all(both.map((page) => inPage(page, send, lengths)));
    for (const page of both) {
      await until(page, expected, () =>
        window.got.map(({ length, sum }) => ({ length, sum })).sort((a, b) => a.length - b.length),
      );
    }
  });

  test('camera and microphone that both add in the same instant are seen by both, and so is a track added later', async () => {
    const both = await meet();
    const addCamera = async (audio: boolean): Promise<void> => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio, video: true });
      for (const peer of window.room.peers.values()) peer.addStream(stream);
    };
    const watching = both.map(watch);
    await Promise.all(both.map((page) => inPage(page, addCamera, true)));
    expect(await Promise.all(watching)).toEqual([
      ['audio', 'video'],
      ['audio', 'video'],
    ]);
    const [alice, bob] = both;
    const later = watch(alice);
    await inPage(bob, addCamera, false);
    expect(await later).toEqual(['video']);
    await say(alice, 'still here');
    await heard(bob, 'still here');
  });

  test('ICE restarts without a new peer, whoever starts it, and the channel stays open', async () => {
    const [alice, bob] = await meet();
    for (const [first, second] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const ufrag = (): Promise<unknown> =>
        inPage(second, () => {
          const [peer] = window.room.peers.values();
          return /a=ice-ufrag:(\S+)/.exec(peer?._pc.remoteDescription?.sdp ?? '')?.[1];
        });
      const before = await ufrag();
      await inPage(first, () => window.dispatchEvent(new Event('online')));
      await expect.poll(ufrag).not.toBe(before);
      await say(first, 'after the restart');
      await heard(second, 'after the restart');
      await say(second, 'yes, after the restart');
      await heard(first, 'yes, after the restart');
    }
    expect(await inPage(alice, () => window.log)).toEqual(['connect Bobby']);
    expect(await inPage(bob, () => window.log)).toEqual(['connect Alice']);
  });

  test.each([0, 1])('a page that is closed leaves, whichever of the two', async (index) => {
    const both = await meet();
    const [leaving, staying] = index === 0 ? both : [both[1], both[0]];
    open = [staying];
    await leaving.close();
    const name = index === 0 ? 'Alice' : 'Bobby';
    await until(staying, [`connect ${name}`, `close ${name}`], () => window.log);
  });
});
