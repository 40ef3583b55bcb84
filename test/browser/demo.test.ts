/** The demo app as `npm run dev` serves it, in two Chromium pages. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { type Server, startDev } from '../support/server.ts';

let server: Server;
let browser: Browser;
const newPage = pagesOfEachTest(() => browser);
beforeAll(async () => {
  [server, browser] = await Promise.all([startDev(), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), browser.close()]);
});
/** Alice opens the demo, and Bob the link she gives him. */
async function meet(): Promise<{ alice: Page; bob: Page }> {
  const alice = await newPage(`${server.url}/demo/`);
  const link = await alice.getByRole('textbox', { name: 'Room' }).inputValue();
  expect(link).toMatch(/\/demo\/#\w{7}&key=[\w-]{22}$/);
  expect(alice.url()).toBe(link);
  const bob = await newPage(link);
  for (const page of [alice, bob]) await page.locator('#people [data-state=connected]').waitFor();
  return { alice, bob };
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

const heard = (page: Page, text: string): Promise<void> => page.getByRole('log').getByText(text).waitFor();

/** Resolves when the video has shown a few frames. */
const seen = (page: Page, selector: string): Promise<void> =>
  page.locator(selector).evaluate(async (video) => {
    if (!(video instanceof HTMLVideoElement)) throw new Error('not a video');
    for (let frames = 0; frames < 5; frames++) {
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    }
  });

test('two people meet by a link and chat', async () => {
  const { alice, bob } = await meet();
  expect(await alice.locator('#signaling').textContent()).toBe('open');
  await say(alice, 'Hello <b>Bob</b>');
  await heard(bob, 'Hello <b>Bob</b>');
  await say(bob, 'Hello Alice ✓');
  await heard(alice, 'Hello Alice ✓');
  await bob.close();
  await heard(alice, 'has left');
  expect(await alice.locator('#people li').count()).toBe(1);
  expect(await alice.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
});

test('cameras are seen, by whoever comes later too, until they are no longer shared', async () => {
  const { alice, bob } = await meet();
  const share = { name: 'Share camera and microphone' };
  await alice.getByRole('button', share).click();
  await seen(bob, 'li:has([data-state=connected]) video');
  await bob.getByRole('button', share).click();
  await seen(alice, 'li:has([data-state=connected]) video');
  await seen(alice, 'video.own');
  const carol = await newPage(alice.url());
  for (const nth of [2, 3]) await seen(carol, `li:nth-child(${nth}) video`);
  await alice.getByRole('button', { name: 'Stop sharing' }).click();
  for (const page of [bob, carol]) await expect.poll(() => page.locator('video:visible').count()).toBe(1);
  await alice.getByRole('button', share).click();
  await expect.poll(() => carol.locator('video:visible').count()).toBe(2);
});

test('a room in the query is as good, and one that cannot be is explained', async () => {
  const alice = await newPage(`${server.url}/demo/?room=living%20room`);
  const bob = await newPage(`${server.url}/demo/#living%20room`);
  for (const page of [alice, bob]) await page.locator('#people [data-state=connected]').waitFor();
  await heard(await newPage(`${server.url}/demo/#abc`), 'at least four characters');
});

test('the demo runs under a policy that lets in no script, style or frame but its own', async () => {
  const { headers } = await fetch(`${server.url}/demo/`);
  const policy = headers.get('Content-Security-Policy')?.split('; ');
  for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
    expect(policy).toContain(directive);
  expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
});
