/**
 * Every file of examples/, and P2PCF's demo, with the package as it is packed: pages in real Chromium, the bot in Node.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import wrtc from 'node-datachannel/polyfill';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { P2PCF } from '../../src/client/index.ts';
import { type App, newApp, oldestModule } from '../support/app.ts';
import { launchChromium } from '../support/chromium.ts';
import { listen } from '../support/listen.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** What an app that uses React or Yjs has beside the package. */
const BESIDE = ['react', 'react-dom', 'yjs', 'y-protocols', 'y-indexeddb', 'lib0', 'node-datachannel'];
const PAGES = ['react.tsx', 'yjs.ts', 'game.ts', 'pairing.ts', 'overflow.ts', 'bare.ts'];

let app: App;
let browser: Browser;
let server: Workerd;
let address: string;
let stopPages: () => void;
let errors: string[] = [];

beforeAll(async () => {
  app = newApp();
  for (const name of BESIDE) symlinkSync(join(root, 'node_modules', name), join(app.folder, 'node_modules', name));
  cpSync(join(root, 'examples'), app.folder, { recursive: true, filter: (path) => !path.endsWith('tsconfig.json') });
  app.write('hooks.tsx', HOOKS);
  const common: BuildOptions = {
    bundle: true,
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"' },
  };
  const entries = (files: string[]): string[] => files.map((file) => join(app.folder, file));
  await build({ ...common, entryPoints: entries([...PAGES, 'hooks.tsx']), outdir: app.folder });
  await build({
    ...common,
    entryPoints: entries(['react.tsx', 'hooks.tsx']),
    outdir: join(app.folder, 'oldest'),
    alias: Object.fromEntries(['react', 'react-dom'].map((name) => [name, oldestModule(name)])),
  });
  const inPackage = join(app.folder, 'node_modules/p2pcf-ws/dist');
  const pages = createServer(({ url = '' }, response) => {
    const path = url.replace(/\?.*/, '');
    const file = join(path.includes('script.js') ? inPackage : app.folder, path);
    response.setHeader('Content-Type', path.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8');
    if (existsSync(file) && path !== '/') response.end(readFileSync(file));
    else if (path.includes('.'))
      response.writeHead(404).end(); // a favicon
    else response.end(`<!doctype html><title>e</title><body><script type="module" src="${path}.js"></script>`);
  });
  address = `http://127.0.0.1:${await listen(pages)}`;
  stopPages = () => pages.close();
  [server, browser] = await Promise.all([startWorkerd({ vars: { MAX_PEERS_PER_ROOM: 3 } }), launchChromium()]);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  expect(errors).toEqual([]);
  errors = [];
});
afterAll(async () => {
  stopPages();
  await browser.close();
  await server.stop();
  app.remove();
});

/** Counts in `open` what a page has open. */
const COUNT = `
  globalThis.open = { sockets: new Set(), connections: new Set() };
  WebSocket = class extends WebSocket {
    constructor(...args) { super(...args); open.sockets.add(this); }
  };
  RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) { super(...args); open.connections.add(this); }
  };
  globalThis.counts = () => [
    [...open.sockets].filter(({ readyState }) => readyState < 2).length,
    [...open.connections].filter(({ connectionState }) => connectionState !== 'closed').length,
  ];`;

async function openExample(path: string, fragment = ''): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(WAIT.timeout);
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.addInitScript(COUNT);
  await page.goto(`${address}/${path}?server=${encodeURIComponent(server.url)}${fragment}`);
  return page;
}

// biome-ignore lint/performance/useDomNodeTextContent: what is seen, without scripts
const shown = (page: Page): Promise<string> => page.innerText('body');
const untilShown = (page: Page, what: RegExp | string): Promise<void> =>
  expect.poll(() => shown(page), WAIT).toMatch(what);

test('each example is run by a test here', () => {
  const files = readdirSync(join(root, 'examples')).filter((file) => !/\.(md|json)$/.test(file));
  expect(files.toSorted()).toEqual([...PAGES, 'bot.ts', 'script-tag.html'].toSorted());
});

