/** The library in real Firefox, and in Firefox together with Chromium, against a real server. */
import type { Browser as Chromium } from 'playwright-core';
import type { Browser as Firefox } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { launchFirefox, openInFirefox } from '../support/firefox.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, inPage, type RoomPage, say, until, watch } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { sha256 } from '../support/sha256.ts';
import { WAIT } from '../support/wait.ts';

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

describe.each([
  ['Firefox', 'Firefox'],
  ['Firefox', 'Chromium'],
  ['Chromium', 'Firefox'],
])('%s, joined by %s', (...browsers) => {
  /** Alice is in the room when Bobby joins; both are connected. */
  async function meet(resident: { offersAhead?: boolean } = {}, joiner = resident): Promise<[TestPage, TestPage]> {
    const room = newRoom();
    const join = async (browser: string | undefined, name: string, options: object): Promise<TestPage> => {
      const page: TestPage =
        browser === 'Firefox' ? await openInFirefox(firefox, pages.url) : await openPage(chromium, pages.url);
      open.push(page);
      await enter(page, server.url, room, name, { metadata: { name }, ...options });
      return page;
    };
    const alice = await join(browsers[0], 'Alice', resident);
    const bob = await join(browsers[1], 'Bobby', joiner);
    for (const page of [alice, bob]) await connected(page, 1);
    return [alice, bob];
  }

  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('two pages meet and talk, offers ahead: %s, of the joiner: %s', async (...offersAhead) => {
    const [ofResident, ofJoiner] = offersAhead;
    const [alice, bob] = await meet({ offersAhead: ofResident }, { offersAhead: ofJoiner });
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

  test('0 bytes to 1 MB arrive intact, both ways at once', async () => {
    const both = await meet();
    const lengths = [0, 1, 16_000, 16_001, 1_000_000];
    const expected: unknown[] = [];
    for (const length of lengths) {
      expected.push({ length, sum: await sha256(new Uint8Array(length).map((_, n) => n * 31 + (n >> 8))) });
    }
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

  test('datagrams go both ways', async () => {
    const all = await meet();
    for (const page of all) {
      await inPage(page, () => {
        window.room.on('datagram', (_peer, data) => window.log.push(`datagram ${data.byteLength}`));
      });
    }
    for (const page of all) await inPage(page, () => window.room.broadcastUnreliable(new Uint8Array(1100)));
    for (const page of all) await until(page, true, () => window.log.includes('datagram 1100'));
  });

  const addCamera = async (audio: boolean): Promise<void> => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio, video: true });
    for (const peer of window.room.peers.values()) peer.addStream(stream);
  };

  test('camera and microphone that both add in the same instant are seen by both, and so is a track added later', async () => {
    const both = await meet();
    const seen = await Promise.all(both.map(watch));
    await Promise.all(both.map((page) => inPage(page, addCamera, true)));
    expect(await Promise.all(seen.map((frames) => frames()))).toEqual([
      ['audio', 'video'],
      ['audio', 'video'],
    ]);
    const [alice, bob] = both;
    const later = await watch(alice);
    await inPage(bob, addCamera, false);
    expect(await later()).toEqual(['video']);
    await say(alice, 'still here');
    await heard(bob, 'still here');
  });

  // Between the two browsers a restart right after another loses the connection now and then, as ice-restart.ts says, and
  // it is made anew: once in some twenty runs of this. Twice in a row it would be ours.
  const retry = browsers.includes('Chromium') ? 1 : 0;
  test('ICE restarts without a new peer, whoever starts it or both at once; the channel stays open, media can be added', {
    retry,
  }, async () => {
    const both = await meet();
    const [alice, bob] = both;
    const theirUfrag = (page: RoomPage): Promise<unknown> =>
      inPage(page, () => {
        const [peer] = window.room.peers.values();
        return /a=ice-ufrag:(\S+)/.exec(peer?._pc.currentRemoteDescription?.sdp ?? '')?.[1];
      });
    for (const [round, starting] of [[alice], [bob], both].entries()) {
      const before = await Promise.all(both.map(theirUfrag));
      await Promise.all(starting.map((page) => inPage(page, () => window.dispatchEvent(new Event('online')))));
      for (const [n, page] of both.entries()) await expect.poll(() => theirUfrag(page), WAIT).not.toBe(before[n]);
      for (const page of both) await say(page, `after restart ${round}`);
      for (const page of both) await heard(page, `after restart ${round}`);
    }
    for (const [receiver, sender] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const seen = await watch(receiver);
      await inPage(sender, addCamera, false);
      expect(await seen()).toEqual(['video']);
    }
    expect(await inPage(alice, () => window.log)).toEqual(['connect Bobby']);
    expect(await inPage(bob, () => window.log)).toEqual(['connect Alice']);
  });

  test.each(['Alice', 'Bobby'])('when the page of %s is closed, the other is told', async (name) => {
    const [alice, bob] = await meet();
    const [leaving, staying] = name === 'Alice' ? [alice, bob] : [bob, alice];
    open = [staying];
    await leaving.close();
    await until(staying, [`connect ${name}`, `close ${name}`], () => window.log);
  });
});

test.each([{}, { key: 'AAECAwQFBgcICQoLDA0ODw' }])(
  "Firefox, which does not say that a page's policy forbids the server: the app is told, with %o",
  async (options) => {
    const page = await openInFirefox(firefox, pages.url);
    await inPage(page, () => {
      const policy = { httpEquiv: 'Content-Security-Policy', content: "connect-src 'none'" };
      document.head.append(Object.assign(document.createElement('meta'), policy));
    });
    await expect(enter(page, server.url, newRoom(), 'MyUsername', options)).rejects.toThrow(
      "the page's Content-Security-Policy",
    );
    await page.close(); // `open` would have it without errors, and Firefox counts what the policy forbids
  },
);
