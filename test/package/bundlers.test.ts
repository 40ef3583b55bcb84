/** A page built by each bundler, in real Chromium: it meets a page that has the library by a script tag. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
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
import { connected, enter, heard, say } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const APP = `
  import P2PCF from 'p2pcf-ws';
  import { SignalingClient } from 'p2pcf-ws/signaling';
  import { parseSignal } from 'p2pcf-ws/protocol';
  Object.assign(window, { P2PCF, entries: [P2PCF, SignalingClient, parseSignal].map((entry) => typeof entry) });`;
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
  [server, browser] = await Promise.all([startWorkerd(), launchChromium()]);
  const pages = createServer(({ url = '/' }, response) => {
    const path = join(app.folder, new URL(url, 'http://app').pathname);
    response.statusCode = existsSync(path) ? 200 : 404; // a browser asks for an icon
    response.setHeader('Content-Type', extname(path) === '.js' ? 'text/javascript' : 'text/html');
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

/** Builds the app into a folder of this name, and returns the page's path. */
const BUNDLERS: Record<string, (name: string) => Promise<string>> = {
  async esbuild(name) {
    const outfile = join(app.folder, name, 'app.js');
    await esbuild({ entryPoints: [join(app.folder, 'app.js')], bundle: true, minify: true, outfile });
    return plainPage(name);
  },
  async rollup(name) {
    const bundle = await rollup({ input: join(app.folder, 'app.js'), plugins: [nodeResolve({ browser: true })] });
    // In one file: what is loaded when it is used has to be in it, too.
    await bundle.write({ file: join(app.folder, name, 'app.js'), format: 'iife', inlineDynamicImports: true });
    return plainPage(name);
  },
  async webpack(name) {
    await new Promise<void>((resolve, reject) => {
      const output = { path: join(app.folder, name), filename: 'app.js' };
      webpack({ mode: 'production', context: app.folder, entry: './app.js', output }, (error, stats) => {
        if (error || stats?.hasErrors()) reject(error ?? new Error(stats?.toString()));
        else resolve();
      });
    });
    return plainPage(name);
  },
  async vite(name) {
    app.write('index.html', html('type="module" src="/app.js"'));
    const build = { outDir: join(app.folder, name) };
    await vite({ root: app.folder, base: `/${name}/`, logLevel: 'warn', configFile: false, build });
    return `/${name}/index.html`;
  },
  async parcel(name) {
    app.write('page.html', html('type="module" src="app.js"'));
    const options = ['--dist-dir', name, '--public-url', `/${name}/`, '--no-cache'];
    app.run(newest('parcel'), ['build', 'page.html', ...options]);
    return `/${name}/page.html`;
  },
};

function plainPage(name: string): string {
  mkdirSync(join(app.folder, name), { recursive: true });
  return `/${app.write(`${name}/index.html`, html('src="app.js"'))}`;
}

test.each(Object.keys(BUNDLERS))('%s: a page that it built meets one with a script tag', async (name) => {
  const path = await BUNDLERS[name]?.(name);
  app.write('plain.html', '<!doctype html><script src="/node_modules/p2pcf-ws/dist/p2pcf-ws.script.js"></script>');
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
  for (const page of [plain, built]) await page.context().close();
});
