/** The demo as `npm run dev` serves it, in Chromium pages with fake cameras. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { until } from '../support/room-page.ts';
import { type Server, startDev } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let browser: Browser;
const newPage = pagesOfEachTest(() => browser);
beforeAll(async () => {
  [server, browser] = await Promise.all([
    startDev(),
    launchChromium([
      '--auto-select-desktop-capture-source=Entire screen',
      '--use-fake-device-for-media-stream=fps=2', // so that two cores can encode for everybody
    ]),
  ]);
});
afterAll(async () => {
  await Promise.all([server.stop(), browser.close()]);
});

async function enter(room: string, name: string): Promise<Page> {
  const page = await newPage(`${server.url}/demo/#${room}`);
  await page.setViewportSize({ width: 800, height: 450 }); // the less there is to draw, the sooner it is drawn
  await join(page, name);
  return page;
}

async function join(page: Page, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Join the call' }).click();
}

/** Each of these people, by name, sees the frames of all others go on. */
async function seeEachOther(people: Record<string, Page>): Promise<void> {
  await Promise.all(
    Object.values(people).flatMap((page) =>
      Object.entries(people).map(([name, other]) => other === page || seen(page, `Camera of ${name}`)),
    ),
  );
}

/** Resolves when the video has shown two more frames: whichever video it is, as a person met again gets another. */
async function seen(page: Page, label: string): Promise<void> {
  const video = page.getByLabel(label, { exact: true });
  await video.waitFor();
  let before = Number.POSITIVE_INFINITY;
  const more = async (): Promise<number> => {
    const now: number = await video.evaluate((video) => Object(video).getVideoPlaybackQuality().totalVideoFrames);
    before = Math.min(before, now);
    return now - before;
  };
  await expect.poll(more, { ...WAIT, interval: 250 }).toBeGreaterThan(1);
}

async function openChat(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Chat/ }).click();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
}

/** Drops a file of 40 MB, made there, on the page. */
async function drop(page: Page, name: string): Promise<void> {
  const dataTransfer = await page.evaluateHandle((name) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(40_000_000)], name));
    return transfer;
  }, name);
  await page.locator('#stage').dispatchEvent('drop', { dataTransfer });
}

/** What says whose picture it is, of all that is not wholly within the window. */
function overflowing(page: Page): Promise<(string | null)[]> {
  return page.getByRole('listitem').evaluateAll((tiles) =>
    tiles
      .filter((tile) => {
        const { left, top, right, bottom } = tile.getBoundingClientRect();
        return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
      })
      .map(({ textContent }) => textContent),
  );
}

const heard = (page: Page, text: string): Promise<void> => page.getByRole('log').getByText(text).waitFor();

test('two people meet in a room of an odd name: cameras, chat, files, a screen, and why it was fast', async () => {
  const room = `a+b&c=d 50% ${newRoom()}`;
  const alice = await enter(encodeURIComponent(room), 'Alice');
  expect(await alice.getByRole('heading', { name: room, exact: true }).count()).toBe(1);
  const bob = await newPage(await alice.getByLabel('Link to this room').first().inputValue());
  expect(await bob.getByText(`Room: ${room}`, { exact: true }).count()).toBe(1);
  await join(bob, 'Bob');
  await seeEachOther({ Alice: alice, Bob: bob });
  await alice.getByRole('button', { name: /^Connected in \d+ ms$/ }).waitFor();

  await alice.getByRole('button', { name: 'Mute' }).click();
  await bob.getByRole('listitem').filter({ hasText: 'Alice' }).getByText('is muted').waitFor();
  await alice.getByRole('button', { name: 'Turn the camera off' }).click();
  await bob.getByLabel('Camera of Alice', { exact: true }).waitFor({ state: 'hidden' });
  await alice.getByRole('button', { name: 'Turn the camera on' }).click();
  await seen(bob, 'Camera of Alice');

  await openChat(alice);
  await say(alice, 'Hello <b>Bob</b>');
  await say(alice, 'Are you there?');
  await bob.getByRole('button', { name: 'Chat, 2 unread' }).click();
  await heard(bob, 'Hello <b>Bob</b>');
  await say(bob, 'Hello Alice ✓');
  await heard(alice, 'Hello Alice ✓');

  await sendsFiles(alice, bob);

  await bob.getByRole('button', { name: 'Share the screen' }).click();
  await seen(alice, 'Bob’s screen');
  await bob.getByRole('button', { name: 'Stop sharing the screen' }).click();
  await alice.getByLabel('Bob’s screen', { exact: true }).waitFor({ state: 'detached' });
  await seen(alice, 'Camera of Bob');

  await showsWhy(alice);

  await bob.getByRole('button', { name: 'Leave' }).click();
  await openChat(alice);
  await heard(alice, 'Bob has left');
  expect(await alice.getByRole('listitem').count()).toBe(1);
});

