/** The demo and a peer that wants to harm it: the page stays in use, and what an honest peer says is heard. */
import { crc32, deflateSync } from 'node:zlib';
import wrtc from 'node-datachannel/polyfill';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { P2PCF, type Peer } from '../../src/client/index.ts';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { connected, inPage, enter as joinAs, until } from '../support/room-page.ts';
import { type Server, startDev } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let browser: Browser;
let pages: PageServer;
let others: P2PCF[] = [];
const newPage = pagesOfEachTest(() => browser);
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([
    startDev(),
    servePage(),
    launchChromium(['--use-fake-device-for-media-stream=fps=2']),
  ]);
});
afterEach(() => {
  for (const other of others) other.destroy();
  others = [];
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop(), browser.close()]);
});

/** Alice's page in a room; the script runs in it before the demo. */
async function enter(room: string, script = ''): Promise<Page> {
  const page = await newPage('about:blank');
  await page.addInitScript(script);
  await page.goto(`${server.url}/demo/#${room}`);
  await page.getByLabel('Your name').fill('Alice');
  await page.getByRole('button', { name: 'Join the call' }).click();
  await page.getByText('Alice (you)').waitFor();
  return page;
}

/** Counts the elements that a page makes; it has `made` by kind. */
const COUNTING = `window.made = {}; const { createElement } = document;
  document.createElement = (name) => {
    window.made[name] = (window.made[name] ?? 0) + 1;
    return createElement.call(document, name);
  };`;

/** Somebody of this name comes into the room. Resolves with Alice's page as this one sees it. */
async function come(room: string, name: string): Promise<Peer> {
  const other = new P2PCF(`app-${others.length}`, room, {
    workerUrl: server.url,
    stunIceServers: [],
    wrtc,
    metadata: { name },
  });
  others.push(other);
  const met = new Promise<Peer>((resolve) => {
    other.on('peerconnect', (peer) => peer.client_id === 'demo' && resolve(peer));
  });
  await other.start();
  return await met;
}

async function openChat(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Chat/ }).click();
}

const chat = (text: string): string => JSON.stringify({ type: 'chat', text });
const announced = (id: number, name: string, size: number, kind = ''): string =>
  JSON.stringify({ type: 'file', id, name, size, kind });
const part = (id: number, bytes: Uint8Array): Uint8Array => {
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint32(4, id, true);
  return Buffer.concat([header, bytes]);
};

async function sendFile(peer: Peer, id: number, name: string, bytes: Uint8Array, kind = ''): Promise<void> {
  await peer.send(announced(id, name, bytes.length, kind));
  await peer.send(part(id, bytes));
}

const heard = (page: Page, text: string): Promise<void> => page.getByRole('log').getByText(text).waitFor();
const saved = (page: Page, name: string): Promise<void> => page.getByRole('link', { name: `Save ${name}` }).waitFor();
/** How many elements match. */
const count = (page: Page, selector: string): Promise<number> =>
  page.evaluate((selector) => document.querySelectorAll(selector).length, selector);

/** Resolves with a function that returns how often the page has been laid out since. */
async function countLayouts(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const all = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'LayoutCount')?.value ?? Number.NaN;
  };
  const before = await all();
  return async () => (await all()) - before;
}

test('ten thousand files are announced: few are taken, and an honest one comes', async () => {
  const room = newRoom();
  const page = await enter(room);
  await openChat(page);
  const eve = await come(room, 'Eve');
  let refused = 0;
  eve.on('data', (data) => {
    if (new TextDecoder().decode(data).includes('"refuse"')) refused++;
  });
  for (let id = 1; id <= 10_000; id++) await eve.send(announced(id, 'x', 1));
  const bob = await come(room, 'Bob');
  await bob.send(chat('still there?'));
  await heard(page, 'still there?');
  await sendFile(bob, 1, 'honest.txt', new Uint8Array(4));
  await saved(page, 'honest.txt');
  expect(await count(page, '#log progress')).toBe(20);
  expect(refused).toBeGreaterThan(0);
});

test('thousands of files that are complete at once, or replaced at once, leave the page in use', async () => {
  const room = newRoom();
  const page = await enter(room);
  await openChat(page);
  const eve = await come(room, 'Eve');
  const layouts = await countLayouts(page);
  for (let id = 1; id <= 3_000; id++) await eve.send(announced(id, 'x', 0));
  for (let turn = 1; turn <= 3_000; turn++) await eve.send(announced(1, 'y', 1));
  const bob = await come(room, 'Bob');
  await bob.send(chat('still there?'));
  await heard(page, 'still there?');
  expect(await count(page, '#log progress')).toBe(1);
  expect(await count(page, '#log > *')).toBe(500);
  expect(await layouts()).toBeLessThan(4_000);
});

