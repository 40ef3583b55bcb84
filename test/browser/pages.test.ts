/** The library in real Chromium, against a real server. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startWorkerd } from '../../scripts/server.ts';
import { launchChromium, openPage, type PageServer, servePage } from './chromium.ts';

let server: Server;
let pages: PageServer;
beforeAll(async () => {
  [server, pages] = await Promise.all([startWorkerd(), servePage()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop()]);
});

let rooms = 0;

describe.each([
  ['Chromium as it is', []],
  ['Chromium that refuses edited ICE credentials', ['--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/']],
])('%s', (_name, flags) => {
  let browser: Browser;
  let open: (Page & { errors: string[] })[] = [];
  beforeAll(async () => {
    browser = await launchChromium(flags);
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    const errors = open.flatMap((page) => page.errors);
    for (const page of open) await page.context().close();
    open = [];
    expect(errors).toEqual([]);
  });

  async function newPage(): Promise<Page> {
    const page = await openPage(browser, pages.url);
    open.push(page);
    return page;
  }

  /** A page that has joined. Its messages are in `got`, its events in `log`. */
  async function join(room: string, name = 'MyUsername', options: object = {}): Promise<Page> {
    const page = await newPage();
    await enter(page, room, name, options);
    return page;
  }

  async function enter(
    page: Page,
    room: string,
    name = 'MyUsername',
    options: object = {},
    beforeStart: () => void = () => undefined,
  ): Promise<void> {
    await page.evaluate(
      async ([url, room, name, options]) => {
        window.got = [];
        window.log = [];
        window.room = new P2PCF(name, room, { workerUrl: url, stunIceServers: [], ...options });
        const sumOf = async (data: ArrayBuffer): Promise<string> =>
          Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', data)), (byte) => byte.toString(16)).join('');
        window.room
          .on('peerconnect', (peer) => window.log.push(`connect ${peer.client_id}`))
          .on('peerclose', (peer) => window.log.push(`close ${peer.client_id}`))
          .on('msg', async (peer, data) => {
            const text = data.byteLength < 1000 ? new TextDecoder().decode(data) : '';
            window.got.push({ from: peer.client_id, length: data.byteLength, sum: await sumOf(data), text });
          });
      },
      [server.url, room, name, options] as const,
    );
    await page.evaluate(beforeStart);
    await page.evaluate(() => window.room.start());
  }

  const connected = (page: Page, count: number): Promise<unknown> =>
    page.waitForFunction((count) => window.room.connectedSessions.length === count, count);
  const newRoom = (): string => `room ${++rooms}`;
  const say = (page: Page, text: string): Promise<void> => page.evaluate((text) => window.room.broadcast(text), text);
  const heard = (page: Page, text: string): Promise<unknown> =>
    page.waitForFunction((text) => window.got.some((message) => message.text === text), text);

  test.each([true, false])('two pages of one name meet and talk, offers ahead: %s', async (offersAhead) => {
    const room = newRoom();
    const alice = await join(room, 'MyUsername', { offersAhead, metadata: { color: 'red' } });
    const bob = await join(room, 'MyUsername', { offersAhead, metadata: ['ö'] });
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
    const fresh = await Promise.all(Array.from({ length: 5 }, () => newPage()));
    await Promise.all(fresh.map((page, n) => enter(page, room, `peer ${n}`)));
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
            const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
            sums.push(Array.from(digest, (byte) => byte.toString(16)).join(''));
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
      await page.waitForFunction((count) => window.got.length === count, lengths.length, { timeout: 50_000 });
      const got = await page.evaluate(() => window.got);
      expect(got.map(({ length }) => length).sort((a, b) => a - b)).toEqual(lengths);
      expect(got.map(({ sum }) => sum).sort()).toEqual(sent[1 - n]?.sums);
      expect(sent[n]?.mostBuffered).toBeLessThanOrEqual(1_048_576);
    }
  }, 90_000);

  test('camera and microphone, there from the start or added later, are seen', async () => {
    const room = newRoom();
    const alice = await join(room, 'Alice');
    const bob = await join(room, 'Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    for (const [sender, receiver] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const frames = receiver.evaluate(async () => {
        const [peer] = window.room.peers.values();
        if (!peer) throw new Error('no peer');
        const kinds: string[] = [];
        peer.on('track', (track) => kinds.push(track.kind));
        const stream = await new Promise<MediaStream>((resolve) => peer.once('stream', resolve));
        const video = document.createElement('video');
        video.srcObject = stream;
        video.muted = true;
        await video.play();
        await new Promise<void>((resolve) => {
          const count = (_now: number, { presentedFrames }: { presentedFrames: number }): void => {
            if (presentedFrames >= 5) resolve();
            else video.requestVideoFrameCallback(count);
          };
          video.requestVideoFrameCallback(count);
        });
        return { kinds: kinds.sort(), width: video.videoWidth };
      });
      await sender.evaluate(async () => {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
        for (const peer of window.room.peers.values()) peer.addStream(stream);
      });
      const { kinds, width } = await frames;
      expect(kinds).toEqual(['audio', 'video']);
      expect(width).toBeGreaterThan(0);
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
    await say(both[0] ?? (await newPage()), 'still here');
    await heard(both[1] ?? (await newPage()), 'still here');
  });

  test.each([
    ['early tracks', true, () => undefined],
    ['two first offers', false, () => window.room.on('peerjoin', (peer) => peer.initiate())],
  ])(
    'both offering from the first moment, ten times over, still meet, with media: %s',
    async (_how, offersAhead, provoke) => {
      const both = await Promise.all([newPage(), newPage()]);
      for (let round = 0; round < 10; round++) {
        const room = newRoom();
        for (const [n, page] of both.entries()) {
          await enter(page, room, `peer ${n}`, { offersAhead }, () => {
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

  test('a page in the back-forward cache is out of the room, and in it again when it returns', async () => {
    const cached = await launchChromium(flags, ['--disable-back-forward-cache']);
    try {
      const room = newRoom();
      const alice = await join(room, 'Alice');
      const bob = await openPage(cached, pages.url);
      await enter(bob, room, 'Bobby');
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

  test('ICE restarts without a new peer, and the channel stays open', async () => {
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
    await alice.evaluate(() => window.dispatchEvent(new Event('online')));
    await expect.poll(ufrag).not.toBe(before);
    await say(alice, 'after the restart');
    await heard(bob, 'after the restart');
    expect(await bob.evaluate(() => window.log)).toEqual(['connect Alice']);
  });

  test('start and destroy, over and over, leave no connection, socket or timer', async () => {
    const page = await newPage();
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
        constructor(url: string | URL) {
          super(url);
          counts.sockets++;
          this.addEventListener('close', () => counts.sockets--);
        }
      };
    });
    const room = newRoom();
    const other = await join(room, 'Other');
    for (let round = 0; round < 5; round++) {
      await enter(page, room, 'Alice');
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
