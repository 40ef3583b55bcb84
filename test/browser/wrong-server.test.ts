/**
 * A workerUrl that is not what it should be: the app is told why it goes on connecting. In Chromium, where CORS counts.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { freePort, listen } from '../support/listen.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

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
  const server = createServer(listener);
  servers.push(server);
  return `http://127.0.0.1:${await listen(server)}`;
}

/** What a page with this policy is told about a server, by event and by warning. */
async function told(
  workerUrl: string,
  policy = '',
  options: { key?: string; pingEveryMs?: number } = {},
  by = browser,
): Promise<{ reason: string; warnings: string[] }> {
  const page: Page = await openPage(by, pages.url);
  await page.evaluate((content) => {
    document.head.append(
      Object.assign(document.createElement('meta'), { httpEquiv: 'Content-Security-Policy', content }),
    );
  }, policy);
  const warnings: string[] = [];
  page.on('console', (message) => message.text().startsWith('P2PCF-WS') && warnings.push(message.text()));
  const warned = page.waitForEvent('console', (message) => message.text().startsWith('P2PCF-WS'));
  const reason = await page.evaluate(
    (options) => {
      window.room = new P2PCF('name', 'room', { ...options, stunIceServers: [] });
      const told = new Promise<string>((resolve) => {
        window.room.on('state', (state, reason) => state === 'connecting' && reason && resolve(reason));
      });
      window.room.start();
      return told;
    },
    { ...options, workerUrl },
  );
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
    /answers 404: that is no P2PCF-WS server. Check workerUrl, without \/demo\/ or \/ws\.$/,
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
    'a server with a setting that makes no sense',
    (_, response) =>
      response.writeHead(500, { 'Access-Control-Allow-Origin': '*' }).end('The setting AUTH_SECRET is too short.\n'),
    /answers 500: The setting AUTH_SECRET is too short\.$/,
  ],
  ['a server that never answers', () => undefined, /^Nothing answers at http/],
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

test('http for https, and https for http', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-days', '1', '-subj', '/CN=localhost'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  const secure = createSecureServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) =>
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('OK'),
  );
  servers.push(secure);
  const port = await listen(secure);
  await rm(folder, { recursive: true });
  for (const url of [`http://127.0.0.1:${port}`, workerd.url.replace('http', 'https')])
    expect((await told(url)).reason).toMatch(`Nothing answers at ${url}/health. Check workerUrl (http or https?)`);
});

test.each([
  ['nothing', () => "'none'"],
  ['the server by http alone', (url: string) => url],
])("the page's policy lets %s through", async (_, allowed) => {
  const { reason } = await told(workerd.url, `connect-src ${allowed(workerd.url)}`);
  expect(reason).toMatch("the page's Content-Security-Policy");
});

test('a page of the public web, to which the browser denies the local network (Chromium 147)', async () => {
  const isPublic = `--ip-address-space-overrides=${new URL(pages.url).host}=public`;
  const chromium = await launchChromium([isPublic], { isWhole: true });
  try {
    const { reason } = await told(workerd.url, '', {}, chromium);
    expect(reason).toMatch("the page's Content-Security-Policy and permission for the local network");
  } finally {
    await chromium.close();
  }
});

// Chromium (156) says so by error alone, and no close follows; so does Node 22 of every socket that does not open.
test.each([{}, { key: 'AAECAwQFBgcICQoLDA0ODw' }])(
  'a socket that ends by an error alone is not waited for: %o',
  async (options) => {
    const neverMs = 2e9; // after which the server would be taken for silent
    const { reason } = await told(workerd.url, "connect-src 'none'", { ...options, pingEveryMs: neverMs });
    expect(reason).toMatch("the page's Content-Security-Policy");
  },
);

test.each([1000, 1008, 4406])('a WebSocket server that is not ours, and closes with %i', async (code) => {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'p2pcf-ws' });
  sockets.on('connection', (socket) => socket.close(code));
  await once(sockets, 'listening');
  const { port }: AddressInfo = Object(sockets.address());
  try {
    const { reason } = await told(`http://127.0.0.1:${port}`);
    expect(reason).toMatch(/not as a P2PCF-WS server/);
  } finally {
    sockets.close();
  }
});

test('what becomes of a wrong address is told as it changes, with one warning for each reason', async () => {
  const port = await freePort();
  const page = await openPage(browser, pages.url);
  const warnings: string[] = [];
  page.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
  await page.evaluate((workerUrl) => {
    window.room = new P2PCF('name', 'room', { workerUrl, stunIceServers: [] });
    void window.room.start().catch(() => undefined);
  }, `http://127.0.0.1:${port}`);
  await expect.poll(() => warnings.join(), WAIT).toMatch(/Nothing answers/);
  const server = createServer((_, response) => response.writeHead(404, { 'Access-Control-Allow-Origin': '*' }).end());
  servers.push(server.listen(port, '127.0.0.1'));
  await expect.poll(() => warnings.join(), WAIT).toMatch(/answers 404/);
  await page.evaluate(() => window.room.destroy());
  await page.context().close();
  expect(warnings).toHaveLength(2);
});
