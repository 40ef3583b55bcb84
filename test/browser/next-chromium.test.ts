/**
 * What next year's Chromium may do by itself: its field trials for faster handshakes, on both sides or on one alone.
 */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, say, until, watch } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const SNAP = 'WebRTC-Sctp-Snap/Enabled/';
const DTLS_IN_STUN = 'WebRTC-IceHandshakeDtls/Enabled/';

let server: Server;
let pages: PageServer;
beforeAll(async () => {
  [server, pages] = await Promise.all([startWorkerd(), servePage()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop()]);
});

/** What the page has published or sent of descriptions, by way of the room. */
function noteDescriptions(): void {
  Object.assign(window, { described: [] });
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) {
    if (String(data).includes('"sdp"')) Object(window).described.push(String(data));
    send.call(this, data);
  };
}

const ufragOfOther = (page: Page): Promise<unknown> =>
  page.evaluate(() => {
    const sdp = [...window.room.peers.values()][0]?._pc.currentRemoteDescription?.sdp ?? '';
    return /a=ice-ufrag:(\S+)/.exec(sdp)?.[1];
  });

describe.each([
  ['SCTP in the description (SNAP)', SNAP, SNAP],
  ['DTLS in STUN', DTLS_IN_STUN, DTLS_IN_STUN],
  ['both, on the side that is there first', SNAP + DTLS_IN_STUN, ''],
  ['both, on the side that comes', '', SNAP + DTLS_IN_STUN],
])('%s', (_name, ...trials) => {
  let browsers: Browser[];
  beforeAll(async () => {
    const flagsOf = (trial: string): string[] => (trial ? [`--force-fieldtrials=${trial}`] : []);
    browsers = await Promise.all(trials.map((trial) => launchChromium(flagsOf(trial), { isWhole: true })));
  });
  afterAll(() => Promise.all(browsers.map((browser) => browser.close())));

  test.each([true, false])(
    'two meet, show their cameras, restart ICE and leave, offers ahead: %s',
    async (offersAhead) => {
      const room = newRoom();
      const both: Awaited<ReturnType<typeof openPage>>[] = [];
      for (const [n, browser] of browsers.entries()) {
        const page = await openPage(browser, pages.url);
        both.push(page);
        await enter(page, server.url, room, `user ${n}`, { offersAhead }, noteDescriptions);
      }
      const [alice, bob] = both;
      if (!alice || !bob) throw new Error('two are here');
      for (const page of both) await connected(page, 1);
      for (const [n, page] of both.entries()) await say(page, `from ${n}`);
      for (const [n, page] of both.entries()) await heard(page, `from ${1 - n}`);

      // What an offer brings that we do not know goes to the other as it is.
      for (const [n, page] of both.entries()) {
        const described: string[] = await page.evaluate(() => Object(window).described);
        for (const offer of described.filter((text) => text.includes('"offer"')))
          expect(offer.includes('a=sctp-init')).toBe(trials[n]?.includes(SNAP));
      }

      const seen = await Promise.all(both.map(watch));
      for (const page of both) {
        await page.evaluate(async () => {
          const [peer] = window.room.peers.values();
          peer?.addStream(await navigator.mediaDevices.getUserMedia({ video: true }));
        });
      }
      for (const kinds of await Promise.all(seen.map((frames) => frames()))) expect(kinds).toEqual(['video']);

      const before = await ufragOfOther(alice);
      await bob.evaluate(() => window.dispatchEvent(new Event('online')));
      await expect.poll(() => ufragOfOther(alice)).not.toBe(before);
      await bob.evaluate(() => window.room.broadcast(new Uint8Array(200_000)));
      await until(alice, true, () => window.got.some(({ length }) => length === 200_000));
      await bob.evaluate(() => window.room.destroy());
      await connected(alice, 0);
      for (const page of both) {
        await page.context().close();
        expect(page.errors).toEqual([]);
      }
    },
  );
});