/** 20 MB arrive intact, an image is shown, and either side can cancel. Both have the chat open. */
async function sendsFiles(alice: Page, bob: Page): Promise<void> {
  const folder = await mkdtemp(pathOf(tmpdir(), 'p2pcf-ws-'));
  const bytes = randomBytes(20_000_000);
  await writeFile(pathOf(folder, 'large.bin'), bytes);
  await alice.locator('#file').setInputFiles(pathOf(folder, 'large.bin'));
  for (const page of [alice, bob]) await page.getByRole('progressbar', { name: 'Progress of large.bin' }).waitFor();
  const [download] = await Promise.all([
    bob.waitForEvent('download', { timeout: WAIT.timeout }),
    bob.getByRole('link', { name: 'Save large.bin' }).click(),
  ]);
  expect(bytes.equals(await readFile(await download.path()))).toBe(true);
  await rm(folder, { recursive: true });

  const picture = { name: 'picture.png', mimeType: 'image/png', buffer: await alice.screenshot() };
  await alice.locator('#file').setInputFiles(picture);
  await expect
    .poll(() => bob.getByRole('img', { name: 'picture.png' }).evaluate((image) => Object(image).naturalWidth))
    .toBeGreaterThan(100);

  await drop(alice, 'refused.bin');
  await bob.getByRole('button', { name: 'Cancel refused.bin' }).click();
  await heard(alice, 'The other did not take it');
  await drop(alice, 'withdrawn.bin');
  await bob.getByRole('progressbar', { name: 'Progress of withdrawn.bin' }).waitFor();
  await alice.getByRole('button', { name: 'Cancel withdrawn.bin' }).click();
  await until(alice, 'log', () => document.activeElement?.id); // the focus was on what is gone
  await heard(bob, 'Cancelled by the sender');
}

/** The panel has its numbers, and addresses only when asked for. */
async function showsWhy(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Why so fast?' }).click();
  const panel = page.getByRole('region', { name: 'Measurements' });
  // biome-ignore lint/performance/useDomNodeTextContent: what is seen counts; a failure tells it
  const text = expect.poll(() => panel.innerText(), WAIT);
  for (const step of ['Offer', 'Answer', 'ICE', 'DTLS', 'Channel']) await text.toMatch(new RegExp(`^${step}\\b`, 'm'));
  await text.toMatch(/idle for \d+ s/);
  await text.toContain('Way: the same network');
  await text.toMatch(/[1-9]\d*\.\d\d Mbit\/s|0\.[0-9]*[1-9]\d* Mbit\/s/);
  expect(await panel.textContent()).not.toMatch(/:\d+ udp/);
  await panel.getByRole('button', { name: 'Show addresses' }).click();
  await panel.getByText(/:\d+ udp to .*:\d+ udp/).waitFor();
}

test('the panel is complete, too, where the browser tells of offer and answer after the channel is open', async () => {
  const room = newRoom();
  const alice = await newPage(`${server.url}/demo/#${room}`);
  await alice.addInitScript(() => {
    const { prototype } = RTCPeerConnection;
    const { addEventListener } = prototype;
    prototype.addEventListener = function (this: RTCPeerConnection, type: string, listener: (event: Event) => void) {
      const late = (event: Event): unknown => setTimeout(() => listener.call(this, event), 1_000);
      addEventListener.call(this, type, type === 'signalingstatechange' ? late : listener);
    };
  });
  await alice.reload();
  const bob = await enter(room, 'Bob');
  await join(alice, 'Alice');
  for (const page of [alice, bob]) await showsWhy(page);
});