test('script tag: two chat', async () => {
  const [alice, bob] = [await openExample('script-tag.html'), await openExample('script-tag.html')];
  await untilShown(alice, /guest-\d+ is here/);
  await untilShown(bob, /guest-\d+ is here/);
  await alice.fill('input', 'hello <b>');
  await alice.click('button');
  await untilShown(bob, /guest-\d+: hello <b>/);
});

/** Of React: the newest version, and the oldest that the package promises to work with. */
const VERSIONS = [
  ['React 19', ''],
  ['React 18', 'oldest/'],
];

test.each(VERSIONS)(
  '%s, in StrictMode: two chat; who leaves has nothing open, and may join again',
  async (_, folder) => {
    const [alice, bob] = [await openExample(`${folder}react`), await openExample(`${folder}react`)];
    const send = async (page: Page, text: string): Promise<void> => {
      await page.fill('input', text);
      await page.click('text=Send');
    };
    await untilShown(alice, /open\s+With: guest-\d+/);
    await untilShown(bob, /open\s+With: guest-\d+/);
    await send(alice, 'hello');
    await untilShown(bob, /guest-\d+: hello/);
    expect(await alice.evaluate('counts()[0]'), 'StrictMode makes two rooms, of which one is left').toBe(1);
    await alice.click('text=Leave');
    await expect.poll(() => alice.evaluate('counts()'), WAIT).toEqual([0, 0]);
    await untilShown(bob, /With: nobody/);
    await alice.click('text=Join');
    await untilShown(bob, /With: guest-\d+/);
    await send(bob, 'again');
    await untilShown(alice, /guest-\d+: again/);
  },
);

const HOOKS = `
  import P2PCF from 'p2pcf-ws';
  import { usePeers, useRoom } from 'p2pcf-ws/react';
  import { StrictMode, version } from 'react';
  import { createRoot } from 'react-dom/client';
  import { renderToString } from 'react-dom/server.browser';
  const workerUrl = new URLSearchParams(location.search).get('server');
  const mine = new P2PCF('my own', 'existing', { workerUrl });
  function Mine({ room }) {
    const { state } = useRoom(room);
    return <p>{state} {usePeers(room).filter((peer) => peer.connected).map((peer) => peer.client_id).join()}</p>;
  }
  function Nobody() {
    const { state } = useRoom(null);
    return <p>nobody {state}</p>;
  }
  function Made({ name, roomId, url }) {
    const { room, state, error } = useRoom(name, roomId, { workerUrl: url });
    usePeers(room);
    return <p>{error ? error.message : room ? room.roomId + ' ' + state : 'none'}</p>;
  }
  const root = createRoot(document.body.appendChild(document.createElement('main')));
  const listeners = () => ['state', 'peerjoin', 'peerconnect', 'peerstate', 'peerclose', 'msg']
    .map((event) => mine.listenerCount(event));
  Object.assign(window, {
    version,
    mine,
    listeners,
    show: (what) => root.render(<StrictMode>{what}</StrictMode>),
    showNobody: () => show(<Nobody />),
    showMine: () => show(<Mine room={mine} />),
    showMade: (name, roomId) => show(<Made name={name} roomId={roomId} url={workerUrl} />),
    onServer: () => renderToString(<Made name="my name" roomId="never" url={workerUrl} />),
  });`;

