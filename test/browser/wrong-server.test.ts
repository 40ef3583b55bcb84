/** A workerUrl that is not what it should be: the app is told why it goes on connecting. In Chromium, where CORS counts. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { freePort } from '../support/listen.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';

let browser: Browser;
let pages: PageServer;
let workerd: Workerd;
const servers: Server[] = [];
beforeAll(async () => {
  [browser, pages, workerd] = await Promise.all([launchChromium(), servePage(), startWorkerd()]);
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(async () => {
  await Promise.all([browser.close(), pages.stop(), workerd.stop()]);
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const { port }: AddressInfo = Object(server.address());
  return `http://127.0.0.1:${port}`;
}

/** What the page is told about a server, by event and by warning. */
async function told(workerUrl: string): Promise<{ reason: string; warnings: string[] }> {
  const page: Page = await openPage(browser, pages.url);
  const warnings: string[] = [];
  page.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
  const warned = page.waitForEvent('console', (message) => message.type() === 'warning');
  const reason = await page.evaluate((workerUrl) => {
    window.room = new P2PCF('name', 'room', { workerUrl, stunIceServers: [] });
    const told = new Promise<string>((resolve) => {
      window.room.on('state', (state, reason) => state === 'connecting' && reason && resolve(reason));
    });
    window.room.start();
    return told;
  }, workerUrl);
  await warned;
  await page.evaluate(() => window.room.destroy());
  await page.context().close();
  return { reason, warnings };
}

test.each<[string, RequestListener | undefined, RegExp]>([
  ['nobody listens', undefined, /^Nothing answers at http/],
  [
    'another server, which knows no such page',
    (_, response) => response.writeHead(404).end(),
    /not as a P2PCF-WS server/,
  ],
  [
    'another server, which lets any page read its answer',
    (_, response) => response.writeHead(404, { 'Access-Control-Allow-Origin': '*' }).end(),
    /answers 404: that is no P2PCF-WS server/,
  ],
  [
    'another server, whose health is not ours',
    (_, response) => response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('{"ok":true}'),
    /answers 200: that is no P2PCF-WS server/,
  ],
  [
    'a proxy that lets no WebSocket through',
    (_, response) => response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('OK'),
    /its WebSocket does not open/,
  ],
  [
    'an address that has moved',
    (_, response) =>
      response.writeHead(301, { 'Access-Control-Allow-Origin': '*', Location: `${workerd.url}/health` }).end(),
    /Pass that address/,
  ],
])('%s', async (_name, listener, sentence) => {
  const url = listener ? await serve(listener) : `http://127.0.0.1:${await freePort()}`;
  const { reason, warnings } = await told(url);
  expect(reason).toMatch(sentence);
  expect(reason).toContain(`${url}/health`);
  expect(warnings).toEqual([`P2PCF-WS: ${reason}`]);
});
