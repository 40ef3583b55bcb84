/**
 * How long a peer that joins takes to connect: from its start until it and every resident of the room have been told
 * that they can send to each other. All stacks in one browser and one run, by turns, so that whatever disturbs the
 * machine disturbs all of them.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { median } from '../statistics.ts';
import { bundle, openPage, servePages, startBrowser } from './browser.ts';
import { startDelay } from './delay.ts';
import type { Place } from './peer.ts';
import {
  type SignalingServer,
  startBareRelay,
  startOurs,
  startOursWithTurn,
  startP2pcf,
  startPeerJs,
  startSocketIo,
  startYWebrtc,
} from './servers.ts';

interface Stack {
  /** Its name on the command line. */
  id: string;
  name: string;
  /** Its pages, in stacks/: the joiner's and the residents'. */
  pages: [joiner: string, residents: string];
  start(pagesOrigin: string): Promise<SignalingServer>;
  /** How long the room has to itself, in ms; SETTLE_MS, if not given. */
  settleMs?: () => number;
  /** What it is compared with; BASELINE, if not given. */
  baseline?: string;
  /** For a stack that takes so long that it gets fewer rounds than the others. */
  maxRounds?: number;
}

/** p2pcf polls every 1.5 s for its first ten seconds, then every 5 s: the joiner comes anywhere between two polls. */
const settleMs = (): number => 12_000 + Math.random() * 5_000;

const STACKS: Stack[] = [
  { id: 'p2pcf', name: 'p2pcf 1.3.14', pages: ['p2pcf', 'p2pcf'], start: startP2pcf, maxRounds: 3 },
  {
    id: 'p2pcf-settled',
    name: 'p2pcf, the first one settled',
    pages: ['p2pcf', 'p2pcf'],
    start: startP2pcf,
    maxRounds: 3,
    settleMs,
  },
  {
    id: 'p2pcf-here',
    name: 'p2pcf on P2PCF-WS, settled',
    pages: ['p2pcf', 'p2pcf'],
    start: startOurs,
    maxRounds: 3,
    settleMs,
  },
  {
    id: 'ours-joins-p2pcf',
    name: 'P2PCF-WS joins a settled p2pcf',
    pages: ['ours', 'p2pcf'],
    start: startOurs,
    maxRounds: 12,
    settleMs,
  },
  { id: 'p2pcf-joins-ours', name: 'p2pcf joins P2PCF-WS', pages: ['p2pcf', 'ours'], start: startOurs, maxRounds: 12 },
  {
    id: 'simple-peer',
    name: 'simple-peer 9.11.1 + socket.io 4.8.4',
    pages: ['simple-peer', 'simple-peer'],
    start: startSocketIo,
  },
  { id: 'y-webrtc', name: 'y-webrtc 10.3.0', pages: ['y-webrtc', 'y-webrtc'], start: startYWebrtc },
  { id: 'peerjs', name: 'peerjs 1.5.5 + peer 1.0.2', pages: ['peerjs', 'peerjs'], start: startPeerJs },
  { id: 'bare', name: 'no library, bare', pages: ['bare', 'bare'], start: startBareRelay },
  { id: 'overlap', name: 'no library, overlapped', pages: ['overlap', 'overlap'], start: startBareRelay },
  { id: 'ours', name: 'P2PCF-WS', pages: ['ours', 'ours'], start: startOurs },
  {
    id: 'p2pcf-media',
    name: 'p2pcf 1.3.14, a camera shown',
    pages: ['p2pcf-media', 'p2pcf-media'],
    start: startP2pcf,
    baseline: 'bare-media',
    maxRounds: 3,
  },
  {
    id: 'bare-media',
    name: 'no library, bare, a camera shown',
    pages: ['bare-media', 'bare-media'],
    start: startBareRelay,
    baseline: 'bare-media',
  },
  {
    id: 'ours-media',
    name: 'P2PCF-WS, a camera shown',
    pages: ['ours-media', 'ours-media'],
    start: startOurs,
    baseline: 'bare-media',
  },
  { id: 'sealed', name: 'P2PCF-WS with a key', pages: ['sealed', 'sealed'], start: startOurs },
  {
    id: 'turn',
    name: 'P2PCF-WS with a TURN server, not needed',
    pages: ['turn', 'turn'],
    start: startOursWithTurn,
  },
];

