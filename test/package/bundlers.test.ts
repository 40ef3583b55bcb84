/** A page built by each bundler, in real Chromium: it meets a page that has the library by a script tag. */
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import nodeResolve from '@rollup/plugin-node-resolve';
import { build as esbuild } from 'esbuild';
import type { Browser } from 'playwright-core';
import { rollup } from 'rollup';
import { build as vite } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import webpack from 'webpack';
import { type App, newApp, newest } from '../support/app.ts';
import { launchChromium, openPage } from '../support/chromium.ts';
import { listen } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, say, until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const APP = `
  import P2PCF from 'p2pcf-ws';
  import { SignalingClient } from 'p2pcf-ws/signaling';
  import { parseSignal } from 'p2pcf-ws/protocol';
  Object.assign(window, { P2PCF, entries: [P2PCF, SignalingClient, parseSignal].map((entry) => typeof entry) });`;
/** React and Yjs are the app's own, and the room that it makes is one for the other entries, too. */
const APP_BESIDE = `
  import P2PCF from 'p2pcf-ws';
  import { usePeers, useRoom } from 'p2pcf-ws/react';
  import { YjsProvider } from 'p2pcf-ws/yjs';
  import { createElement } from 'react';
  import { createRoot } from 'react-dom/client';
  import { Doc } from 'yjs';
  const { searchParams } = new URL(location);
  const room = new P2PCF('my name', searchParams.get('room'), { workerUrl: searchParams.get('server'), stunIceServers: [] });
  const text = new Doc().getText();
  new YjsProvider(room, text.doc);
  function View() {
    const { state } = useRoom(room);
    const connected = usePeers(room).filter((peer) => peer.connected);
    return createElement('p', null, [state, ...connected.map((peer) => peer.client_id)].join());
  }
  createRoot(document.body.appendChild(document.createElement('main'))).render(createElement(View));
  Object.assign(window, { room, text });
  room.start();`;
const BESIDE = ['react', 'react-dom', 'yjs', 'y-protocols', 'lib0'];
const html = (script: string): string =>
  `<!doctype html><meta charset="utf-8"><title>app</title><script ${script}></script>`;

let app: App;
let server: Server;
let browser: Browser;
let address: string;
let stopPages: () => void;

beforeAll(async () => {
  app = newApp();
  app.write('app.js', APP);
  app.write('beside.js', APP_BESIDE);
  app.write('plain.html', '<!doctype html><script src="/node_modules/p2pcf-ws/dist/p2pcf-ws.script.js"></script>');
  for (const name of BESIDE) symlinkSync(join(root, 'node_modules', name), join(app.folder, 'node_modules', name));
  [server, browser] = await Promise.all([startWorkerd(), launchChromium()]);
  const pages = createServer(({ url = '/' }, response) => {
    const path = join(app.folder, new URL(url, 'http://app').pathname);
    response.statusCode = existsSync(path) ? 200 : 404; // a browser asks for an icon
    response.setHeader('Content-Type', extname(path) === '.js' ? 'text/javascript' : 'text/html');
    response.setHeader('Access-Control-Allow-Origin', '*'); // as CDNs do
    response.end(existsSync(path) ? readFileSync(path) : '');
  });
  address = `http://127.0.0.1:${await listen(pages)}`;
  stopPages = () => pages.close();
});
afterAll(async () => {
  await Promise.all([browser.close(), server.stop()]);
  stopPages();
  app.remove();
});

/** Builds an entry into a folder of this name, and returns the page's path. */
const BUNDLERS: Record<string, (name: string, entry: string) => Promise<string>> = {
  async esbuild(name, entry) {
    const outfile = join(app.folder, name, entry);
    await esbuild({ entryPoints: [join(app.folder, entry)], bundle: true, minify: true, outfile });
    return plainPage(name, entry);
  },
  async rollup(name, entry) {
    const bundle = await rollup({ input: join(app.folder, entry), plugins: [nodeResolve({ browser: true })] });
    // In one file: what is loaded when it is used has to be in it, too.
    await bundle.write({ file: join(app.folder, name, entry), format: 'iife', inlineDynamicImports: true });
    return plainPage(name, entry);
  },
  async webpack(name, entry) {
    await new Promise<void>((resolve, reject) => {
      const output = { path: join(app.folder, name), filename: entry };
      webpack({ mode: 'production', context: app.folder, entry: `./${entry}`, output }, (error, stats) => {
        if (error || stats?.hasErrors()) reject(error ?? new Error(stats?.toString()));
        else resolve();
      });
    });
    return plainPage(name, entry);
  },
  async vite(name, entry) {
    app.write('index.html', html(`type="module" src="/${entry}"`));
    const build = { outDir: join(app.folder, name) };
    await vite({ root: app.folder, base: `/${name}/`, logLevel: 'warn', configFile: false, build });
    return `/${name}/index.html`;
  },
  async parcel(name, entry) {
    app.write('page.html', html(`type="module" src="${entry}"`));
    const options = ['--dist-dir', name, '--public-url', `/${name}/`, '--no-cache'];
    app.run(newest('parcel'), ['build', 'page.html', ...options]);
    return `/${name}/page.html`;
  },
};

