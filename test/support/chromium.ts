/** Real Chromium and pages that have the client library as `P2PCF`. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { listen } from './listen.ts';
import { WAIT } from './wait.ts';

const FLAGS = [
  '--no-sandbox', // as root, which CI is
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-features=WebRtcHideLocalIpsWithMdns', // an mDNS name needs a network that answers for it
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

/** Chromium's pages and nothing around them, as Debian has it: a page takes a third of the processor time. */
const SHELL = '/usr/bin/chromium-headless-shell';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

interface Launch {
  /** Flags of playwright's that are left out. */
  withoutDefaults?: string[];
  /** Makes of Chromium's path that of a program that starts it. */
  launcher?: (path: string) => string;
  /** The browser as people have it, with field trials and the back-forward cache. */
  isWhole?: boolean;
}

/** Rejects with what to do if there is no Chromium. */
export async function launchChromium(
  flags: readonly string[] = [],
  { withoutDefaults = [], launcher = (path) => path, isWhole = false }: Launch = {},
): Promise<Browser> {
  const places = [process.env['CHROMIUM'], ...(isWhole ? [] : [SHELL]), ...PLACES];
  const executablePath = places.find((path) => path !== undefined && existsSync(path));
  if (!executablePath) {
    throw new Error('No Chromium found. Run: apt-get install chromium. Or set CHROMIUM to the path of one.');
  }
  return await chromium.launch({
    executablePath: launcher(executablePath),
    args: [...FLAGS, ...flags],
    ignoreDefaultArgs: withoutDefaults,
  });
}

export interface PageServer {
  /** Address of an empty page with the script in it. */
  url: string;
  stop(): Promise<void>;
}

/** What the page has as globals. */
const LIBRARY = `import P2PCF from './src/client/index.ts'; import { SignalingClient } from './src/client/signaling.ts';
  Object.assign(globalThis, { P2PCF, SignalingClient });`;

/** What tests call in every page. */
const HELPERS = `import { sha256 } from './test/support/sha256.ts'; globalThis.sha256 = sha256;\n`;

/** Serves the page; localhost is a secure context, so cameras work. `contents` is its script, if not the library. */
export async function servePage(contents = LIBRARY, options: BuildOptions = {}): Promise<PageServer> {
  const { outputFiles } = await build({
    ...options,
    stdin: { contents: HELPERS + contents, loader: 'ts', resolveDir: fileURLToPath(new URL('../..', import.meta.url)) },
    bundle: true,
    format: 'iife',
    write: false,
  });
  const script = outputFiles[0]?.text ?? '';
  const server = createServer((request, response) => {
    const isScript = request.url === '/client.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.end(isScript ? script : '<!doctype html><title>test</title><script src="/client.js"></script>');
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/**
 * Opens the page. `said` is what it logs; an error in it that nobody catches fails the test that asks `errors`. A
 * browser that `isElsewhere`, on another network (nat.ts), is handed the page by this process.
 */
export async function openPage(
  browser: Browser,
  url: string,
  isElsewhere = false,
): Promise<Page & { errors: string[]; said: string[] }> {
  const context = await browser.newContext();
  context.setDefaultTimeout(WAIT.timeout);
  if (isElsewhere)
    await context.route(`${new URL(url).origin}/**`, async (route) => route.fulfill({ response: await route.fetch() }));
  const page = await context.newPage();
  const errors: string[] = [];
  const said: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => said.push(message.text()));
  await page.goto(url);
  return Object.assign(page, { errors, said });
}