test('four people see each other, also after one reloads', async () => {
  const room = newRoom();
  const [alice, bob] = [await enter(room, 'Alice'), await enter(room, 'Bob')];
  const [carol, dan] = [await enter(room, 'Carol'), await enter(room, 'Dan')];
  await seeEachOther({ Alice: alice, Bob: bob, Carol: carol, Dan: dan });
  for (const width of [1280, 800, 390]) {
    await alice.setViewportSize({ width, height: 700 });
    await expect.poll(() => overflowing(alice)).toEqual([]);
  }

  await bob.reload();
  await join(bob, 'Bob again');
  for (const page of [alice, carol, dan]) await seen(page, 'Camera of Bob again');
  await expect.poll(() => alice.getByRole('listitem').count()).toBe(4);
}); // sixteen pictures to draw and twelve to encode, on two cores

test('one loses the network for 10 s, and the server restarts', async () => {
  const room = newRoom();
  const alice = await enter(room, 'Alice');
  const bob = await newPage(`${server.url}/demo/#${room}`);
  const network = await bob.context().newCDPSession(bob);
  const emulate = (offline: boolean): Promise<unknown> =>
    network.send('Network.emulateNetworkConditions', {
      offline,
      latency: 1, // ms; later it would leave the sockets of WebRTC alone that are open (Chromium, 2026-11)
      downloadThroughput: -1,
      uploadThroughput: -1,
      packetLoss: offline ? 100 : 0, // of WebRTC
    });
  await emulate(false);
  await join(bob, 'Bob');
  const pages = [alice, bob];
  await seeEachOther({ Alice: alice, Bob: bob });

  await emulate(true);
  const lost = alice.getByRole('listitem').filter({ hasText: 'Bob' }).getByText('Connection lost');
  await Promise.all([lost.waitFor(), bob.waitForTimeout(10_000)]);
  await emulate(false);
  await lost.waitFor({ state: 'hidden' });
  await seeEachOther({ Alice: alice, Bob: bob });

  await server.stop();
  const gone = 'you are still connected to each other';
  for (const page of pages) await page.getByText(gone).waitFor();
  await seen(alice, 'Camera of Bob');
  await openChat(alice);
  await openChat(bob);
  await say(alice, 'Still here');
  await heard(bob, 'Still here');
  server = await startDev({ port: Number(new URL(server.url).port) });
  for (const page of pages) await page.getByText(gone).waitFor({ state: 'hidden' });
  await expect.poll(() => alice.getByRole('listitem').count()).toBe(2);
});

test('a new room has a key in its link: who has the link is met and reads the same, who has another key is told', async () => {
  const start = async (url: string, button: string): Promise<Page> => {
    const page = await newPage(url);
    await page.getByRole('button', { name: button }).click();
    return page;
  };
  const alice = await start(`${server.url}/demo/`, 'Start a call');
  const link = alice.url();
  expect(link).toMatch(/\/demo\/#[a-z2-9]{16}&key=[\w-]{22}$/);
  expect(await alice.getByLabel('Link to this room').first().inputValue()).toBe(link);
  const bob = await start(link, 'Join the call');
  const sums = [];
  for (const page of [alice, bob]) {
    await page.getByRole('button', { name: 'Why so fast?' }).click();
    sums.push(
      await page
        .locator('#why .sas')
        .filter({ hasText: /\d{3} \d{3}/ })
        .textContent(),
    );
  }
  expect(sums[0]).toBe(sums[1]);

  const mallory = await start(link.replace(/.{22}$/, 'AAECAwQFBgcICQoLDA0ODw'), 'Join the call');
  await mallory.getByText('Somebody here has another link to this room').waitFor();
  expect(await mallory.getByRole('listitem').count()).toBe(1);
  // Cut within its key, before it, or within its name.
  for (const end of [-1, -22, -25]) {
    const cut = await start(link.slice(0, end), 'Join the call');
    await cut.getByRole('heading', { name: 'The link is not complete.' }).waitFor();
  }
});

test('the demo runs under a policy that lets in no script, style or frame but its own', async () => {
  const { headers } = await fetch(`${server.url}/demo/`);
  const policy = headers.get('Content-Security-Policy')?.split('; ');
  for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
    expect(policy).toContain(directive);
  expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
});
