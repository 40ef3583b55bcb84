/**
 * How long it takes in Firefox, in Chromium and between them, with this library and without: `npm run browsers`. Each
 * connection has two fresh pages; all pairs take turns.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { launchFirefox, openInFirefox } from '../../test/support/firefox.ts';
import { median } from '../statistics.ts';
import { openPage, servePages, startBrowser } from './browser.ts';
import { startBareRelay, startOurs } from './servers.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '12' } } });
const rounds = Number(values.rounds);

/** The browsers' first connections are slower. */
const WARM_UP_ROUNDS = 1;

/** How long the room has to itself, in ms: its first member publishes its offer meanwhile. */
const SETTLE_MS = 1_500;

const WITHIN_MS = 60_000;

const PAIRS = [
  ['Chromium', 'Chromium'],
  ['Firefox', 'Firefox'],
  ['Chromium', 'Firefox'],
  ['Firefox', 'Chromium'],
] as const;
type Name = (typeof PAIRS)[number][0];

interface FreshPage {
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
}

const started: { stop(): Promise<void> }[] = [];
try {
  const [ours, bare, pages] = await Promise.all([startOurs(), startBareRelay(), servePages(['ours', 'bare'])]);
  started.push(ours, bare, pages);
  const [chromium, firefox] = await Promise.all([startBrowser(), launchFirefox()]);
  for (const browser of [chromium, firefox]) started.push({ stop: () => browser.close() });
  const open: Record<Name, (url: string) => Promise<FreshPage>> = {
    async Chromium(url) {
      const page = await openPage(chromium, '');
      await page.goto(url);
      return { evaluate: (expression) => page.evaluate(expression), close: () => page.context().close() };
    },
    Firefox: (url) => openInFirefox(firefox, url),
  };

  const tracks = PAIRS.flatMap(([resident, joiner]) => [
    { resident, joiner, stack: 'ours', server: ours.url, times: [] as number[] },
    { resident, joiner, stack: 'bare', server: bare.url, times: [] as number[] },
  ]);
  for (let round = 1 - WARM_UP_ROUNDS; round <= rounds; round++) {
    for (const { resident, joiner, stack, server, times } of round % 2 === 0 ? tracks : tracks.toReversed()) {
      const url = `${pages.url}/${stack}`;
      const [first, second] = [await open[resident](url), await open[joiner](url)];
      const timeout = sleep(WITHIN_MS, undefined, { ref: false });
      const ms = await Promise.race([connect(first, second, server), timeout]);
      if (ms === undefined) throw new Error(`${stack}, ${resident} joined by ${joiner}: not connected`);
      if (round > 0) times.push(ms);
      await Promise.all([first.close(), second.close()]);
    }
  }

  console.log('| in the room | joins | P2PCF-WS, ms | bare, ms | to bare |\n|---|---|---:|---:|---:|');
  for (const [resident, joiner] of PAIRS) {
    const [mine = [], theirs = []] = tracks
      .filter((track) => track.resident === resident && track.joiner === joiner)
      .map(({ times }) => times);
    const ratio = (median(mine) / median(theirs)).toFixed(2);
    console.log(`| ${resident} | ${joiner} | ${spread(mine)} | ${spread(theirs)} | ${ratio} |`);
  }
} finally {
  for (const each of started.reverse()) await each.stop();
}

/** From the joiner's start until both have been told, in ms. */
async function connect(first: FreshPage, second: FreshPage, server: string): Promise<number> {
  const room = randomUUID();
  const residentId = `${room}-resident`;
  await first.evaluate(`peer.join(${JSON.stringify({ server, room, clientId: residentId })})`);
  await sleep(SETTLE_MS);
  const place = { server, room, clientId: `${room}-joiner`, residentId };
  const [startedAt, ...toldAt] = await Promise.all([
    second.evaluate(`peer.join(${JSON.stringify(place)})`),
    first.evaluate('peer.connected(1)'),
    second.evaluate('peer.connected(1)'),
  ]);
  return Math.max(...toldAt.map(Number)) - Number(startedAt);
}

function spread(times: number[]): string {
  return `${median(times).toFixed(0)} (${Math.min(...times).toFixed(0)}-${Math.max(...times).toFixed(0)})`;
}