test.each(VERSIONS)(
  '%s: a room of the app’s own is followed and left alone; another name is another room; mistakes are told',
  async (name, folder) => {
    const page = await openExample(`${folder}hooks`);
    expect(await page.evaluate("'React ' + parseInt(version)")).toBe(name);
    const run = (code: string): Promise<unknown> => page.evaluate(code);
    await run('showNobody()');
    await untilShown(page, /^nobody connecting/);
    const before = await run('listeners()');
    await run('showMine()');
    await untilShown(page, /^connecting|closed/);
    await run('mine.start()');
    await untilShown(page, /^open/);
    const other = new P2PCF('Other', 'existing', { workerUrl: server.url, stunIceServers: [], wrtc });
    await other.start();
    await untilShown(page, /^open Other/);
    await run('show(null)');
    expect([await run('mine.state'), await run('listeners()')]).toEqual(['open', before]);
    other.destroy();
    await run('mine.destroy()');

    await run("showMade('my name', 'room one')");
    await untilShown(page, /^room one open$/);
    await run("showMade('my name', 'room two')");
    await untilShown(page, /^room two open$/);
    await expect.poll(() => run('counts()[0]'), WAIT).toBe(1);
    await run("showMade('me', 'room two')");
    await untilShown(page, /^clientId is "me": it must be/);
    const fullRoom = ['Filler one', 'Filler two', 'Filler three'].map(
      (name) => new P2PCF(name, 'full room', { workerUrl: server.url, stunIceServers: [], wrtc }),
    );
    for (const room of fullRoom) await room.start();
    await run("showMade('my name', 'full room')");
    await untilShown(page, /Room is full/);
    for (const room of fullRoom) room.destroy();
    await run('show(null)');
    await expect.poll(() => run('counts()'), WAIT).toEqual([0, 0]);
    expect(await run('onServer()')).toBe('<p>none</p>');
  },
);

test('Yjs: two edit a text, which is there when the page is opened again', async () => {
  const [alice, bob] = [await openExample('yjs'), await openExample('yjs')];
  const text = (page: Page): Promise<string> => page.inputValue('textarea');
  for (const page of [alice, bob]) await untilShown(page, /guest-\d+, guest-\d+/);
  await alice.fill('textarea', 'hello world');
  await expect.poll(() => text(bob), WAIT).toBe('hello world');
  await bob.fill('textarea', 'hello, world');
  await expect.poll(() => text(alice), WAIT).toBe('hello, world');
  await bob.close();
  await alice.fill('textarea', 'hello, world, without Bob');
  await alice.reload();
  await expect.poll(() => text(alice), WAIT).toBe('hello, world, without Bob');
});

test('game: the host alone says where everybody is, and is not cheated', async () => {
  const host = await openExample('game');
  const link = await host.getByRole('link').evaluate((a) => Object(a).href);
  const guest = await openExample('game', new URL(link).hash);
  const players = (page: Page): Promise<string[]> =>
    page.$$eval('span', (spans) => spans.map(({ textContent, style }) => `${textContent} ${style.left} ${style.top}`));
  await expect.poll(() => players(guest), WAIT).toEqual(['● 150px 150px', '★ 150px 150px']);
  await guest.keyboard.down('ArrowRight');
  for (const [page, sign] of [[host, '●'] as const, [guest, '★'] as const])
    await expect.poll(() => players(page), WAIT).toContain(`${sign} 300px 150px`);
  await guest.keyboard.up('ArrowRight');

  const [roomId = '', hostId] = new URL(link).hash.slice(1).split('/');
  const cheat = new P2PCF('cheat', roomId, { workerUrl: server.url, stunIceServers: [], wrtc });
  const places: number[] = [];
  cheat.on('datagram', (_peer, data) => {
    const place = JSON.parse(new TextDecoder().decode(data)).places[cheat.sessionId];
    if (place) places.push(place[0]);
  });
  cheat.on('peerconnect', (peer) => {
    if (peer.id === hostId)
      cheat.sendUnreliable(peer, Int8Array.of(-100, 0)); // and says that it is the host, to the guest
    else cheat.sendUnreliable(peer, JSON.stringify({ tick: 1e9, places: {} }));
  });
  await cheat.start();
  await expect.poll(() => places.at(-1), WAIT).toBe(0);
  for (const [index, x] of places.entries()) if (index > 0) expect((places[index - 1] ?? 0) - x).toBeLessThan(50);
  await expect.poll(() => players(guest), WAIT).toEqual(['● 150px 150px', '★ 300px 150px', '● 0px 150px']);
  cheat.destroy();
});

test('pairing: the code of one, typed on the other, and both show the same signs', async () => {
  const [computer, phone] = [await openExample('pairing'), await openExample('pairing')];
  const code = /: (\w{8})/.exec(await shown(computer))?.[1] ?? '';
  await phone.fill('input', ` ${code.toLowerCase()} `);
  await phone.click('button');
  await untilShown(computer, /must show: /);
  await untilShown(phone, /must show: /);
  const signs = async (page: Page): Promise<string | undefined> => /must show: (.*)/.exec(await shown(page))?.[1];
  expect(await signs(computer)).toBe(await signs(phone));
  expect((await signs(phone))?.split(' ')).toHaveLength(7);
});

