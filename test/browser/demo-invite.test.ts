/**
 * The demo's invitation: the link as text, as a QR code and handed to another app; and what the server learns of it.
 */
import jsqr from 'jsqr';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let browser: Browser;
const newPage = pagesOfEachTest(() => browser);
beforeAll(async () => {
  [server, browser] = await Promise.all([startWorkerd(), launchChromium(['--use-fake-device-for-media-stream=fps=2'])]);
});
afterAll(async () => {
  await Promise.all([server.stop(), browser.close()]);
});

/** Somebody alone in a room, with `script` run before those of the page. */
async function begin(script = ''): Promise<Page> {
  const page = await newPage('about:blank');
  await page.addInitScript(script);
  await page.goto(`${server.url}/demo/`);
  await page.getByRole('button', { name: 'Start a call' }).click();
  await page.getByRole('heading', { name: 'Nobody else is here' }).waitFor();
  return page;
}

/** What a camera reads of the QR code there. */
async function scan(page: Page, within: Page | Locator = page): Promise<string | undefined> {
  const code = within.getByRole('img', { name: 'QR code of the link' });
  const png = (await code.screenshot()).toString('base64');
  const { pixels, width, height } = await page.evaluate(async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const { width, height } = image;
    const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
    context?.drawImage(image, 0, 0);
    return { pixels: [...(context?.getImageData(0, 0, width, height).data ?? [])], width, height };
  }, png);
  // Dark on light, as many scanners read nothing else.
  return jsqr(new Uint8ClampedArray(pixels), width, height, { inversionAttempts: 'dontInvert' })?.data;
}

const said = (page: Page, text: string): Promise<void> =>
  until(page, text, () => document.getElementById('announcer')?.textContent);

test('the link is copied, with its key, and the QR code says the same, at every size and in all colours', async () => {
  const page = await begin();
  const link = page.url();
  expect(link).toContain('&key=');
  for (const [colorScheme, width, height] of [
    ['light', 1280, 720],
    ['dark', 390, 844],
    ['dark', 640, 360], // a phone on its side
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    expect(await scan(page), `${colorScheme}, ${width} px`).toBe(link);
  }
  await page.emulateMedia({ colorScheme: 'dark', forcedColors: 'active' });
  expect(await scan(page), "in the user's own colours").toBe(link);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Invite' }).click();
  const dialog = page.getByRole('dialog');
  expect(await scan(page, dialog)).toBe(link);
  expect(await dialog.getByRole('button').allTextContents()).toEqual(['', 'Copy link']); // no other app to hand it to
  await dialog.getByRole('button', { name: 'Copy link' }).click();
  await dialog.getByRole('button', { name: 'Copied' }).waitFor();
  await said(page, 'The link is copied.');
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);
  await dialog.getByRole('button', { name: 'Copy link' }).waitFor();
});

test('where a page may not copy, the link is selected; where there are other apps, it is handed to them', async () => {
  const page = await begin(`
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('No.', 'NotAllowedError'));
    navigator.share = async (data) => { window.shared = data; throw new DOMException('Closed.', 'AbortError'); };
  `);
  await page.getByRole('button', { name: 'Copy link' }).click();
  await said(page, 'The link is selected: copy it yourself.');
  expect(await page.evaluate(() => String(getSelection()))).toBe(page.url());
  await page.getByRole('button', { name: 'Share', exact: true }).click();
  await until(page, page.url(), () => Object(window).shared?.url);
});

test('the server is told neither the key nor what is said, and counts as many messages as there were', async () => {
  const alice = await begin();
  const link = alice.url();
  const [room = '', key = ''] = link.split('#')[1]?.split('&key=') ?? [];
  const bob = await newPage('about:blank');
  const told: string[] = [];
  const heard: string[] = [];
  bob.on('request', (request) => told.push(request.url(), JSON.stringify(request.headers()), request.postData() ?? ''));
  bob.on('websocket', (socket) => {
    told.push(socket.url());
    socket.on('framesent', ({ payload }) => payload === 'ping' || told.push(String(payload)));
    socket.on('framereceived', ({ payload }) => payload === 'pong' || heard.push(String(payload)));
  });
  await bob.goto(link);
  const before = (): number => told.findIndex((text) => text.startsWith('ws')); // the join counts as a message
  await bob.getByRole('button', { name: 'Join the call' }).click();
  await bob.getByRole('button', { name: /^Connected in/ }).waitFor();
  await bob.getByRole('button', { name: /^Chat/ }).click();
  await bob.getByLabel('Message', { exact: true }).fill('between the two of us');
  await bob.keyboard.press('Enter');
  await alice.getByRole('button', { name: 'Chat, 1 unread' }).waitFor();

  await bob.getByRole('button', { name: 'Why so fast?' }).click();
  const sums = async (): Promise<string | undefined> =>
    /far: \d+, from it: \d+/.exec((await bob.getByRole('region', { name: 'Measurements' }).textContent()) ?? '')?.[0];
  await expect.poll(sums).toBe(`far: ${told.length - before()}, from it: ${heard.length}`);
  expect(told.join('\n')).toContain(room);
  for (const secret of [key, '#', 'between the two of us', 'Guest']) expect(told.join('\n')).not.toContain(secret);
});

test('who joins sees where the time went since the click, who was there only what came after the other had come', async () => {
  const alice = await begin();
  const bob = await newPage(alice.url());
  await bob.getByRole('button', { name: 'Join the call' }).click();
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Connected in/ }).waitFor();
  const steps = ['Offer', 'Answer', 'ICE', 'DTLS', 'Channel'];
  for (const [page, caption, expected] of [
    [alice, 'From their coming to the open channel', steps],
    [bob, 'From your click to the open channel', ['Socket', 'Peers', ...steps]],
  ] as const) {
    await page.getByRole('button', { name: 'Why so fast?' }).click();
    const timeline = page.getByRole('table', { name: caption });
    let rows: string[] = [];
    const names = async (): Promise<string[]> => {
      rows = await timeline.getByRole('row').allTextContents();
      return rows.map((row) => row.replace(/[\d.]+ ms$/, ''));
    };
    await expect.poll(names, WAIT).toEqual(expected); // the browser may tell of offer and answer late
    const times = rows.map((row) => Number(/[\d.]+(?= ms$)/.exec(row)?.[0]));
    const sum = times.reduce((a, b) => a + b);
    const total = Number(/\d+(?= ms)/.exec((await page.locator('#speed').textContent()) ?? '')?.[0]);
    expect(Math.abs(sum - total), `${rows} of ${total} ms`).toBeLessThan(1.5); // each is rounded
    if (page === bob) expect(Math.min(...times.slice(0, 2))).toBeGreaterThan(0);
  }
});