function plainPage(name: string, entry: string): string {
  mkdirSync(join(app.folder, name), { recursive: true });
  return `/${app.write(`${name}/index.html`, html(`defer src="${entry}"`))}`;
}

test.each(Object.keys(BUNDLERS))('%s: a page that it built meets one with a script tag', async (name) => {
  const path = await BUNDLERS[name]?.(name, 'app.js');
  const room = newRoom();
  const plain = await openPage(browser, `${address}/plain.html`);
  const built = await openPage(browser, `${address}${path}`);
  expect(await built.evaluate(() => Reflect.get(window, 'entries'))).toEqual(['function', 'function', 'function']);
  for (const page of [plain, built]) {
    await page.evaluate(() => Object.assign(window, { sha256: async () => '' })); // enter() asks for it
    await enter(page, server.url, room, 'MyUsername', { key: 'AAECAwQFBgcICQoLDA0ODw' }); // which loads sealed.js
  }
  for (const page of [plain, built]) await connected(page, 1);
  await say(built, 'from the one that was built');
  await say(plain, 'from the other');
  await heard(plain, 'from the one that was built');
  await heard(built, 'from the other');
  expect([...plain.errors, ...built.errors]).toEqual([]);
  for (const page of [plain, built]) {
    const console = await page.context().newCDPSession(page);
    const shown = async (expression: string): Promise<unknown> =>
      (await console.send('Runtime.evaluate', { expression })).result.className;
    expect([await shown('room'), await shown('[...room.peers.values()][0]')]).toEqual(['P2PCF', 'Peer']);
  }
  for (const page of [plain, built]) await page.context().close();
});

test('a script tag of another origin, such as a CDN: sealed.js is found where the script is', async () => {
  const script = `${address}/node_modules/p2pcf-ws/dist/p2pcf-ws.script.js`;
  app.write('elsewhere.html', `<!doctype html><script src="${script}"></script>`);
  const page = await openPage(browser, `${address.replace('127.0.0.1', 'localhost')}/elsewhere.html`);
  await enter(page, server.url, newRoom(), 'MyUsername', { key: 'AAECAwQFBgcICQoLDA0ODw' });
  expect([...page.errors, ...page.said.filter((line) => line.startsWith('P2PCF-WS'))]).toEqual([]);
  await page.context().close();
});

test('a page with a key that is offline when sealed.js is to be loaded says so, and is in when it is online', async () => {
  const page = await openPage(browser, `${address}/plain.html`);
  await page.route('**/sealed.js', (route) => route.abort());
  await page.evaluate(
    ([workerUrl, room, key]) => {
      const P2PCF = Reflect.get(window, 'P2PCF');
      const p2pcf = new P2PCF('Alice', room, { workerUrl, key, stunIceServers: [] });
      const told: unknown[] = [];
      p2pcf.on('state', (...state: unknown[]) => told.push(state));
      Object.assign(window, { told, p2pcf, started: p2pcf.start() });
    },
    [server.url, newRoom(), 'AAECAwQFBgcICQoLDA0ODw'] as const,
  );
  await expect
    .poll(() => page.evaluate('String(told.at(-1)[1])'), WAIT)
    .toMatch(/^sealed.js did not load: is the page online/);
  expect(await page.evaluate('told.map(([state]) => state).join()')).toBe('connecting,connecting');
  await page.unroute('**/sealed.js');
  await page.evaluate('started');
  expect(await page.evaluate('p2pcf.state')).toBe('open');
  await page.context().close();
});

// Rollup has no way to take React, which is CommonJS, without a plugin for it. Webpack and Parcel find these entries as
// they find the others, above, and take most of a minute for React.
test.each(['esbuild', 'vite'] as const)(
  '%s: two pages that it built with React and Yjs see each other, and share a text',
  async (name) => {
    const path = await BUNDLERS[name]?.(`${name}-beside`, 'beside.js');
    const url = `${address}${path}?room=${newRoom()}&server=${encodeURIComponent(server.url)}`;
    const pages = [await openPage(browser, url), await openPage(browser, url)];
    for (const page of pages) await page.getByText('open,my name', { exact: true }).waitFor();
    for (const page of pages) await page.evaluate('text.insert(0, "one")');
    for (const page of pages) await until(page, 'oneone', () => String(Reflect.get(window, 'text')));
    expect(pages.flatMap(({ errors }) => errors)).toEqual([]);
    for (const page of pages) await page.context().close();
  },
);