test.each(['in sight', 'out of sight'])(
  'three thousand long messages to a chat %s are drawn together',
  async (where) => {
    const room = newRoom();
    const page = await enter(room);
    if (where === 'in sight') await openChat(page);
    const eve = await come(room, 'Eve');
    const layouts = await countLayouts(page);
    await page.evaluate(() => {
      Object(window).announcements = 0;
      const announcer = document.getElementById('announcer');
      if (announcer)
        new MutationObserver((changes) => {
          Object(window).announcements += changes.length;
        }).observe(announcer, { childList: true });
    });
    const text = chat('x y '.repeat(1_000));
    for (let sent = 0; sent < 3_000; sent++) await eve.send(text);
    await eve.send(chat('the last one'));
    const bob = await come(room, 'Bob');
    await bob.send(chat('still there?'));
    if (where === 'out of sight') {
      await page.getByRole('button', { name: 'Chat, 3002 unread' }).click();
      expect(await page.evaluate(() => Object(window).announcements)).toBeLessThan(300);
    }
    await heard(page, 'still there?');
    await heard(page, 'the last one');
    expect(await count(page, '#log > *')).toBeLessThan(500);
    expect(await layouts()).toBeLessThan(2_000);
  },
);

test('a page without frames, as one in a hidden tab, counts what comes and draws it later', async () => {
  const room = newRoom();
  const page = await enter(
    room,
    'window.drawings = []; window.requestAnimationFrame = (draw) => window.drawings.push(draw);',
  );
  const bob = await come(room, 'Bob');
  for (const text of ['one', 'two', 'three']) await bob.send(chat(text));
  await page.getByRole('button', { name: 'Chat, 3 unread' }).waitFor();
  expect(await count(page, '#log > .message')).toBe(0);
  await page.evaluate(() => {
    for (const draw of Object(window).drawings.splice(0)) draw(performance.now());
  });
  await until(page, ['Bobone', 'Bobtwo', 'Bobthree'], () =>
    [...document.querySelectorAll('#log > .message')].map(({ textContent }) => textContent),
  );
});

test('of a flood of messages the page makes no more lines than it draws', async () => {
  const room = newRoom();
  const page = await enter(room, `window.requestAnimationFrame = () => 0; ${COUNTING}`);
  const eve = await come(room, 'Eve');
  for (let sent = 0; sent < 3_000; sent++) await eve.send(chat('x'));
  await page.getByRole('button', { name: 'Chat, 3000 unread' }).waitFor();
  expect(await page.evaluate(() => Object(window).made.p)).toBeLessThan(100);
});

test('who says a thousand times that a screen is shown, and is not, has few tiles made', async () => {
  const room = newRoom();
  const page = await enter(room, COUNTING);
  const eve = await newPage(pages.url);
  await joinAs(eve, server.url, room, 'Eve ');
  await connected(eve, 1);
  await inPage(eve, async () => {
    const [peer] = window.room.peers.values();
    const picture = (): MediaStream => {
      const canvas = document.createElement('canvas');
      canvas.getContext('2d'); // without one it has no picture
      return canvas.captureStream(1);
    };
    const screen = picture();
    peer?.addStream(picture());
    peer?.addStream(screen);
    const say = (id: string): Promise<void> | undefined =>
      peer?.send(JSON.stringify({ type: 'media', microphone: true, camera: true, screen: id }));
    Object.assign(window, { say, screen });
    await say(screen.id);
  });
  await page.locator('.tile.screen').waitFor();
  await inPage(eve, async () => {
    const { say, screen } = Object(window);
    for (let n = 0; n < 2_001; n++) await say(n % 2 ? '' : screen.id);
  });
  const bob = await come(room, 'Bob');
  await openChat(page);
  await bob.send(chat('still there?'));
  await heard(page, 'still there?');
  await page.locator('.tile.screen').waitFor();
  expect(await page.evaluate(() => Object(window).made.video)).toBeLessThan(100);
});

test('a screen that is stopped as the connection is made anew does not stand in the place of the camera', async () => {
  const room = newRoom();
  const page = await enter(room);
  const bob = await newPage(pages.url);
  await joinAs(bob, server.url, room, 'Bob ');
  await connected(bob, 1);
  await inPage(bob, async () => {
    const picture = (width: number): MediaStream => {
      const canvas = document.createElement('canvas');
      Object.assign(canvas, { width, height: 100 });
      const context = canvas.getContext('2d');
      setInterval(() => context?.fillRect(0, 0, 1, 1), 100);
      return canvas.captureStream();
    };
    const [peer] = window.room.peers.values();
    const say = (camera: boolean, screen = ''): Promise<void> | undefined =>
      peer?.send(JSON.stringify({ type: 'media', microphone: true, camera, screen }));
    const screen = picture(200);
    peer?.addStream(screen);
    await say(false, screen.id);
    Object.assign(window, {
      change() {
        peer?.removeStream(screen);
        Object(peer).negotiator.startOver();
        peer?.once('connect', () => {
          peer.addStream(picture(300));
          void say(true);
        });
      },
    });
  });
  await page.locator('.tile.screen').waitFor();
  await inPage(bob, () => Object(window).change());
  const widths = (): Promise<number[]> =>
    page.locator('.tile video').evaluateAll((all) => all.map((each) => Object(each).videoWidth));
  await expect.poll(widths, WAIT).toContain(300);
});

