/**
 * What polling costs the server: real pages stay in a room for so many seconds, and what Cloudflare would bill is
 * counted in the server. By turns p2pcf alone, then two of p2pcf's and two of ours.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startWorkerd } from '../../test/support/server.ts';
import { openPage, servePages, startBrowser } from './browser.ts';

const { seconds } = parseArgs({ options: { seconds: { type: 'string', default: '300' } } }).values;

const ROOMS = [
  ['p2pcf', 'p2pcf'],
  ['p2pcf', 'p2pcf', 'ours', 'ours'],
];

const pages = await servePages(['p2pcf', 'ours']);
const browser = await startBrowser();
try {
  for (const kinds of ROOMS) {
    const server = await startWorkerd({ main: 'test/support/metered.ts' });
    const room = randomUUID();
    for (const [n, kind] of kinds.entries()) {
      const page = await openPage(browser, '');
      await page.goto(`${pages.url}/${kind}`);
      await page.evaluate((place) => peer.join(place), { server: server.url, room, clientId: `peer ${n}` });
    }
    await sleep(Number(seconds) * 1000);
    const bill: Record<string, number> = Object(await (await fetch(`${server.url}/bill`)).json());
    console.log(kinds.join(', '), bill);
    for (const context of browser.contexts()) await context.close();
    await server.stop();
  }
} finally {
  await browser.close();
  await pages.stop();
}
