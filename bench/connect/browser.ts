/** The browser, and the pages it opens. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { listen } from '../../test/support/listen.ts';

const here = fileURLToPath(new URL('.', import.meta.url));

/** `trials` are Chromium's field trials, as it takes them: `Name/Enabled/`, one after the other. */
export function startBrowser(trials = ''): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
      ...['--disable-background-networking', '--disable-component-update'],
      '--disable-features=WebRtcHideLocalIpsWithMdns', // candidates are addresses, not names to be looked up
      ...(trials ? [`--force-fieldtrials=${trials}`] : []),
    ],
  });
}

/** In a context of its own: tabs of one profile could find each other without a server, as y-webrtc's do. */
export async function openPage(browser: Browser, initScript: string): Promise<Page> {
  const context = await browser.newContext();
  if (initScript) await context.addInitScript(initScript);
  return await context.newPage();
}

/** Serves each of stacks/ as a page, at its name. They have to come by HTTP to be allowed all that pages may do. */
export async function servePages(names: string[]): Promise<{ url: string; stop(): Promise<void> }> {
  const scripts = await bundle(names.map((name) => `stacks/${name}.ts`));
  const http = createServer((request, response) => {
    const script = scripts.get(request.url?.slice(1) ?? '');
    response.writeHead(script === undefined ? 404 : 200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><script>${script?.replaceAll('</script', '<\\/script')}</script>`);
  });
  const port = await listen(http);
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}

/** Scripts for pages, by the names of their files without the ending. */
export async function bundle(files: string[]): Promise<Map<string, string>> {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: files,
    outdir: '.',
    bundle: true,
    write: false,
    format: 'iife',
    minify: true,
    define: { global: 'globalThis' }, // for what was written for Node first
  });
  return new Map(outputFiles.map(({ path, text }) => [basename(path, '.js'), text]));
}