/** What the others are compared with. */
const BASELINE = 'bare';

/** Added to every signaling message, each way. */
const DELAY_MS = 40;

/**
 * The room has so long to itself, and longer until it has told its server nothing for as long: then it is ready for the
 * joiner, and what it prepared is not measured.
 */
const SETTLE_MS = 500;

/** After the connection: what is sent to the server by then is counted, too. */
const AFTERMATH_MS = 1_000;

/** From the first resident's joining to the end of the aftermath. */
const WITHIN_MS = 60_000;

/** The browser's first connections are slower. */
const WARM_UP_ROUNDS = 1;

/** How far away the server is: the delay of each message, and of the upgrade, each way in ms. */
const DISTANCES = [
  { name: 'loopback', delayMs: 0, upgradeMs: 0 },
  { name: `+${DELAY_MS} ms each way`, delayMs: DELAY_MS, upgradeMs: 0 },
  { name: 'on the upgrade, too', delayMs: DELAY_MS, upgradeMs: DELAY_MS },
];

/** One stack at one distance, and what came of it. */
interface Track {
  stack: Stack;
  distance: string;
  serverUrl: string;
  connections: Connection[];
}

interface Connection {
  ms: number;
  /** How many messages all of them sent to the server from the joiner's start on. */
  messages: number;
  timeline: string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '20' },
    residents: { type: 'string', default: '1' },
    timeline: { type: 'boolean', default: false },
    trials: { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds);
/** How many are in the room already, each connected to all others. */
const residents = Number(values.residents);
const stacks = positionals.length === 0 ? STACKS : STACKS.filter(({ id }) => positionals.includes(id));

const started: { stop(): Promise<void> }[] = [];
try {
  const tracks = await measure();
  console.log(table(tracks));
  if (values.timeline) for (const track of tracks) console.log(timeline(track));
} finally {
  for (const each of started.reverse()) await each.stop();
}

async function measure(): Promise<Track[]> {
  const pages = await willStop(servePages([...new Set(stacks.flatMap(({ pages }) => pages))]));
  const tracks: Track[] = [];
  for (const stack of stacks) {
    const near = await willStop(stack.start(pages.url));
    for (const { name, delayMs, upgradeMs } of DISTANCES) {
      const server = delayMs === 0 ? near : await willStop(startDelay(near.url, delayMs, upgradeMs));
      tracks.push({ stack, distance: name, serverUrl: server.url, connections: [] });
    }
  }
  const browser = await startBrowser(values.trials);
  started.push({ stop: () => browser.close() });
  const initScript = values.timeline ? ((await bundle(['trace.ts'])).get('trace') ?? '') : '';
  let first = await openPage(browser, initScript);
  const second = await openPage(browser, initScript);

  for (let round = 1 - WARM_UP_ROUNDS; round <= rounds; round++) {
    // There and back: none always runs after the same other.
    for (const { stack, serverUrl, connections } of round % 2 === 0 ? tracks : tracks.toReversed()) {
      if (round > (stack.maxRounds ?? rounds)) continue;
      if (residents > 1) {
        // A process has 500 connections at most, those of pages it has left among them until their memory is freed.
        await first.context().close();
        first = await openPage(browser, initScript);
      }
      const [joiner, resident] = stack.pages;
      await Promise.all([first.goto(`${pages.url}/${resident}`), second.goto(`${pages.url}/${joiner}`)]);
      const timeout = sleep(WITHIN_MS, undefined, { ref: false });
      const connection = await Promise.race([connect(first, second, serverUrl, stack.settleMs?.()), timeout]);
      if (!connection) {
        const cause = [await first.pageErrors(), await second.pageErrors()];
        throw new Error(`${stack.name}: not connected within ${WITHIN_MS} ms`, { cause });
      }
      if (round > 0) connections.push(connection);
    }
    if (process.stderr.isTTY) process.stderr.write(`\rround ${round} of ${rounds} `);
  }
  return tracks;
}

async function willStop<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const it = await starting;
  started.push(it);
  return it;
}

