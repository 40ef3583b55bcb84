/** Pages in a browser of 2022, with each other and with new ones; test/package/floor.test.ts reads the code. */
import { readFile } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { P2PCF } from '../../src/client/index.ts';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { HAS_OLDEST_CHROMIUM, launchOldestChromium } from '../support/oldest-chromium.ts';
import { connected, enter, heard, inPage, say, until, watch } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let pages: PageServer;
let browsers: Record<'old' | 'new', Browser>;
beforeAll(async () => {
  if (!HAS_OLDEST_CHROMIUM) return;
  const [oldest, newest] = await Promise.all([launchOldestChromium(), launchChromium()]);
  browsers = { old: oldest, new: newest };
  [server, pages] = await Promise.all([startWorkerd(), servePage()]);
});
afterAll(async () => {
  await Promise.all([browsers?.old.close(), browsers?.new.close(), server?.stop(), pages?.stop()]);
});

const showCamera = async (): Promise<void> => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  for (const peer of window.room.peers.values()) peer.addStream(stream);
};

const theirUfrag = (): string | undefined => {
  const [peer] = window.room.peers.values();
  return /a=ice-ufrag:(\S+)/.exec(peer?._pc.currentRemoteDescription?.sdp ?? '')?.[1];
};

test.skipIf(!HAS_OLDEST_CHROMIUM)('the oldest Chromium is the one that README.md names', async () => {
  expect(browsers.old.version()).toMatch(/^103\./);
  expect(await readFile('README.md', 'utf8')).toMatch(/Chromium \d+ and 103/);
});

test.skipIf(!HAS_OLDEST_CHROMIUM).for<['old' | 'new', 'old' | 'new']>([
  ['old', 'old'],
  ['old', 'new'],
  ['new', 'old'],
])('%s, joined by %s, in a private room: messages, datagrams, cameras, a restart of ICE', async ([first, second]) => {
  const room = newRoom();
  const options = { key: P2PCF.newKey(), hideRoom: true };
  const listen = (): void => {
    window.room.on('datagram', (_peer, data) => window.log.push(`datagram ${data.byteLength}`));
  };
  const alice = await openPage(browsers[first], pages.url);
  const bob = await openPage(browsers[second], pages.url);
  await enter(alice, server.url, room, 'Alice', options, listen);
  await enter(bob, server.url, room, 'Bobby', options);
  for (const page of [alice, bob]) await connected(page, 1);
  await inPage(alice, () => window.room.broadcast(new Uint8Array(200_000)));
  await until(bob, 200_000, () => window.got[0]?.length);
  await inPage(bob, () => window.room.broadcastUnreliable(new Uint8Array(1_100)));
  await until(alice, true, () => window.log.includes('datagram 1100'));
  const seen = await Promise.all([alice, bob].map(watch));
  for (const page of [alice, bob]) await inPage(page, showCamera);
  for (const frames of seen) expect(await frames()).toEqual(['audio', 'video']);
  const before = await inPage(alice, theirUfrag);
  await inPage(bob, () => window.dispatchEvent(new Event('online')));
  await expect.poll(() => inPage(alice, theirUfrag), WAIT).not.toBe(before);
  await say(alice, 'still here');
  await heard(bob, 'still here');
  for (const page of [alice, bob]) {
    expect(page.errors).toEqual([]);
    await page.context().close();
  }
});
