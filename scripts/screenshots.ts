/** The demo in every state, at two sizes and in two colour schemes, as pictures in .wrangler/screenshots/. */
import { mkdir } from 'node:fs/promises';
import { launchChromium, openPage, servePage } from '../test/support/chromium.ts';
import { demoStates } from '../test/support/demo-states.ts';
import { startDev } from '../test/support/server.ts';

const FOLDER = '.wrangler/screenshots';
const SIZES = [
  { width: 1280, height: 720 },
  { width: 390, height: 844 },
];

/** The states named on the command line, or all. */
const wanted = process.argv.slice(2);

await mkdir(FOLDER, { recursive: true });
const [server, pages, browser] = await Promise.all([startDev(), servePage(), launchChromium([], { isWhole: true })]);
try {
  for (const [name, open] of Object.entries(demoStates)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const ends: (() => Promise<unknown>)[] = [];
    const crowd = await openPage(browser, pages.url);
    const page = await open({ browser, url: server.url, crowd, onEnd: (work) => ends.push(work) });
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const size of SIZES) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await page.setViewportSize(size);
        await page.screenshot({ path: `${FOLDER}/${name}-${size.width}-${colorScheme}.png` });
      }
    }
    for (const end of ends.reverse()) await end();
    await crowd.context().close();
    console.log(name);
  }
} finally {
  await browser.close();
  await Promise.all([server.stop(), pages.stop()]);
}
