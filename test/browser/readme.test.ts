/** The README's code, as it stands there: type-checked, and run in real pages. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { SignJWT } from 'jose';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { listen } from '../support/listen.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ENTRIES = {
  'p2pcf-ws': join(root, 'src/client/index.ts'),
  'p2pcf-ws/signaling': join(root, 'src/client/signaling.ts'),
};
const JOSE = join(root, 'node_modules/jose');

let quickStart: string;
let withCamera: string;
let fullRoom: string;
let privateRoom: string;
let friendsOnly: string;
let signalingAlone: string;
let bareClient: string;
let signToken: string;
let pageToken: string;
let askTurnstile: string;
let server: Server;
let browser: Browser;
const open: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const blocks = Array.from(readme.matchAll(/^```(?:js|ts)\n(.*?)^```/gms), ([, block = '']) => block);
  expect(blocks).toHaveLength(10);
  [quickStart = '', withCamera = '', fullRoom = '', privateRoom = ''] = blocks;
  [friendsOnly = '', signalingAlone = '', bareClient = ''] = blocks.slice(4);
  [signToken = '', pageToken = '', askTurnstile = ''] = blocks.slice(7);
  [server, browser] = await Promise.all([startWorkerd(), launchChromium()]);
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});
afterAll(async () => {
  await Promise.all([server.stop(), browser.close()]);
});

test('every block type-checks under strict', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  try {
    const quickStartWithCamera = quickStart.replace('await room.start();', `${withCamera}await room.start();`);
    await writeFile(join(folder, 'library.ts'), quickStartWithCamera);
    const given = `import P2PCF from 'p2pcf-ws'; declare const workerUrl: string, friends: Set<unknown>;\n`;
    await writeFile(join(folder, 'full.ts'), given + fullRoom);
    await writeFile(join(folder, 'private.ts'), given + privateRoom);
    await writeFile(join(folder, 'friends.ts'), `${given}const key = P2PCF.newKey();\n${friendsOnly}`);
    await writeFile(join(folder, 'signaling.ts'), signalingAlone);
    await writeFile(join(folder, 'bare.js'), bareClient);
    await writeFile(join(folder, 'page-token.ts'), given + pageToken);
    await writeFile(
      join(folder, 'backend.ts'),
      `declare const process: { env: Record<string, string | undefined> };
      declare const roomId: string, userId: string, isModerator: boolean, turnstileSecret: string, fromWidget: string;
      ${signToken}${askTurnstile}`,
    );
    const paths = Object.fromEntries(Object.entries({ ...ENTRIES, jose: JOSE }).map(([name, path]) => [name, [path]]));
    const compilerOptions = {
      ...{ strict: true, noEmit: true, allowJs: true, checkJs: true, allowImportingTsExtensions: true },
      ...{ target: 'ES2022', module: 'ESNext', moduleResolution: 'bundler', moduleDetection: 'force' },
      ...{ lib: ['ES2024', 'DOM', 'DOM.Iterable'], types: [], paths, skipLibCheck: true },
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    expect(run(join(root, 'node_modules/.bin/tsc'), '-p', folder)).toBe('');
  } finally {
    await rm(folder, { recursive: true });
  }
});

function run(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8' });
  } catch (error) {
    return String(Object(error).stdout);
  }
}

/** Pages that run a block, with this server in place of the reader's own; what each logs. */
async function serve(block: string): Promise<PageServer> {
  const [, imports = '', rest = ''] = /^((?:import [^\n]*\n)*)(.*)$/s.exec(block) ?? [];
  const code = rest
    .replace('https://p2pcf-ws.<your-subdomain>.workers.dev', server.url)
    .replace('wss://p2pcf-ws.<your-subdomain>.workers.dev', server.url.replace('http', 'ws'));
  // In a function, as the pages' scripts are no modules, which could await at their top.
  const pages = await servePage(`${imports}(async () => {${code}})();`, { alias: ENTRIES });
  open.push(pages);
  return pages;
}

interface Reader {
  page: Page;
  said: string[];
}

async function openReader({ url }: { url: string }): Promise<Reader> {
  const page = await openPage(browser, url);
  open.push({
    async stop() {
      expect(page.errors).toEqual([]);
      await page.context().close();
    },
  });
  return { page, said: page.said };
}

const count = (said: string[], what: RegExp): number => said.filter((line) => what.test(line)).length;
const untilSaid = ({ said }: Reader, what: RegExp, times: number): Promise<void> =>
  expect.poll(() => count(said, what), WAIT).toBe(times);

test('the quick start: two meet, speak and part', async () => {
  const pages = await serve(quickStart);
  const [alice, bob] = [await openReader(pages), await openReader(pages)];
  for (const reader of [alice, bob]) await untilSaid(reader, /^my name says hello$/, 1);
  await bob.page.close();
  await untilSaid(alice, /^my name is gone$/, 1);
});