test('a file in parts of nothing, or of less than a part has, ends', async () => {
  const room = newRoom();
  const page = await enter(room);
  await openChat(page);
  const eve = await come(room, 'Eve');
  await eve.send(announced(1, 'empty', 1));
  for (let sent = 0; sent < 5_000; sent++) await eve.send(part(1, new Uint8Array()));
  await eve.send(announced(2, 'crumbs', 100_000));
  for (let sent = 0; sent < 5_000; sent++) await eve.send(part(2, new Uint8Array(1)));
  await expect.poll(() => page.getByText('It came in parts that are too small').count(), WAIT).toBe(2);
  expect(await count(page, '#log progress')).toBe(0);
});

test('who announces 512 MB and sends nothing is in the way of nobody', async () => {
  const room = newRoom();
  const page = await enter(room);
  await openChat(page);
  const eve = await come(room, 'Eve');
  await eve.send(announced(1, 'never sent', 512 * 1024 * 1024));
  await page.getByRole('progressbar', { name: 'Progress of never sent' }).waitFor();
  const bob = await come(room, 'Bob');
  await sendFile(bob, 1, 'honest.txt', new Uint8Array(4));
  await saved(page, 'honest.txt');
});

test('a picture of 268 megapixels in 32 KB is not shown; one of ordinary size is', async () => {
  const room = newRoom();
  const page = await enter(room);
  await openChat(page);
  const eve = await come(room, 'Eve');
  const bomb = png(16_384);
  for (let id = 1; id <= 4; id++) await sendFile(eve, id, `bomb-${id}.png`, bomb, 'image/png');
  await sendFile(eve, 5, 'nothing-known.png', new Uint8Array(100), 'image/png');
  const bob = await come(room, 'Bob');
  await sendFile(bob, 1, 'honest.png', png(64), 'image/png');
  await page.getByAltText('honest.png').waitFor();
  await saved(page, 'bomb-4.png');
  await saved(page, 'nothing-known.png');
  expect(await count(page, '#log img')).toBe(1);
});

/** A black and white picture, as wide as high. */
function png(side: number): Buffer {
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(type), data]);
    const chunk = Buffer.alloc(8 + named.length);
    chunk.writeUInt32BE(data.length, 0);
    named.copy(chunk, 4);
    chunk.writeUInt32BE(crc32(named), 4 + named.length);
    return chunk;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 1; // bit for each
  const pixels = deflateSync(Buffer.alloc(side * (side / 8 + 1)));
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

test.each(['You', 'yOu\u200d ', 'Alice'])('a peer that calls itself %j is not taken for us', async (name) => {
  const room = newRoom();
  const page = await enter(room);
  await openChat(page);
  const eve = await come(room, name);
  await eve.send(chat('I agree to everything'));
  await sendFile(eve, 1, 'a.txt', new Uint8Array(4));
  await heard(page, 'I agree to everything');
  await saved(page, 'a.txt');
  expect(await count(page, '#log .own')).toBe(0);
  const names = await page.locator('#log strong').allTextContents();
  expect(names).toHaveLength(2);
  for (const shown of names) expect(shown).toMatch(/ \(someone else\)$/);
  expect(await page.locator('#tiles .name').allTextContents()).toEqual([
    expect.stringContaining(' (someone else)'),
    expect.stringContaining('Alice (you)'),
  ]);
});

test('more files than a peer takes at a time all arrive, and a name shows how it ends', async () => {
  const room = newRoom();
  const [alice, bob] = [await enter(room), await enter(room)];
  for (const page of [alice, bob]) {
    await page.getByRole('button', { name: /^Connected in/ }).waitFor();
    await openChat(page);
  }
  const names = Array.from({ length: 30 }, (_, index) => `${index}.bin`);
  const files = [...names, 'holiday\u202egnp.exe'].map((name) => ({
    name,
    mimeType: 'application/octet-stream',
    buffer: Buffer.alloc(100_000),
  }));
  await alice.locator('#file').setInputFiles(files);
  await saved(bob, '29.bin');
  await expect.poll(() => bob.getByRole('link', { name: /^Save/ }).count(), WAIT).toBe(31);
  const links = await bob
    .getByRole('link', { name: /^Save holiday/ })
    .evaluateAll((all) => all.map((each) => each.getAttribute('download')));
  expect(links).toEqual(['holiday gnp.exe']);
});