test('overflow: the fourth gets a lobby of its own', async () => {
  for (const lobby of ['lobby-1', 'lobby-1', 'lobby-1', 'lobby-2'])
    await untilShown(await openExample('overflow'), `You are in ${lobby}.`);
});

test('bare: two chat, also after the server was gone', async () => {
  const [alice, bob] = [await openExample('bare'), await openExample('bare')];
  const chat = async (from: Page, to: Page, text: string): Promise<void> => {
    await from.fill('input', text);
    await from.press('input', 'Enter');
    await untilShown(to, `They: ${text}`);
  };
  for (const page of [alice, bob]) await untilShown(page, 'Somebody is here.');
  await chat(alice, bob, 'hello');
  await chat(bob, alice, 'good day');
  await server.restart();
  for (const page of [alice, bob]) await untilShown(page, /here\.(.|\n)*here\./);
  await chat(alice, bob, 'again');
  await bob.context().close();
});

test('the demo of P2PCF: the diff of docs/migrating.md applies to its lines, and two meet', async () => {
  const [, diff = ''] = /^```diff\n(--- a.*?)^```/ms.exec(readFileSync(join(root, 'docs/migrating.md'), 'utf8')) ?? [];
  const demo = 'examples/basic-video-chat/index';
  const folder = join(app.folder, demo, '..');
  mkdirSync(folder, { recursive: true });
  cpSync(join(app.folder, 'node_modules/p2pcf-ws/dist'), join(folder, 'p2pcf-ws'), { recursive: true });
  app.write(`${demo}.js`, `${linesBefore(diff)}${MEET}`);
  app.run('git', [
    'apply',
    app.write('demo.diff', diff.replace('https://p2pcf-ws.<your-subdomain>.workers.dev', server.url)),
  ]);
  const [alice, bob] = [await openExample(demo, '#demo-room'), await openExample(demo, '#demo-room')];
  for (const page of [alice, bob]) await untilShown(page, /user-\d+ is here/);
});

/** The demo uses a room as other apps do: only what the diff changes is tried here. */
const MEET = `
  p2pcf.on('peerconnect', (peer) => document.body.append(peer.client_id + ' is here'));
  p2pcf.start();`;

/** The lines of a file that a diff names, each at its place. */
function linesBefore(diff: string): string {
  const lines: string[] = [];
  for (const line of diff.split('\n').slice(2)) {
    const from = /^@@ -(\d+)/.exec(line)?.[1];
    if (from !== undefined) while (lines.length < Number(from) - 1) lines.push('');
    else if (/^[ -]/.test(line)) lines.push(line.slice(1));
  }
  return `${lines.join('\n')}\n`;
}

test('the bot answers in Node', async () => {
  const bot = spawn(process.execPath, ['bot.ts', server.url], {
    cwd: app.folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  bot.stdout.on('data', (text) => (said += text));
  await expect.poll(() => said, WAIT).toContain('The bot is in the room.');
  const room = new P2PCF('asker', 'ask the bot', { workerUrl: server.url, stunIceServers: [], wrtc });
  const heard: string[] = [];
  room.on('msg', (peer, data) => {
    heard.push(new TextDecoder().decode(data));
    if (heard.length === 1) void room.send(peer, 'time').then(() => room.send(peer, 'what?'));
  });
  await room.start();
  await expect.poll(() => heard.length, WAIT).toBe(3);
  expect(heard[0]).toBe('Ask me for the time.');
  expect(Date.parse(heard[1] ?? '')).toBeGreaterThan(Date.parse('2026-01-01'));
  expect(heard[2]).toBe('I do not know "what?".');
  const ended = new Promise((resolve) => bot.once('exit', resolve));
  bot.kill('SIGTERM');
  expect(await ended).toBe(0);
  room.destroy();
});