test('a stream: the others see it, in one place, also on a connection that is made anew, and for as long as it is there', async () => {
  const start = `${withCamera}Object.assign(window, { room }); await room.start();`;
  const pages = await serve(quickStart.replace('await room.start();', start));
  const [alice, bob] = [await openReader(pages), await openReader(pages)];
  /** Of each video, whether its tracks are live and it has a picture. */
  const shown = ({ page }: Reader): Promise<boolean[]> =>
    page.evaluate(() => {
      const isLive = ({ srcObject }: HTMLVideoElement): boolean =>
        srcObject instanceof MediaStream && srcObject.getTracks().every(({ readyState }) => readyState === 'live');
      return [...document.querySelectorAll('video')].map((video) => isLive(video) && video.videoWidth > 0);
    });
  for (const reader of [alice, bob]) await expect.poll(() => shown(reader), WAIT).toEqual([true]);
  await alice.page.evaluate(() => Object([...window.room.peers.values()][0]).negotiator.startOver());
  for (const reader of [alice, bob]) await untilSaid(reader, /^my name is here$/, 2);
  for (const reader of [alice, bob]) await expect.poll(() => shown(reader), WAIT).toEqual([true]);
  await bob.page.close();
  await expect.poll(() => shown(alice), WAIT).toEqual([]);
});

test('a full room: the next goes to another', async () => {
  const block = fullRoom
    .replace('maxPeers: 8', 'maxPeers: 2')
    .replace('room.start()', `room.on('peerconnect', () => console.log(room.roomId)).start()`);
  const pages = await serve(`import P2PCF from 'p2pcf-ws';\nconst workerUrl = '${server.url}';\n${block}`);
  const readers = [await openReader(pages), await openReader(pages)];
  for (const reader of readers) await untilSaid(reader, /^my room 1$/, 1);
  readers.push(await openReader(pages), await openReader(pages));
  for (const reader of readers.slice(2)) await untilSaid(reader, /^my room 2$/, 1);
});

test('a private room: whoever has the link is met', async () => {
  const use = `room.on('peerconnect', () => room.broadcast('hello'));
    room.on('msg', (_peer, data) => console.log(new TextDecoder().decode(data)));
    await room.start();`;
  const pages = await serve(`import P2PCF from 'p2pcf-ws';\nconst workerUrl = '${server.url}';\n${privateRoom}${use}`);
  const alice = await openReader(pages);
  await openReader(pages); // has made a key of its own
  const bob = await openReader({ url: alice.page.url() });
  for (const reader of [alice, bob]) await untilSaid(reader, /^hello$/, 1);
});

test('signaling alone: three tabs hear each other', async () => {
  const pages = await serve(signalingAlone);
  const readers = [await openReader(pages), await openReader(pages), await openReader(pages)];
  await untilSaid(Object(readers[2]), /\{any: JSON\}/, 2);
  await untilSaid(Object(readers[1]), /\{any: JSON\}/, 1);
});

test('without the library: it goes on when a page reloads and when a third comes', async () => {
  const pages = await serve(bareClient);
  const [alice, bob] = [await openReader(pages), await openReader(pages)];
  for (const reader of [alice, bob]) await untilSaid(reader, /says hello$/, 1);
  await alice.page.reload();
  for (const reader of [alice, bob]) await untilSaid(reader, /says hello$/, 2);
  const carol = await openReader(pages);
  await untilSaid(carol, /says hello$/, 2);
  for (const reader of [alice, bob])
    await expect.poll(() => count(reader.said, /says hello$/), WAIT).toBeGreaterThan(2);
});

test.each(['former', 'latter'])('a page without the library and one with it speak, the %s first', async (which) => {
  const without = await serve(bareClient);
  const withIt = await serve(quickStart.replace('my room', 'lobby'));
  const first = await openReader(which === 'former' ? without : withIt);
  const second = await openReader(which === 'former' ? withIt : without);
  for (const reader of [first, second]) await untilSaid(reader, /says hello$/, 1);
});

test('room tokens: the backend signs one for whom Turnstile lets pass, and pages come in with it', async () => {
  const env = { AUTH_SECRET: 'a secret of at least thirty-two bytes' };
  const guarded = await startWorkerd({ vars: env });
  open.push(guarded);
  const asked: string[] = [];
  const turnstile = async (url: string, { body }: { body: URLSearchParams }): Promise<Response> => {
    asked.push(`${url}?${body}`);
    return Response.json({ success: body.get('response') === 'good' });
  };
  const backend = async (fromWidget: string): Promise<string> => {
    const given = { SignJWT, TextEncoder, URLSearchParams, fetch: turnstile, process: { env } };
    const values = { roomId: 'my room', userId: 'alice', isModerator: false, turnstileSecret: 'secret', fromWidget };
    const code = askTurnstile + signToken.replace(/^import .*\n/, '');
    return String(await runInNewContext(`(async () => {${code}return token})()`, { ...given, ...values }));
  };
  await expect(backend('bad')).rejects.toMatchObject({ message: 'Try the check again' });
  expect(asked).toEqual(['https://challenges.cloudflare.com/turnstile/v0/siteverify?secret=secret&response=bad']);

  const ofBackend = createServer((_request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    void backend('good').then((token) => response.end(token));
  });
  const url = `http://127.0.0.1:${await listen(ofBackend)}/room-token`;
  open.push({ stop: () => new Promise((resolve) => ofBackend.close(() => resolve())) });
  const use = `room.on('peerconnect', (peer) => console.log('here is', peer.verified.sub)); await room.start();`;
  const code = `const workerUrl = '${guarded.url}';\n${pageToken.replace('/room-token', url)}${use}`;
  const pages = await serve(`import P2PCF from 'p2pcf-ws';\n${code}`);
  const readers = [await openReader(pages), await openReader(pages)];
  for (const reader of readers) await untilSaid(reader, /^here is alice$/, 1);
});
