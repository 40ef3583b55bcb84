/**
 * A long meeting: four pages with cameras, screens that are shared and stopped, mutes, and the network lost every few
 * minutes. `MINUTES=120 npm run test:soak meeting`; what each minute measured goes to the file that SOAK_LOG names, as
 * JSON lines.
 */
import { appendFile } from 'node:fs/promises';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faults.ts';
import { connected, enter, heard, inPage, say } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const MINUTES = Number(process.env['MINUTES'] ?? 120);
const NAMES = ['Alice', 'Bobby', 'Carol', 'Dorothy'];
const STEP_MS = 5_000;
/** Beyond this much above what the first tenth of the meeting had it is no longer flat. */
const GROWTH = 1.3;

interface Sample {
  minute: number;
  /** Of all pages, after their garbage was collected. */
  heapBytes: number;
  /** The longest local description of any connection. */
  sdpBytes: number;
  /** The most transceivers of any connection. */
  transceivers: number;
  /** Of all pages. */
  listeners: number;
  /** Peers that have closed so far, on all pages. */
  closed: number;
}

let server: Server;
let proxy: FaultyProxy;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([startWorkerd(), servePage(), launchChromium()]);
  proxy = await startFaultyProxy(server.url);
});
afterAll(async () => {
  await browser.close();
  await Promise.all([proxy.stop(), pages.stop()]);
  await server.stop();
});

interface Meeting {
  /** A small moving picture. */
  picture(): MediaStream;
  camera: MediaStream;
  screen: MediaStream | undefined;
  isMuted: boolean;
  /** Peers that have closed, though everybody stays: each was met again. */
  closed: number;
}

/** Makes `window.meeting`, and shows the camera to whoever is met. */
function prepare(): void {
  const meeting: Meeting = {
    picture() {
      const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
      const context = canvas.getContext('2d');
      const stream = canvas.captureStream(2);
      const [track] = stream.getTracks();
      const draw = setInterval(() => {
        if (track?.readyState === 'ended') clearInterval(draw);
        context?.fillRect(Math.random() * 64, 0, 2, 48);
      }, 500);
      return stream;
    },
    camera: new MediaStream(),
    screen: undefined,
    isMuted: false,
    closed: 0,
  };
  meeting.camera = meeting.picture();
  Object.assign(window, { meeting });
  window.room.on('peerconnect', (peer) => {
    for (const stream of [meeting.camera, meeting.screen]) if (stream) peer.addStream(stream);
    const [track = null] = meeting.camera.getTracks();
    if (meeting.isMuted) void peer.replaceTrack(track, null);
  });
  window.room.on('peerclose', () => meeting.closed++);
}

/** Shares the screen, or stops it. */
function share(): void {
  const meeting: Meeting = Object(window).meeting;
  const { screen } = meeting;
  meeting.screen = screen ? undefined : meeting.picture();
  for (const peer of window.room.peers.values()) {
    if (screen) peer.removeStream(screen);
    if (meeting.screen) peer.addStream(meeting.screen);
  }
  for (const track of screen?.getTracks() ?? []) track.stop();
}

/** Turns the camera off, or on. */
async function mute(): Promise<void> {
  const meeting: Meeting = Object(window).meeting;
  const [track = null] = meeting.camera.getTracks();
  meeting.isMuted = !meeting.isMuted;
  const [before, after] = meeting.isMuted ? [track, null] : [null, track];
  for (const peer of window.room.peers.values()) await peer.replaceTrack(before, after);
}

async function measure(minute: number, all: readonly [Page, CDPSession][]): Promise<Sample> {
  const sample: Sample = { minute, heapBytes: 0, sdpBytes: 0, transceivers: 0, listeners: 0, closed: 0 };
  for (const [page, session] of all) {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    const { jsEventListeners } = await session.send('Memory.getDOMCounters');
    const [sdpBytes = 0, transceivers = 0, closed = 0] = await page.evaluate(() => {
      const connections = [...window.room.peers.values()].map(({ _pc }) => _pc);
      return [
        Math.max(...connections.map(({ localDescription }) => localDescription?.sdp.length ?? 0)),
        Math.max(...connections.map((pc) => pc.getTransceivers().length)),
        Number(Object(window).meeting.closed),
      ];
    });
    sample.heapBytes += usedSize;
    sample.listeners += jsEventListeners;
    sample.closed += closed;
    sample.sdpBytes = Math.max(sample.sdpBytes, sdpBytes);
    sample.transceivers = Math.max(sample.transceivers, transceivers);
  }
  return sample;
}

const FAULTS = ['drop', 'reset', 'halfOpen'] as const;

test(
  'a long meeting stays small, and at its end all see all',
  async () => {
    const all: [Page, CDPSession][] = [];
    for (const name of NAMES) {
      const page = await openPage(browser, pages.url);
      all.push([page, await page.context().newCDPSession(page)]);
      await enter(page, proxy.url, 'meeting', name, {}, prepare);
    }
    const everybody = all.map(([page]) => page);
    const meet = (): Promise<unknown> => Promise.all(everybody.map((page) => connected(page, NAMES.length - 1)));
    await meet();
    const samples: Sample[] = [];
    const steps = (MINUTES * 60_000) / STEP_MS;
    for (let step = 0; step < steps; step++) {
      const page = everybody[step % everybody.length];
      if (!page) throw new Error('nobody is here');
      await inPage(page, step % 3 === 0 ? mute : share);
      // Every three minutes: the connections to the server end, or fall silent, and the pages are told of a new
      // network.
      if (step % 36 === 35) {
        proxy[FAULTS[Math.floor(step / 36) % FAULTS.length] ?? 'drop']();
        for (const page of everybody) await inPage(page, () => window.dispatchEvent(new Event('online')));
      }
      await new Promise((resolve) => setTimeout(resolve, STEP_MS)); // the pace of the meeting; nothing depends on it
      if (step % 12 !== 11) continue;
      await meet();
      const sample = await measure((step + 1) / 12, all);
      samples.push(sample);
      if (process.env['SOAK_LOG']) await appendFile(process.env['SOAK_LOG'], `${JSON.stringify(sample)}\n`);
    }
    await meet();
    for (const page of everybody) await say(page, `the end, from ${everybody.indexOf(page)}`);
    for (const page of everybody)
      for (const other of everybody) if (other !== page) await heard(page, `the end, from ${everybody.indexOf(other)}`);
    const tenth = Math.ceil(samples.length / 10);
    for (const field of ['heapBytes', 'sdpBytes', 'transceivers', 'listeners'] as const) {
      const most = (some: Sample[]): number => Math.max(...some.map((sample) => sample[field]));
      expect(most(samples.slice(-tenth)), field).toBeLessThan(most(samples.slice(0, tenth)) * GROWTH);
    }
  },
  2 * MINUTES * 60_000 + 300_000,
);
