/** Pages whose connection ends while both stay in the room: they meet again, and not in a storm. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { freePort } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { connected, enter, heard, inPage, say, until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';

let server: Server;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([startWorkerd(), servePage(), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([browser.close(), pages.stop(), server.stop()]);
});

const newPage = pagesOfEachTest(() => browser);
let room = '';
let alice: Page;
let bob: Page;
beforeEach(async () => {
  room = newRoom();
  [alice, bob] = await Promise.all([newPage(pages.url), newPage(pages.url)]);
});

async function meet(): Promise<void> {
  await enter(alice, server.url, room, 'Alice');
  await enter(bob, server.url, room, 'Bobby');
  for (const page of [alice, bob]) await connected(page, 1);
}

const connects = (page: Page, count: number): Promise<void> =>
  until(page, count, () => window.log.filter((event) => event.startsWith('connect')).length);

describe.each<[string, () => void]>([
  ['the app destroys the peer', () => [...window.room.peers.values()][0]?.destroy()],
  ['its channel closes', () => [...window.room.peers.values()][0]?._channel?.close()],
  ['its connection closes', () => [...window.room.peers.values()][0]?._pc.close()],
])('%s', (_name, end) => {
  test.each([true, false])('on the side that is polite: %s', async (isPolite) => {
    await meet();
    const [a, b] = [await inPage(alice, () => window.room.sessionId), await inPage(bob, () => window.room.sessionId)];
    await inPage(String(a) < String(b) === isPolite ? alice : bob, end);
    for (const page of [alice, bob]) await connects(page, 2);
    await say(alice, 'here again');
    await heard(bob, 'here again');
    await say(bob, 'so am I');
    await heard(alice, 'so am I');
  });
});

test('an app that destroys each peer as it connects causes no storm', async () => {
  await inPage(alice, () => Object.assign(window, { began: performance.now() }) && undefined);
  await enter(alice, server.url, room, 'Alice', {}, () => {
    window.room.on('peerconnect', (peer) => peer.destroy());
  });
  await enter(bob, server.url, room, 'Bobby');
  await connects(alice, 4);
  // A pause of a second or more before each but the first.
  expect(Number(await inPage(alice, () => performance.now() - Reflect.get(window, 'began')))).toBeGreaterThan(3_000);
});

test('who leaves is not met again', async () => {
  await meet();
  await inPage(bob, () => window.room.destroy());
  await until(alice, ['connect Bobby', 'close Bobby'], () => window.log);
  await enter(bob, server.url, room, 'Bobby');
  await until(alice, ['connect Bobby', 'close Bobby', 'connect Bobby'], () => window.log);
});

test('what cannot be sent is a TypeError at once, and a Blob arrives in its turn', async () => {
  await meet();
  const thrown = await alice.evaluate(() => {
    const [peer] = window.room.peers.values();
    if (!peer) throw new Error('no peer');
    const outcomes: string[] = [];
    for (const data of [{ a: 1 }, 7, null, undefined, [1], new Map()]) {
      for (const send of [
        () => Reflect.apply(window.room.broadcast, window.room, [data]),
        () => Reflect.apply(window.room.send, window.room, [peer, data]),
        () => Reflect.apply(peer.send, peer, [data]),
      ]) {
        try {
          send();
          outcomes.push('sent');
        } catch (error) {
          outcomes.push(`${error instanceof TypeError} ${String(error)}`);
        }
      }
    }
    return outcomes;
  });
  expect(thrown).toHaveLength(18);
  for (const outcome of thrown) expect(outcome).toMatch(/^true TypeError: \w+ cannot be sent: pass a string/);
  await inPage(alice, () => {
    const [peer] = window.room.peers.values();
    void window.room.broadcast(new Blob(['one ', 'blob']));
    void window.room.broadcast('two');
    if (peer) void window.room.send(peer, new Blob(['three']));
    void peer?.send(new Blob([new Uint8Array(100_000)]));
  });
  await until(bob, [8, 3, 5, 100_000], () => window.got.map(({ length }) => length));
});

test('a Blob of another frame arrives, also where that is gone by the time it is read, and so does what follows', async () => {
  await meet();
  await inPage(alice, () => {
    const dialog = document.createElement('iframe');
    document.body.append(dialog);
    const blob: Blob = Reflect.construct(Reflect.get(Object(dialog.contentWindow), 'Blob'), [['of a dialog']]);
    void window.room.broadcast(blob);
    dialog.remove();
    void window.room.broadcast('and on');
  });
  await until(bob, [11, 6], () => window.got.map(({ length }) => length));
});

describe('a page that is hidden and shown again while start() is pending', () => {
  test.each([0, 1, 30])('after %i ms is in, and start() resolves', async (afterMs) => {
    await inPage(
      alice,
      async (workerUrl, room, afterMs) => {
        window.room = new P2PCF('Alice', room, { workerUrl, stunIceServers: [] });
        const started = window.room.start();
        if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
        for (const type of ['pagehide', 'pageshow'])
          window.dispatchEvent(new PageTransitionEvent(type, { persisted: true }));
        await started;
      },
      server.url,
      room,
      afterMs,
    );
    await until(alice, 'open', () => window.room.state);
  });

  test('and left: start() is aborted', async () => {
    const name = await inPage(
      alice,
      async (workerUrl, room) => {
        window.room = new P2PCF('Alice', room, { workerUrl, stunIceServers: [] });
        const started = window.room.start();
        window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
        window.room.destroy();
        return await started.then(String, (error: Error) => error.name);
      },
      server.url,
      room,
    );
    expect(name).toBe('AbortError');
  });
});

test('where ICE fails the reason names what was missing', async () => {
  const dead = `turn:127.0.0.1:${await freePort()}?transport=tcp`;
  const iceServers = [{ urls: dead, username: 'me', credential: 'secret' }];
  const options = { rtcPeerConnectionOptions: { iceServers, iceTransportPolicy: 'relay' } };
  await alice.clock.install();
  await enter(alice, server.url, room, 'Alice', options, () => {
    window.room.on('peerstate', (_peer, state, reason) => state === 'failed' && window.log.push(String(reason)));
  });
  await enter(bob, server.url, room, 'Bobby', options);
  await until(alice, true, () => [...window.room.peers.values()][0]?._pc.remoteDescription !== null);
  await until(alice, 'complete', () => [...window.room.peers.values()][0]?._pc.iceGatheringState);
  await alice.clock.runFor(20_000);
  const [reason] = await alice.evaluate(() => window.log);
  expect(reason).toContain(`${dead} answered 701`);
  expect(reason).toContain('no candidates of ours');
});
