/** The library in real Chromium, against a real server. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { connected, enter, heard, inPage, say, until, watch } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { sha256 } from '../support/sha256.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let pages: PageServer;
beforeAll(async () => {
  [server, pages] = await Promise.all([startWorkerd(), servePage()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop()]);
});

describe.each([
  ['Chromium as it is', []],
  ['Chromium that refuses edited ICE credentials', ['--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/']],
])('%s', (_name, flags) => {
  let browser: Browser;
  const newPage = pagesOfEachTest(() => browser);
  beforeAll(async () => {
    browser = await launchChromium(flags, { isWhole: true });
  });
  afterAll(() => browser.close());
  /** A page that has joined. */
  async function join(room: string, name = 'MyUsername', options: object = {}): Promise<Page> {
    const page = await newPage(pages.url);
    await enter(page, server.url, room, name, options);
    return page;
  }

  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('two pages of one name meet and talk, offers ahead: %s, of the joiner: %s', async (...offersAhead) => {
    const [ofResident, ofJoiner] = offersAhead;
    const room = newRoom();
    const alice = await join(room, 'MyUsername', { offersAhead: ofResident, metadata: { color: 'red' } });
    const bob = await join(room, 'MyUsername', { offersAhead: ofJoiner, metadata: ['ö'] });
    for (const page of [alice, bob]) await connected(page, 1);
    await say(alice, 'from Alice');
    await say(bob, 'from Bob');
    await heard(alice, 'from Bob');
    await heard(bob, 'from Alice');
    const seen = (page: Page): Promise<unknown> =>
      page.evaluate(() => [...window.room.peers.values()].map(({ client_id, metadata }) => [client_id, metadata]));
    expect(await seen(alice)).toEqual([['MyUsername', ['ö']]]);
    expect(await seen(bob)).toEqual([['MyUsername', { color: 'red' }]]);
    expect(await alice.evaluate(() => window.log)).toEqual(['connect MyUsername']);
  });

  test('five pages that come at once all meet', async () => {
    const room = newRoom();
    const fresh = await Promise.all(Array.from({ length: 5 }, () => newPage(pages.url)));
    await Promise.all(fresh.map((page, n) => enter(page, server.url, room, `peer ${n}`)));
    for (const page of fresh) await connected(page, 4);
    await Promise.all(fresh.map((page, n) => say(page, `hello from ${n}`)));
    for (const [n, page] of fresh.entries()) {
      for (let other = 0; other < 5; other++) if (other !== n) await heard(page, `hello from ${other}`);
    }
  });

  test('0 bytes to 50 MB arrive intact, both ways at once', async () => {
    const room = newRoom();
    const both = [await join(room, 'Alice'), await join(room, 'Bobby')];
    const lengths = [0, 1, 2, 15_988, 16_000, 16_001, 65_536, 1_000_000, 50_000_000];
    for (const page of both) await connected(page, 1);
    const sent = await Promise.all(
      both.map((page) =>
        page.evaluate(async (lengths) => {
          const [peer] = window.room.peers.values();
          if (!peer) throw new Error('no peer');
          let mostBuffered = 0;
          const sums: string[] = [];
          const sending = lengths.map(async (length) => {
            const bytes = new Uint8Array(length).map((_, n) => (n * 31 + (n >> 8)) & 0xff);
            if (length > 1) bytes.set([0xb9, 0x1f]); // begins like the header of a frame
            sums.push(await globalThis.sha256(bytes));
            await window.room.send(peer, bytes, () => {
              mostBuffered = Math.max(mostBuffered, peer._channel?.bufferedAmount ?? 0);
            });
          });
          await Promise.all(sending);
          return { sums: sums.sort(), mostBuffered };
        }, lengths),
      ),
    );
    for (const [n, page] of both.entries()) {
      await page.waitForFunction((count) => window.got.length === count, lengths.length, WAIT);
      const got = await page.evaluate(() => window.got);
      expect(got.map(({ length }) => length).sort((a, b) => a - b)).toEqual(lengths);
      expect(got.map(({ sum }) => sum).sort()).toEqual(sent[1 - n]?.sums);
      expect(sent[n]?.mostBuffered).toBeLessThanOrEqual(1_048_576);
    }
  });

  test('camera and microphone, there from the start or added later, are seen', async () => {
    const room = newRoom();
    const alice = await join(room, 'Alice');
    const bob = await join(room, 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    for (const [sender, receiver] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const seen = await watch(receiver);
      await sender.evaluate(async () => {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
        for (const peer of window.room.peers.values()) peer.addStream(stream);
      });
      expect(await seen()).toEqual(['audio', 'video']);
    }
  });

  test('tracks added by both in the same instant, ten times over, end in the same place', async () => {
    const room = newRoom();
    const both = [await join(room, 'Alice'), await join(room, 'Bobby')];
    for (const page of both) await connected(page, 1);
    for (let round = 1; round <= 10; round++) {
      await Promise.all(
        both.map((page) =>
          page.evaluate(() => {
            const canvas = document.createElement('canvas');
            canvas.getContext('2d');
            const stream = canvas.captureStream();
            for (const peer of window.room.peers.values()) peer.addStream(stream);
          }),
        ),
      );
      for (const page of both) {
        await page.waitForFunction((round) => {
          const [peer] = window.room.peers.values();
          const live = peer?._pc.getTransceivers().filter(({ currentDirection }) => currentDirection !== null) ?? [];
          const receiving = live.filter(({ currentDirection }) => currentDirection?.includes('recv'));
          return peer?._pc.signalingState === 'stable' && receiving.length === round;
        }, round);
      }
    }
    await say(both[0] ?? (await newPage(pages.url)), 'still here');
    await heard(both[1] ?? (await newPage(pages.url)), 'still here');
  });

  test.each([
    ['early tracks', true, () => undefined],
    ['two first offers', false, () => window.room.on('peerjoin', (peer) => Object(peer).negotiator.initiate())],
  ])(
    'both offering from the first moment, ten times over, still meet, with media: %s',
    async (_how, offersAhead, provoke) => {
      const both = await Promise.all([newPage(pages.url), newPage(pages.url)]);
      for (let round = 0; round < 10; round++) {
        const room = newRoom();
        for (const [n, page] of both.entries()) {
          await enter(page, server.url, room, `peer ${n}`, { offersAhead }, () => {
            const stream = document.createElement('canvas').captureStream();
            window.room.on('peerjoin', (peer) => {
              peer.on('stream', () => window.log.push('stream'));
              peer.addStream(stream);
            });
          });
          if (n === 0) await page.evaluate(provoke);
        }
        for (const page of both) {
          await connected(page, 1);
          await page.waitForFunction(() => window.log.includes('stream'));
        }
        for (const page of both) await page.evaluate(() => window.room.destroy());
      }
    },
  );

  test('a frozen page stays in the room, and goes on when it thaws', async () => {
    const room = newRoom();
    const alice = await join(room, 'Alice');
    const bob = await join(room, 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    const devtools = await bob.context().newCDPSession(bob);
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
    await say(alice, 'said to a frozen page');
    const carol = await join(room, 'Carol');
    await connected(alice, 2);
    await devtools.send('Page.setWebLifecycleState', { state: 'active' });
    await heard(bob, 'said to a frozen page');
    for (const page of [bob, carol]) await connected(page, 2);
  });

  test('a page that a dialog stops for an hour is offered eight cameras a dozen times: it reads all of it at once', async () => {
    const room = newRoom();
    const alice = await newPage(pages.url);
    await alice.clock.install();
    await enter(alice, server.url, room, 'Alice');
    const bob = await join(room, 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    const shown = bob.waitForEvent('dialog');
    await inPage(bob, () => void setTimeout(() => alert('stopped')));
    const dialog = await shown;
    await inPage(alice, () => {
      const [peer] = window.room.peers.values();
      const channel = Object(peer)._channel;
      const { send } = channel;
      Object.assign(window, { sent: 0 });
      channel.send = (frame: Uint8Array<ArrayBuffer>) => {
        Object(window).sent += frame.length;
        send.call(channel, frame);
      };
      for (let n = 0; n < 8; n++) peer?.addStream(document.createElement('canvas').captureStream());
    });
    const sent = (): Promise<number> => alice.evaluate(() => Object(window).sent);
    await expect.poll(sent).toBeGreaterThan(0);
    const once = await sent();
    await alice.clock.runFor('01:00:00');
    const times = (await sent()) / once;
    expect(times).toBeGreaterThan(2);
    expect(times).toBeLessThan(20); // 240, if it were repeated every 15 s
    await dialog.accept();
  });

  test('a page in the back-forward cache is out of the room, and in it again when it returns', async () => {
    const cached = await launchChromium(flags, { isWhole: true, withoutDefaults: ['--disable-back-forward-cache'] });
    try {
      const room = newRoom();
      const alice = await join(room, 'Alice');
      const bob = await openPage(cached, pages.url);
      await enter(bob, server.url, room, 'Bobby');
      for (const page of [alice, bob]) await connected(page, 1);
      await bob.goto(`${pages.url}?elsewhere`);
      await connected(alice, 0);
      await bob.goBack({ waitUntil: 'commit' });
      for (const page of [alice, bob]) await connected(page, 1);
      expect(await bob.evaluate(() => window.log), 'the same page, not a new one').toEqual([
        'connect Alice',
        'close Alice',
        'connect Alice',
      ]);
    } finally {
      await cached.close();
    }
  });

  test('a tab that is closed, reloaded or crashed goes, and comes back as a new peer', async () => {
    const room = newRoom();
    const alice = await join(room, 'Alice');
    for (const leave of [
      (page: Page) => page.close(),
      (page: Page) => page.reload(),
      (page: Page) => page.goto('chrome://crash').catch(() => undefined),
      (page: Page) => page.evaluate(() => window.room.destroy()),
    ]) {
      const bob = await join(room, 'Bobby');
      for (const page of [alice, bob]) await connected(page, 1);
      await leave(bob);
      await connected(alice, 0);
      await alice.waitForFunction(() => window.room.peers.size === 0);
    }
    expect(await alice.evaluate(() => window.log)).toEqual(Array(4).fill(['connect Bobby', 'close Bobby']).flat());
  });

  test.each<[string, (page: Page) => Promise<unknown>]>([
    ['closed', (page) => page.close()],
    ['crashed', (page) => page.goto('chrome://crash').catch(() => undefined)],
  ])('a tab that is %s in the midst of 50 MB leaves nothing of them behind', async (_how, die) => {
    const room = newRoom();
    const alice = await join(room, 'Alice');
    // What there is of a message is held by its peer.
    await inPage(alice, () => {
      window.room.once('peerconnect', (peer) => Object.assign(window, { sender: new WeakRef(peer) }));
    });
    const bob = await join(room, 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    await inPage(bob, async () => {
      const [peer] = window.room.peers.values();
      if (!peer) throw new Error('no peer');
      await new Promise<void>((resolve) => {
        peer.send(new Uint8Array(50_000_000), (sentBytes) => {
          if (sentBytes > 5_000_000) resolve();
        });
      });
    });
    await die(bob);
    await until(alice, ['connect Bobby', 'close Bobby'], () => window.log);
    const isSenderGone = async (): Promise<unknown> => {
      await alice.requestGC();
      return await inPage(alice, () => Reflect.get(window, 'sender').deref() === undefined);
    };
    await expect.poll(isSenderGone, WAIT).toBe(true);
    const again = await join(room, 'Bobby');
    for (const page of [alice, again]) await connected(page, 1);
    await inPage(again, () => window.room.broadcast(new Uint8Array(1_000_000).fill(7)));
    const sum = await sha256(new Uint8Array(1_000_000).fill(7));
    await until(alice, [{ from: 'Bobby', length: 1_000_000, sum, text: '' }], () => window.got);
  });

  test.each<[string, change: (this: void) => void]>([
    ['the page is online again', () => window.dispatchEvent(new Event('online'))],
    [
      'the network is of another type',
      () => {
        const connection: EventTarget = Reflect.get(navigator, 'connection');
        connection.dispatchEvent(new Event('change')); // which is no change
        Object.defineProperty(connection, 'type', { value: 'cellular' });
        connection.dispatchEvent(new Event('change'));
      },
    ],
  ])('when %s, ICE restarts without a new peer, and the channel stays open', async (_what, change) => {
    const room = newRoom();
    const alice = await join(room, 'Alice');
    const bob = await join(room, 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    const ufrag = (): Promise<string | undefined> =>
      bob.evaluate(() => {
        const [peer] = window.room.peers.values();
        return /a=ice-ufrag:(\S+)/.exec(peer?._pc.remoteDescription?.sdp ?? '')?.[1];
      });
    const before = await ufrag();
    await alice.evaluate(change);
    await expect.poll(ufrag).not.toBe(before);
    await say(alice, 'after the restart');
    await heard(bob, 'after the restart');
    expect(await bob.evaluate(() => window.log)).toEqual(['connect Alice']);
  });

  test('to start a room that is open makes no connection', async () => {
    const alice = await join(newRoom(), 'Alice', { offersAhead: false });
    const made = await alice.evaluate(async () => {
      let made = 0;
      const { createOffer } = RTCPeerConnection.prototype;
      RTCPeerConnection.prototype.createOffer = function () {
        made++;
        return Reflect.apply(createOffer, this, []);
      };
      await window.room.start();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return made;
    });
    expect(made).toBe(0);
  });

  test('start and destroy, over and over, leave no connection, socket or timer', async () => {
    const page = await newPage(pages.url);
    await page.evaluate(() => {
      const counts = { connections: 0, sockets: 0, timers: 0 };
      Object.assign(window, { counts });
      const timers = new Set<number>();
      const count = (name: 'setTimeout' | 'setInterval', clear: 'clearTimeout' | 'clearInterval'): void => {
        const set = window[name].bind(window);
        const unset = window[clear].bind(window);
        Reflect.set(window, name, (work: () => void, ms: number) => {
          const id = set(() => {
            if (name === 'setTimeout') timers.delete(id);
            counts.timers = timers.size;
            work();
          }, ms);
          timers.add(id);
          counts.timers = timers.size;
          return id;
        });
        Reflect.set(window, clear, (id: number) => {
          timers.delete(id);
          counts.timers = timers.size;
          unset(id);
        });
      };
      count('setTimeout', 'clearTimeout');
      count('setInterval', 'clearInterval');
      const { close } = RTCPeerConnection.prototype;
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(configuration?: RTCConfiguration) {
          super(configuration);
          counts.connections++;
        }
        override close(): void {
          if (this.signalingState !== 'closed') counts.connections--;
          Reflect.apply(close, this, []);
        }
      };
      window.WebSocket = class extends WebSocket {
        constructor(url: string | URL, subprotocols?: string | string[]) {
          super(url, subprotocols);
          counts.sockets++;
          this.addEventListener('close', () => counts.sockets--);
        }
      };
    });
    const room = newRoom();
    const other = await join(room, 'Other');
    for (let round = 0; round < 5; round++) {
      await enter(page, server.url, room, 'Alice');
      await connected(page, 1);
      await page.evaluate(() => window.room.destroy());
      await connected(other, 0);
    }
    await expect
      .poll(() => page.evaluate(() => Reflect.get(window, 'counts')))
      .toEqual({
        connections: 0,
        sockets: 0,
        timers: 0,
      });
  });
});
