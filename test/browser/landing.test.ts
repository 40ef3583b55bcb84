/** The page at the server's address, in a browser behind nginx as the documents have it. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { startNginx, startTlsNginx } from '../support/nginx.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let browser: Browser;
const proxies: Pick<Server, 'url' | 'stop'>[] = [];
beforeAll(async () => {
  [server, browser] = await Promise.all([startWorkerd(), launchChromium()]);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});
afterAll(async () => {
  for (const { stop } of proxies) await stop();
  await Promise.all([server.stop(), browser.close()]);
});

async function open(url: string, javaScriptEnabled = true): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled });
  context.setDefaultTimeout(WAIT.timeout);
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

const shown = async (page: Page): Promise<string | undefined> =>
  /workerUrl: '(.*)',/.exec((await page.locator('code').textContent()) ?? '')?.[1];

test.each([
  ['no proxy', () => server],
  ['TLS that ends at nginx', () => startTlsNginx(server, server)],
  ['a prefix of nginx', () => startNginx(server)],
] as const)('behind %s: the address is the right one, and the links lead on', async (_name, start) => {
  const { url, stop } = await start();
  if (url !== server.url) proxies.push({ url, stop });
  const page = await open(`${url}/?from=somewhere#there`);
  expect(await shown(page)).toBe(url);

  await page.getByRole('link', { name: 'Health' }).click();
  await page.getByText('OK', { exact: true }).waitFor();
  await page.goBack();
  await page.getByRole('link', { name: 'Try the demo' }).click();
  await page.locator('#join').click();
  await page.getByRole('button', { name: 'Leave' }).waitFor();
  await page.getByRole('img', { name: 'QR code of the link' }).first().waitFor();
  const other = await open(page.url());
  await other.locator('#join').click();
  await page.getByRole('button', { name: /^Connected in/ }).waitFor();

  await page.goto(`${url}/demo`);
  expect(page.url(), 'with a room of its own').toContain(`${url}/demo/#`);
});

test('without scripts, words stand where the address would', async () => {
  expect(await shown(await open(server.url, false))).toBe('the address of this page');
});
