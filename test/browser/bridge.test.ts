/**
 * Rooms where some have this library, some P2PCF's own client, unmodified as npm has it, and some neither. Polling takes
 * its time, so everything here goes on at once.
 */
import { createHash } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startWorkerd } from '../../scripts/server.ts';
import { launchChromium, openPage, type PageServer, servePage } from './chromium.ts';

const LIBRARIES = `import ours from './src/client/index.ts'; import p2pcf from 'p2pcf';
  globalThis.clients = { ours, p2pcf };`;

/** Twice the slowest that was seen where the machine had nothing else to do. */
const WITHIN = { timeout: 60_000 };

let server: Server;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([startWorkerd(), servePage(LIBRARIES), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop(), browser.close()]);
});

type Kind = 'ours' | 'p2pcf';

/** A page whose client has joined. */
async function join(kind: Kind, room: string, name: string, within = browser): Promise<Page & { errors: string[] }> {
  const page = await openPage(within, pages.url);
  await enter(page, kind, room, name);
  return page;
}

/** Its events are in `log`, its messages in `got`. */
async function enter(page: Page, kind: Kind, room: string, name: string): Promise<void> {
  await page.evaluate(
    async ([kind, room, name, workerUrl]) => {
      window.log = [];
      window.got = [];
      const client = new clients[kind](name, room, { workerUrl, stunIceServers: [], turnIceServers: [] });
      window.client = client;
      client.on('peerconnect', ({ client_id }) => window.log.push(`connect ${client_id}`));
      client.on('peerclose', ({ client_id }) => window.log.push(`close ${client_id}`));
      client.on('msg', async ({ client_id }, data) => {
        const isKnown = window.log.includes(`connect ${client_id}`);
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
        const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
        window.got.push({ from: isKnown ? client_id : 'too early', length: data.byteLength, sum, text: '' });
      });
      await client.start();
    },
    [kind, room, name, server.url] as const,
  );
}

/** Waits until this is the page's log, in any order, which is then empty. */
async function logged(page: Page, ...entries: string[]): Promise<void> {
  const expected = JSON.stringify(entries.sort());
  await page.waitForFunction((expected) => JSON.stringify([...window.log].sort()) === expected, expected, WITHIN);
  await page.evaluate(() => {
    window.log = [];
  });
}

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251);

/** Sends messages of these lengths, and checks what the others get. */
async function exchange(from: Page, to: Page[], lengths: number[]): Promise<void> {
  for (const page of to) {
    await page.evaluate(() => {
      window.got = [];
    });
  }
  for (const length of lengths) {
    await from.evaluate((length) => {
      void window.client.broadcast(Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251).buffer);
    }, length);
  }
  for (const page of to) {
    await page.waitForFunction((count) => window.got.length === count, lengths.length, WITHIN);
    const got = await page.evaluate(() => window.got.map(({ length, sum }) => ({ length, sum })));
    expect(got.sort((a, b) => a.length - b.length)).toEqual(
      lengths.map((length) => ({ length, sum: createHash('sha256').update(bytesOf(length)).digest('hex') })),
    );
  }
}

/** One page shows the others its microphone or camera: they play what they get. */
async function show(from: Page, to: Page[], constraints: { audio?: true; video?: true }): Promise<void> {
  const kinds = Object.keys(constraints);
  await from.evaluate(async (constraints) => {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    for (const peer of window.client.peers?.values() ?? []) peer.addStream(stream);
  }, constraints);
  for (const page of to) {
    await page.waitForFunction(
      async (kinds) => {
        const reports = await Promise.all(Array.from(window.client.peers?.values() ?? [], ({ _pc }) => _pc.getStats()));
        const received = reports.flatMap((report) => [...report.values()]).filter(({ type }) => type === 'inbound-rtp');
        return kinds.every((kind) =>
          received.some((each) => each.kind === kind && (kind === 'audio' ? each.packetsReceived : each.framesDecoded) > 5),
        );
      },
      kinds,
      WITHIN,
    );
  }
}

describe.concurrent('one of ours and one of P2PCF’s', () => {
  const lengths = [2, 3, 11, 12, 1000, 15_999, 16_000, 16_001, 1_000_000]; // p2pcf cannot send fewer than two bytes

  test('ours comes second', { timeout: 120_000 }, async ({ expect }) => {
    const old = await join('p2pcf', 'second', 'old name');
    const ours = await join('ours', 'second', 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await exchange(old, [ours], lengths);
    await exchange(ours, [old], [0, 1, ...lengths]);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('ours comes first', { timeout: 120_000 }, async ({ expect }) => {
    const ours = await join('ours', 'first', 'our name');
    const old = await join('p2pcf', 'first', 'old name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await exchange(ours, [old], [0, 1, ...lengths]);
    await exchange(old, [ours], lengths);
    await show(ours, [old], { audio: true });
    await show(old, [ours], { audio: true, video: true });
    await show(ours, [old], { video: true });
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });
});
