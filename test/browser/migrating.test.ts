/** The code of docs/from-*.md, as it stands there: type-checked, and run in real pages that meet. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, servePage } from '../support/chromium.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ENTRIES = {
  'p2pcf-ws': join(root, 'src/client/index.ts'),
  'p2pcf-ws/signaling': join(root, 'src/client/signaling.ts'),
  'p2pcf-ws/yjs': join(root, 'src/yjs/index.ts'),
};
/** What each page says when another comes. */
const SAYS: Record<string, RegExp> = {
  'from-partykit.md': /hello: there/,
  'from-peerjs.md': /^my name \{hello: there\}$/,
  'from-simple-peer.md': /^my name hello$/,
  'from-y-webrtc.md': /^true$/,
};
const pages = globSync('docs/from-*.md', { cwd: root }).map((path) => basename(path));

let server: Server;
let browser: Browser;
beforeAll(async () => {
  [server, browser] = await Promise.all([startWorkerd(), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), browser.close()]);
});

function blockOf(page: string): string {
  const [, block] = /^```js\n(.*?)^```/ms.exec(readFileSync(join(root, 'docs', page), 'utf8')) ?? [];
  if (block === undefined) throw new Error(`docs/${page} has no code any more`);
  return block;
}

test('every page is checked here, and its code type-checks under strict', async () => {
  expect(pages.toSorted()).toEqual(Object.keys(SAYS));
  const folder = await mkdtemp(join(root, 'node_modules/.migrating-')); // where yjs is found
  try {
    for (const page of pages) writeFileSync(join(folder, page.replace('.md', '.ts')), blockOf(page));
    const paths = Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, [path]]));
    const compilerOptions = { lib: ['ES2024', 'DOM', 'DOM.Iterable'], moduleDetection: 'force', paths };
    const config = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['.'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = (): string => {
      try {
        return execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
      } catch (error) {
        return String(Object(error).stdout);
      }
    };
    expect(tsc()).toBe('');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each(pages)('%s: two pages with its code meet', async (page) => {
  const [, imports = '', rest = ''] = /^((?:import [^\n]*\n)*)(.*)$/s.exec(blockOf(page)) ?? [];
  const code = rest.replace('https://p2pcf-ws.<your-subdomain>.workers.dev', server.url);
  const served = await servePage(`${imports}(async () => {${code}})();`, { alias: ENTRIES });
  const alice = await openPage(browser, served.url);
  const bob = await openPage(browser, served.url);
  await expect.poll(() => [...alice.said, ...bob.said].some((line) => SAYS[page]?.test(line)), WAIT).toBe(true);
  expect([...alice.errors, ...bob.errors]).toEqual([]);
  for (const each of [alice, bob]) await each.context().close();
  await served.stop();
});
