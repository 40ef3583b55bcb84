/** Two browsers in networks of their own, each behind a router that translates addresses and lets nothing in unasked. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { type Coturn, startCoturn } from '../support/coturn.ts';
import { type Home, Internet, type Translation, WITHOUT_NAMESPACES } from '../support/nat.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, say, way } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const title = WITHOUT_NAMESPACES ? `skipped, as ${WITHOUT_NAMESPACES}` : 'behind two NATs';

describe.skipIf(WITHOUT_NAMESPACES)(title, () => {
  let net: Internet;
  let homes: Home[];
  let server: Server;
  let coturn: Coturn;
  let pages: PageServer;
  let browsers: Browser[];
  beforeAll(async () => {
    net = new Internet();
    homes = ['keeps', 'keeps'].map(() => net.addHome(net.addRouter('keeps')));
    [coturn, pages, browsers] = await Promise.all([
      startCoturn({ at: net.servers }),
      servePage(),
      Promise.all(homes.map((home) => launchChromium([], [], (path) => net.launcher(path, home)))),
    ]);
    const vars = {
      ALLOWED_ORIGINS: new URL(pages.url).origin,
      TURN_OPEN: 'true',
      TURN_URLS: `turn:${coturn.address}`,
      TURN_SECRET: coturn.secret,
    };
    server = await startWorkerd({ at: net.servers, vars });
  });
  afterAll(async () => {
    await Promise.all([...(browsers ?? []).map((browser) => browser.close()), server?.stop(), pages?.stop()]);
    await coturn?.stop();
    net?.remove();
  });

  /** Two pages meet, each behind a router that translates so. */
  async function meet(...translations: Translation[]): Promise<unknown[]> {
    const room = newRoom();
    const open = [];
    for (const [index, home] of homes.entries()) {
      net.move(home, net.addRouter(translations[index] ?? 'keeps'));
      const page = await openPage(browsers[index] ?? fail(), pages.url, true);
      open.push(page);
      await enter(page, server.url, room, `user ${index}`, { stunIceServers: [{ urls: `stun:${coturn.address}` }] });
    }
    for (const page of open) await connected(page, 1);
    for (const page of open) await say(page, 'hello');
    for (const page of open) await heard(page, 'hello');
    const ways = await Promise.all(open.map(way));
    for (const page of open) await page.context().close();
    expect(open.flatMap((page) => page.errors)).toEqual([]);
    return ways.flat();
  }

  test('that keep ports, two find each other by STUN, without the TURN server they have', async () => {
    expect(await meet('keeps', 'keeps')).not.toContain('relay');
  });

  test('of which one is symmetric, they need the TURN server', async () => {
    expect(await meet('keeps', 'shuffles')).toContain('relay');
  });

  test('that are symmetric, they need the TURN server', async () => {
    expect(await meet('shuffles', 'shuffles')).toContain('relay');
  });
});

function fail(): never {
  throw new Error('There are two browsers.');
}
