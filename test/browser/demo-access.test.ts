/** The demo in its states, light on a wide screen and dark on a narrow one: axe finds nothing. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { demoStates } from '../support/demo-states.ts';
import { type Server, startDev } from '../support/server.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let server: Server;
let pages: PageServer;
let browser: Browser;
let crowd: Page;
let ends: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([startDev(), servePage(), launchChromium()]);
  crowd = await openPage(browser, pages.url);
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop(), browser.close()]);
});

// Colours are the same at each size, and sizes in each colour.
const LOOKS = [
  ['light', 1280, 720],
  ['dark', 390, 844],
] as const;

test.each(Object.entries(demoStates))('%s', async (_name, open) => {
  const page = await open({ browser, url: server.url, crowd, onEnd: (work) => ends.push(work) });
  await page.evaluate(AXE); // which the page's own policy would not let in as a script
  for (const [colorScheme, width, height] of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height });
    const { violations }: AxeResults = Object(await page.evaluate('axe.run()'));
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    expect(found, `${colorScheme}, ${width} px`).toEqual([]);
  }
});
