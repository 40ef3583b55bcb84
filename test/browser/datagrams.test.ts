/** Data that may be lost: what arrives, what is refused, what is dropped, and that none of it is kept waiting. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { connected, enter, inPage, until } from '../support/room-page.ts';
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
let alice: Page;
let bob: Page;
beforeEach(async () => {
  [alice, bob] = await Promise.all([newPage(pages.url), newPage(pages.url)]);
});

/** Two pages meet. Datagrams are in the `log` of whoever gets them, as `datagram <length> <first byte>`. */
async function meet(options: object = {}): Promise<void> {
  const listen = (): void => {
    window.room.on('datagram', (_peer, data) => {
      window.log.push(`datagram ${data.byteLength} ${new Uint8Array(data)[0]}`);
    });
  };
  const room = newRoom();
  await enter(alice, server.url, room, 'Alice', options, listen);
  await enter(bob, server.url, room, 'Bobby', options, listen);
  for (const page of [alice, bob]) await connected(page, 1);
}

const datagrams = (): string[] => window.log.filter((entry) => entry.startsWith('datagram'));

describe.each([true, false])('offers ahead: %s', (offersAhead) => {
  test('datagrams of every size and kind go both ways, and bring no negotiation', async () => {
    await meet({ offersAhead });
    const send = (): void => {
      const [peer] = window.room.peers.values();
      if (!peer) throw new Error('no peer');
      window.room.sendUnreliable(peer, new Uint8Array([1]));
      window.room.sendUnreliable(peer, new Uint8Array(1100).fill(2).buffer);
      window.room.broadcastUnreliable(new DataView(new Uint8Array([9, 3, 9]).buffer, 1, 1));
      window.room.broadcastUnreliable('\u0004');
      window.room.broadcastUnreliable('');
    };
    const all = ['datagram 0 undefined', 'datagram 1 1', 'datagram 1 3', 'datagram 1 4', 'datagram 1100 2'];
    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      await inPage(from, send);
      await expect.poll(async () => Object(await inPage(to, datagrams)).sort()).toEqual(all);
    }
    const facts = (): unknown => {
      const [peer] = window.room.peers.values();
      return [window.got, peer?.datagramsDropped, peer?._pc.currentLocalDescription?.sdp.match(/^m=/gm)?.length];
    };
    for (const page of [alice, bob]) expect(await inPage(page, facts)).toEqual([[], 0, 1]);
  });
});

test('what cannot be a datagram is refused at once', async () => {
  await meet();
  const errors = (): unknown =>
    [new Uint8Array(1101), 'ö'.repeat(551), { a: 1 }, 7, undefined, new Blob(['x'])].map((data) => {
      try {
        Reflect.apply(window.room.broadcastUnreliable, window.room, [data]);
        return 'sent';
      } catch (error) {
        return String(error);
      }
    });
  expect(await inPage(alice, errors)).toEqual([
    'RangeError: The datagram has 1101 bytes; 1100 is the most. Use send.',
    'RangeError: The datagram has 1102 bytes; 1100 is the most. Use send.',
    ...['Object', 'Number', 'Undefined', 'Blob'].map(
      (kind) =>
        `TypeError: ${kind} cannot be sent: pass a string (JSON.stringify makes one), ArrayBuffer or view of one.`,
    ),
  ]);
});

test('more than the network takes: the oldest are dropped and counted, the newest arrives, and little is held', async () => {
  await meet();
  const flood = (): unknown => {
    const [peer] = window.room.peers.values();
    if (!peer) throw new Error('no peer');
    for (let n = 0; n < 1000; n++) peer.sendUnreliable(new Uint8Array(1100).fill(n % 250));
    peer.sendUnreliable(new Uint8Array([255]));
    return peer.datagramsDropped;
  };
  const dropped = Number(await inPage(alice, flood));
  expect(dropped).toBeGreaterThan(900); // some 15 are with the browser, 32 wait
  await until(bob, true, () => window.log.includes('datagram 1 255'));
  expect(Object(await inPage(bob, datagrams)).length).toBeLessThanOrEqual(1001 - dropped);
});

test('a peer that is not connected gets none, and none is kept for it', async () => {
  await meet();
  const sent = (): unknown => {
    const [peer] = window.room.peers.values();
    peer?.destroy();
    peer?.sendUnreliable('late');
    return peer?.datagramsDropped;
  };
  expect(await inPage(alice, sent)).toBe(1);
});

test('what is no datagram of ours is dropped: longer ones', async () => {
  await meet();
  const cheat = (): void => {
    RTCDataChannel.prototype.send = new Proxy(RTCDataChannel.prototype.send, {
      apply(send, channel, args) {
        if (Object(channel).id === 254) Reflect.apply(send, channel, ['x'.repeat(20_000)]);
        Reflect.apply(send, channel, args);
      },
    });
    window.room.broadcastUnreliable(new Uint8Array([1]));
  };
  await inPage(alice, cheat);
  await until(bob, ['datagram 1 1'], datagrams);
});