/** All residents share the first page. */
async function connect(first: Page, second: Page, server: string, settleMs?: number): Promise<Connection> {
  const room = randomUUID();
  const residentId = `${room}-resident`;
  for (let n = 1; n <= residents; n++) {
    await join(first, { server, room, clientId: n === 1 ? residentId : `${residentId}-${n}` });
    if (n > 1) await connected(first, n * (n - 1));
  }
  await sleep(settleMs ?? SETTLE_MS);
  if (settleMs === undefined) {
    await first.waitForFunction(
      (settleMs) => performance.timeOrigin + performance.now() - (peer.sentAt.at(-1) ?? 0) > settleMs,
      SETTLE_MS,
      { polling: 100 },
    );
  }
  const [startedAt, ...connectedAt] = await Promise.all([
    join(second, { server, room, clientId: `${room}-joiner`, residentId }),
    connected(first, residents * residents),
    connected(second, residents),
  ]);
  await sleep(AFTERMATH_MS);
  const sentAt = [first, second].map((page) => page.evaluate(() => peer.sentAt));
  return {
    ms: Math.max(...connectedAt) - startedAt,
    messages: (await Promise.all(sentAt)).flat().filter((at) => at >= startedAt).length,
    timeline: values.timeline ? await timelineOf(first, second, startedAt) : [],
  };
}

/** Returns when it began to. */
function join(page: Page, place: Place): Promise<number> {
  return page.evaluate((place) => peer.join(place), place);
}

function connected(page: Page, nth: number): Promise<number> {
  return page.evaluate((nth) => peer.connected(nth), nth);
}

/** What both pages did, one line each, from a little before `startedAt` on. */
async function timelineOf(first: Page, second: Page, startedAt: number): Promise<string[]> {
  const [ofFirst, ofSecond] = await Promise.all([first.evaluate(() => trace), second.evaluate(() => trace)]);
  const lines = [
    ...ofFirst.map(({ at, what }) => ({ ms: at - startedAt, line: `first   ${what}` })),
    ...ofSecond.map(({ at, what }) => ({ ms: at - startedAt, line: `                second  ${what}` })),
  ];
  return lines
    .filter(({ ms }) => ms >= -SETTLE_MS)
    .sort((a, b) => a.ms - b.ms)
    .map(({ ms, line }) => `${ms.toFixed(1).padStart(7)}  ${line}`);
}

/** As Markdown. */
function table(tracks: Track[]): string {
  const headings = [
    'stack',
    ...DISTANCES.flatMap(({ name }) => [`${name}, ms`, 'to bare']),
    'messages to the server',
    'rounds',
  ];
  const rows = stacks.map((stack) => {
    const ours = connectionsOf(tracks, stack.id);
    const bare = connectionsOf(tracks, stack.baseline ?? BASELINE);
    const messages = new Set(ours.map((connections) => median(connections.map(({ messages }) => messages))));
    return [
      stack.name,
      ...ours.flatMap((connections, n) => [spread(connections), ratio(connections, bare[n] ?? [])]),
      [...messages].join(', '),
      ours[0]?.length ?? 0,
    ];
  });
  return [headings, ['---', ...headings.slice(1).map(() => '---:')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** At each distance, in the order of DISTANCES. */
function connectionsOf(tracks: Track[], id: string): Connection[][] {
  return tracks.filter(({ stack }) => stack.id === id).map(({ connections }) => connections);
}

function spread(connections: Connection[]): string {
  const ms = connections.map(({ ms }) => ms);
  return `${median(ms).toFixed(0)} (${Math.min(...ms).toFixed(0)}-${Math.max(...ms).toFixed(0)})`;
}

function ratio(connections: Connection[], baseline: Connection[]): string {
  if (baseline.length === 0) return '';
  return (median(connections.map(({ ms }) => ms)) / median(baseline.map(({ ms }) => ms))).toFixed(2);
}

/** The median connection's. */
function timeline({ stack, distance, connections }: Track): string {
  const byDuration = connections.toSorted((a, b) => a.ms - b.ms);
  const lines = byDuration[byDuration.length >> 1]?.timeline ?? [];
  return [`\n${stack.name}, ${distance}`, ...lines].join('\n');
}
