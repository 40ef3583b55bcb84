/**
 * Rooms where some have this library, some P2PCF's own client, unmodified as npm has it, and some neither. Polling
 * takes its time, so everything here goes on at once.
 */
import type { Browser, Page } from 'playwright-core';
import type { Browser as Firefox } from 'puppeteer-core';
import { afterAll, test as base, beforeAll, describe, expect } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { Client } from '../support/client.ts';
import { startFaultyProxy } from '../support/faults.ts';
import { launchFirefox, openInFirefox } from '../support/firefox.ts';
import { placeOf } from '../support/place.ts';
import { inPage, type RoomPage } from '../support/room-page.ts';
import { SECRET, signToken } from '../support/room-token.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { sha256 } from '../support/sha256.ts';
import { WAIT } from '../support/wait.ts';

const LIBRARIES = `import ours from './src/client/index.ts'; import p2pcf from 'p2pcf';
  import { signalFrames } from './src/client/chunks.ts';
  Object.assign(globalThis, { clients: { ours, p2pcf }, signalFrames });`;

let server: Server;
let pages: PageServer;
let browser: Browser;
let firefox: Firefox;
beforeAll(async () => {
  [server, pages, browser, firefox] = await Promise.all([
    startWorkerd(),
    servePage(LIBRARIES),
    launchChromium(),
    launchFirefox(),
  ]);
});
afterAll(async () => {
  await Promise.all([server?.stop(), pages?.stop(), browser?.close(), firefox?.close()]);
});

type Kind = 'ours' | 'p2pcf';

type OpenPage = Page & { errors: string[] };
type Join = (kind: Kind, room: string, name: string, within?: Browser) => Promise<OpenPage>;

/**
 * Pages are closed when their test ends: left open, their cameras would take the machine from the tests beside them.
 * Not by pagesOfEachTest, which knows of one test under way at a time.
 */
const test = base
  .extend('open', ({ onTestFinished }) => async (within = browser): Promise<OpenPage> => {
    const page = await openPage(within, pages.url);
    onTestFinished(() => page.context().close());
    return page;
  })
  /** A page whose client has joined. */
  .extend(
    'join',
    ({ open }): Join =>
      async (kind, room, name, within) => {
        const page = await open(within);
        await enter(page, kind, room, name);
        return page;
      },
  );

/** Joins. Its events are in `log`, its messages in `got`. */
async function enter(page: RoomPage, kind: Kind, room: string, name: string, options: object = {}): Promise<void> {
  const start = async (kind: Kind, room: string, name: string, options: { workerUrl: string }): Promise<void> => {
    window.log = [];
    window.got = [];
    const client: PollingClient = new clients[kind](name, room, options);
    window.client = client;
    const known = new Set<unknown>();
    client.on('peerconnect', (peer) => {
      known.add(peer);
      window.log.push(`connect ${peer.client_id}`);
    });
    // Of a peer that was never connected the end is no news here.
    client.on('peerclose', (peer) => known.has(peer) && window.log.push(`close ${peer.client_id}`));
    client.on('msg', async (peer, data) => {
      const isKnown = known.has(peer) || kind === 'p2pcf'; // which has a message now and then before its peerconnect
      const sum = await globalThis.sha256(data);
      const text = isKnown ? new TextDecoder().decode(data.slice(0, 20)) : 'too early';
      window.got.push({ from: peer.client_id, length: data.byteLength, sum, text });
    });
    await client.start();
  };
  const all = { workerUrl: server.url, stunIceServers: [], turnIceServers: [], ...options };
  await inPage(page, start, kind, room, name, all);
}

/** What a page has to say of itself when a wait ends in vain. */
function facts(page: RoomPage): Promise<unknown> {
  return inPage(page, () => ({
    log: window.log,
    got: window.got.map(({ from, length, text }) => [from, length, text === 'too early']),
    peers: Array.from(window.client.peers?.entries() ?? [], ([id, { _pc }]) => [
      id,
      ...[_pc.connectionState, _pc.iceConnectionState, _pc.signalingState],
    ]),
  }));
}

/** Waits until the function, run in the page, returns true. */
async function until<Arguments extends unknown[]>(
  page: RoomPage,
  work: (...args: Arguments) => unknown,
  ...args: Arguments
): Promise<void> {
  const deadline = Date.now() + WAIT.timeout;
  while ((await inPage(page, work, ...args)) !== true) {
    if (Date.now() > deadline) {
      throw new Error(`Not within ${WAIT.timeout} ms: ${work} ${args}\nThe page: ${JSON.stringify(await facts(page))}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until this is the page's log, in any order, which is then empty. */
async function logged(page: RoomPage, ...entries: string[]): Promise<void> {
  await until(page, (expected) => [...window.log].sort().join() === expected, entries.sort().join());
  await inPage(page, () => {
    window.log = [];
  });
}

/** Sends messages of these lengths, and checks what comes of them. */
async function exchange(from: RoomPage, to: RoomPage, lengths: number[]): Promise<void> {
  await inPage(to, () => {
    window.got = [];
  });
  const send = (lengths: number[]): void => {
    for (const length of lengths) {
      window.client.broadcast(Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251).buffer);
    }
  };
  await inPage(from, send, lengths);
  await until(to, (count) => window.got.length === count, lengths.length);
  const got = await inPage(to, () =>
    window.got.map(({ text, length, sum }) => (text === 'too early' ? [text] : [length, sum])),
  );
  const sent = new Map<number, string>();
  for (const length of lengths) {
    sent.set(length, await sha256(Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251)));
  }
  expect(new Map(Object(got))).toEqual(sent);
}

/** Shows the other its microphone or camera. */
async function show(from: RoomPage, to: RoomPage, constraints: { audio?: true; video?: true }): Promise<void> {
  const share = async (constraints: { audio?: true; video?: true }): Promise<void> => {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    for (const peer of window.client.peers?.values() ?? []) peer.addStream(stream);
  };
  await inPage(from, share, constraints);
  await seen(to, Object.keys(constraints));
}

/** Waits until media of these kinds come in and are decoded. */
async function seen(page: RoomPage, kinds: string[]): Promise<void> {
  const isSeen = async (kinds: string[]): Promise<boolean> => {
    const reports = await Promise.all(Array.from(window.client.peers?.values() ?? [], ({ _pc }) => _pc.getStats()));
    const received = reports.flatMap((report) => [...report.values()]).filter(({ type }) => type === 'inbound-rtp');
    const countOf = (kind: string): number =>
      Math.max(
        0,
        ...received.filter((each) => each.kind === kind).map((each) => each.framesDecoded ?? each.packetsReceived),
      );
    return kinds.every((kind) => countOf(kind) > 5);
  };
  await until(page, isSeen, kinds);
}

describe.concurrent('one of ours and one of P2PCF’s', () => {
  const lengths = [2, 3, 11, 12, 1000, 15_999, 16_000, 16_001, 1_000_000]; // p2pcf cannot send fewer than two bytes

  test('ours comes second', async ({ expect, join }) => {
    const old = await join('p2pcf', 'second', 'old name');
    const ours = await join('ours', 'second', 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await exchange(old, ours, lengths);
    await exchange(ours, old, [0, 1, ...lengths]);
    const warnings: string[] = [];
    ours.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
    for (const length of [77, 78]) {
      await inPage(ours, (length) => window.client.broadcastUnreliable?.(new ArrayBuffer(length)), length);
      await until(old, (length) => window.got.some((message) => message.length === length), length);
    }
    expect(warnings).toEqual(['P2PCF-WS: "old name" has P2PCF, without datagrams: they go by its channel.']);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('ours comes first', async ({ expect, join }) => {
    const ours = await join('ours', 'first', 'our name');
    const old = await join('p2pcf', 'first', 'old name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await exchange(ours, old, [0, 1, ...lengths]);
    await exchange(old, ours, lengths);
    await show(ours, old, { audio: true });
    await show(old, ours, { audio: true, video: true });
    await show(ours, old, { video: true });
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('either may show its camera or microphone at any time', async ({ expect, join }) => {
    const old = await join('p2pcf', 'media', 'old name');
    const ours = await join('ours', 'media', 'our name');
    // Before they are connected: ours has to keep it for later.
    await until(ours, () => window.client.peers?.size === 1);
    await Promise.all([show(ours, old, { audio: true }), logged(ours, 'connect old name')]);
    await show(old, ours, { audio: true, video: true });
    await show(ours, old, { video: true });
    await exchange(ours, old, lengths);
    await exchange(old, ours, lengths);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('both at once, with their cameras, on one transport', async ({ expect, open }) => {
    const [old, ours] = await Promise.all([open(), open()]);
    const options = { rtcPeerConnectionOptions: { bundlePolicy: 'max-bundle' } };
    // Not p2pcf: the offers it makes up are refused by one that goes by this.
    await Promise.all([enter(old, 'p2pcf', 'both', 'old name'), enter(ours, 'ours', 'both', 'our name', options)]);
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await Promise.all([show(ours, old, { audio: true, video: true }), show(old, ours, { audio: true, video: true })]);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('P2PCF’s shows its camera while it answers ours', async ({ expect, join }) => {
    const old = await join('p2pcf', 'answering', 'old name');
    const ours = await join('ours', 'answering', 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await inPage(old, async () => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      const [peer] = window.client.peers?.values() ?? [];
      if (!peer) throw new Error('no peer');
      const pc = peer._pc;
      const describe = pc.setLocalDescription.bind(pc);
      pc.setLocalDescription = (answer) => {
        pc.setLocalDescription = describe;
        peer.addStream(stream); // which the answer does not have, and asks for an offer that may
        return describe(answer);
      };
    });
    await Promise.all([show(ours, old, { audio: true, video: true }), seen(ours, ['audio', 'video'])]);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('P2PCF’s shows and hides its camera eight times, and descriptions stay short', async ({ expect, join }) => {
    const old = await join('p2pcf', 'eight', 'old name');
    const ours = await join('ours', 'eight', 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await inPage(ours, () => {
      const { client } = window;
      const [peer] = client instanceof clients.ours ? client.peers.values() : [];
      peer?.on('track', ({ kind }) => window.log.push(kind));
    });
    for (let n = 0; n < 8; n++) {
      await inPage(old, async () => {
        const stream = await navigator.mediaDevices.getUserMedia({ video: true });
        const [peer] = window.client.peers?.values() ?? [];
        peer?.addStream(stream);
        Object.assign(window, { hide: () => Reflect.get(Object(peer), 'removeStream').call(peer, stream) });
      });
      await logged(ours, 'video');
      await inPage(old, () => Reflect.get(window, 'hide')());
    }
    await show(old, ours, { video: true });
    const mLines = await inPage(ours, () =>
      Array.from(window.client.peers?.values() ?? [], ({ _pc }) => _pc.localDescription?.sdp.split('m=video').length),
    );
    expect(mLines).toEqual([3]); // one that is stopped, one that is used, and what is before them
    expect(await old.evaluate(() => window.log)).toEqual([]);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test.for([false, true])(
    'an answer that P2PCF’s has lost is asked for again; it speaks then: %s',
    async (speaks, { expect, join }) => {
      const old = await join('p2pcf', `lost-${speaks}`, 'old name');
      const ours = await join('ours', `lost-${speaks}`, 'our name');
      await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
      const loseOne = (speaks: boolean): void => {
        const { client } = window;
        const send = (): void => {
          Reflect.deleteProperty(client, 'send'); // once, as before it is connected
          if (speaks) client.broadcast(new ArrayBuffer(2)); // as an app that says hello at peerconnect
        };
        Object.assign(client, { send });
      };
      await inPage(old, loseOne, speaks);
      await show(ours, old, { audio: true });
      expect(await inPage(old, () => Object.hasOwn(window.client, 'send'))).toBe(false);
      expect([...old.errors, ...ours.errors]).toEqual([]);
    },
  );

  test.for<[seconds: number, isHeard: boolean]>([
    [5, false],
    [12, true], // what has said something since its channel opened loses no answer
  ])('P2PCF’s takes %i s to answer, and is not asked again meanwhile', async ([seconds, isHeard], { expect, join }) => {
    const old = await join('p2pcf', `slow-${seconds}`, 'old name');
    const ours = await join('ours', `slow-${seconds}`, 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    if (isHeard) await exchange(old, ours, [2]);
    const beSlow = (seconds: number): void => {
      const [peer] = window.client.peers?.values() ?? [];
      if (!peer) throw new Error('no peer');
      const { _pc: pc } = peer;
      const describe = pc.setLocalDescription.bind(pc);
      pc.setLocalDescription = async (answer) => {
        pc.setLocalDescription = describe;
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        await describe(answer); // which throws, and closes the peer, if there is another answer
        Object.assign(window, { hasAnswered: true });
      };
    };
    await inPage(old, beSlow, seconds);
    await show(ours, old, { audio: true });
    await until(old, () => Reflect.get(window, 'hasAnswered'));
    for (const page of [old, ours]) expect(await page.evaluate(() => window.log)).toEqual([]);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('a message in parts that one of ours does not end is not taken for the beginning of another’s', async ({
    expect,
    join,
  }) => {
    const old = await join('p2pcf', 'parts', 'old name');
    const [alice, bob] = await Promise.all([join('ours', 'parts', 'Alice'), join('ours', 'parts', 'Bobby')]);
    await logged(old, 'connect Alice', 'connect Bobby');
    await until(bob, () => window.log.length === 2);
    await inPage(alice, () => {
      const { client } = window;
      for (const peer of client instanceof clients.ours ? client.peers.values() : [])
        if (peer.client_id === 'old name')
          void peer.send(new ArrayBuffer(20_000_000), (sent) => sent > 5_000_000 && client.destroy());
    });
    await logged(old, 'close Alice');
    await until(bob, () => window.client.peers?.size === 1);
    await exchange(bob, old, [1_000_000]);
    expect([...old.errors, ...alice.errors, ...bob.errors]).toEqual([]);
  });

  test('media survives a connection that ours makes anew: shown, muted, and P2PCF’s', async ({ expect, join }) => {
    const old = await join('p2pcf', 'anew', 'old name');
    const ours = await join('ours', 'anew', 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await inPage(old, async () => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      for (const peer of window.client.peers?.values() ?? []) peer.addStream(stream);
      window.client.on('peerconnect', (peer) => peer.addStream(stream)); // as apps do for whoever comes later
    });
    await seen(ours, ['audio', 'video']);
    await show(ours, old, { audio: true, video: true });
    const breakNegotiation = async (): Promise<void> => {
      const { client } = window;
      const [peer] = client instanceof clients.ours ? client.peers.values() : [];
      if (!peer) throw new Error('no peer');
      const camera = peer._pc.getSenders().flatMap(({ track }) => (track?.kind === 'video' ? [track] : []))[0] ?? null;
      await peer.replaceTrack(camera, null);
      const before = peer._pc;
      before.setLocalDescription = () => Promise.reject(new Error('no'));
      peer.addTransceiver('audio');
      Object.assign(window, { unmute: () => peer.replaceTrack(null, camera), isAnew: () => peer._pc !== before });
    };
    await inPage(ours, breakNegotiation);
    // To P2PCF's client it is another peer, to ours the same.
    await Promise.all([logged(old, 'close our name', 'connect our name'), logged(ours, 'connect old name')]);
    await until(ours, () => Reflect.get(window, 'isAnew')());
    await Promise.all([seen(ours, ['audio', 'video']), seen(old, ['audio'])]);
    await inPage(ours, () => Reflect.get(window, 'unmute')());
    await seen(old, ['audio', 'video']);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('ours in Firefox, which has its camera on from the start', async ({ expect, join, onTestFinished }) => {
    const ours = await openInFirefox(firefox, pages.url);
    onTestFinished(() => ours.close());
    await enter(ours, 'ours', 'firefox', 'our name');
    await inPage(ours, async () => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      const { client } = window;
      if (client instanceof clients.ours) client.on('peerjoin', (peer) => peer.addStream(stream));
    });
    const old = await join('p2pcf', 'firefox', 'old name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await seen(old, ['audio', 'video']);
    await show(old, ours, { audio: true, video: true });
    await exchange(ours, old, [0, 1, ...lengths]);
    await exchange(old, ours, lengths);
    expect([...old.errors, ...ours.errors]).toEqual([]);
  });

  test('a connection outlives the one to the server, and the poller goes on at its pace', async ({ expect, open }) => {
    const room = 'outlives';
    const proxy = await startFaultyProxy(server.url);
    try {
      const watcher = await Client.join(placeOf(server), room, 'watcher');
      const old = await open();
      await old.evaluate(() => {
        const { fetch } = window;
        window.fetch = async (...request) => {
          const response = await fetch(...request);
          const { ps }: { ps: [string, string][] } = await response.clone().json();
          window.shown = ps.map(([, label]) => label);
          return response;
        };
      });
      await enter(old, 'p2pcf', room, 'old name');
      const ours = await open();
      await enter(ours, 'ours', room, 'our name', { workerUrl: proxy.url });
      await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);

      proxy.refuse(true);
      proxy.reset();
      while (Object(await watcher.next()).type !== 'peer_leave');
      await until(old, () => window.shown.length === 0);
      await exchange(ours, old, [1000]);
      proxy.refuse(false);
      await until(old, () => window.shown.join() === 'our name');
      await show(ours, old, { audio: true });
      await exchange(old, ours, [1000]);
      for (const page of [old, ours]) expect(await page.evaluate(() => window.log)).toEqual([]);
      expect([...old.errors, ...ours.errors]).toEqual([]);
      await watcher.close(1000);
    } finally {
      await proxy.stop();
    }
  });

  test.for<Kind>(['p2pcf', 'ours'])(
    '%s destroys its peer, both stay, and they meet again',
    async (ender, { expect, join }) => {
      const old = await join('p2pcf', `${ender}-ends`, 'old name');
      const ours = await join('ours', `${ender}-ends`, 'our name');
      await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
      await inPage(ender === 'ours' ? ours : old, () => {
        for (const peer of window.client.peers?.values() ?? []) peer.destroy();
      });
      await Promise.all([
        logged(old, 'close our name', 'connect our name'),
        logged(ours, 'close old name', 'connect old name'),
      ]);
      await exchange(old, ours, [1000]);
      await exchange(ours, old, [1000]);
      expect([...old.errors, ...ours.errors]).toEqual([]);
    },
  );

  test('P2PCF’s tab is duplicated, and each of the two stays connected', async ({ expect, join, open }) => {
    const ours = await join('ours', 'duplicated', 'our name');
    const tabs = await Promise.all([open(), open()]);
    for (const [n, tab] of tabs.entries()) {
      await inPage(tab, () => history.replaceState({ _p2pcfContextId: 'of both' }, '')); // which a duplicate has, too
      await enter(tab, 'p2pcf', 'duplicated', `tab ${n}`);
      await Promise.all([logged(tab, 'connect our name'), logged(ours, `connect tab ${n}`)]);
      // Its candidates are posted: else it would do so, in place of the other, before that one is connected.
      await until(tab, () => {
        const [posted, isSending] = ['lastPackages', 'isSending'].map((field) => Reflect.get(window.client, field));
        return String(posted).includes('candidate') && !isSending;
      });
    }
    for (const tab of tabs) await exchange(tab, ours, [1000]);
    expect(await ours.evaluate(() => window.log)).toEqual([]);
  });

  test.for<[Kind, Kind]>([
    ['ours', 'p2pcf'],
    ['p2pcf', 'ours'],
  ])(
    '%s goes and comes back: by reload, by destroy, in a new tab, after a crash',
    async ([goer, stayer], { expect, join }) => {
      const room = `${goer}-goes`;
      const stays = await join(stayer, room, 'stays');
      let goes = await join(goer, room, 'goes');
      const meet = () => Promise.all([logged(stays, 'connect goes'), logged(goes, 'connect stays')]);
      await meet();

      await goes.reload();
      await logged(stays, 'close goes');
      await enter(goes, goer, room, 'goes');
      await meet();

      await goes.evaluate(() => window.client.destroy());
      await Promise.all([logged(stays, 'close goes'), logged(goes, 'close stays')]);
      await enter(goes, goer, room, 'goes');
      await meet();

      await goes.close({ runBeforeUnload: true });
      await logged(stays, 'close goes');
      goes = await join(goer, room, 'goes');
      await meet();

      const session = await goes.context().newCDPSession(goes);
      session.send('Page.crash').catch(() => undefined); // nobody is left to answer
      await goes.waitForEvent('crash');
      goes = await join(goer, room, 'goes');
      await logged(goes, 'connect stays');
      await exchange(goes, stays, [1000]);
      await exchange(stays, goes, [1000]);
      expect([...stays.errors, ...goes.errors]).toEqual([]);
    },
  );
});

/** Has a page send signals to its only peer, by the channel. */
async function flood(page: RoomPage, signals: unknown[], times = 1): Promise<void> {
  const send = (signals: unknown[], times: number): void => {
    for (const peer of window.client.peers?.values() ?? []) {
      const channel: RTCDataChannel | undefined = Reflect.get(peer, '_channel');
      for (let n = 0; n < times; n++)
        for (const signal of signals)
          for (const frame of Reflect.get(window, 'signalFrames')(signal, n))
            if (channel?.readyState === 'open') channel.send(frame);
    }
  };
  await inPage(page, send, signals, times);
}

describe.concurrent('a poller that means harm', () => {
  /** One of P2PCF's, and one of ours whose first peer is `first` and whose peers' errors are in `log`. */
  async function meet(join: Join, room: string): Promise<{ old: Page; ours: OpenPage }> {
    const old = await join('p2pcf', room, 'old name');
    const ours = await join('ours', room, 'our name');
    await Promise.all([logged(old, 'connect our name'), logged(ours, 'connect old name')]);
    await inPage(ours, () => {
      const [first] = window.client.peers?.values() ?? [];
      Object.assign(window, { first });
      if (window.client instanceof clients.ours) {
        for (const peer of window.client.peers.values()) peer.on('error', ({ message }) => window.log.push(message));
      }
    });
    return { old, ours };
  }

  test('asks for 1,000 transceivers, and is closed at the 17th', async ({ expect, join }) => {
    const { old, ours } = await meet(join, 'transceivers');
    await flood(old, [{ transceiverRequest: { kind: 'audio' } }], 1000);
    await until(ours, () => window.log.join().includes('asks for too many transceivers'));
    expect(await inPage(ours, () => Reflect.get(window, 'first')._pc.getTransceivers().length)).toBeLessThan(17);
    expect(ours.errors).toEqual([]);
  });

  test('sends 400 candidates at once, of which eight of a family are taken', async ({ expect, join }) => {
    const { old, ours } = await meet(join, 'candidates');
    const lines = Array.from(
      { length: 400 },
      (_, n) => `candidate:${n} 1 udp 1 192.0.2.${n % 250} ${5000 + n} typ host`,
    );
    const candidates = lines.map((candidate) => ({ candidate, sdpMid: '0' }));
    for (let at = 0; at < 400; at += 100) await flood(old, [{ candidates: candidates.slice(at, at + 100) }]);
    await exchange(old, ours, [1000]); // which comes after them
    const count = await inPage(ours, async () => {
      const report: RTCStatsReport = await Reflect.get(window, 'first')._pc.getStats();
      return [...report.values()].filter(
        ({ type, address }) => type === 'remote-candidate' && /^192[.]0[.]2/.test(address),
      ).length;
    });
    expect(Number(count)).toBeGreaterThan(0);
    expect(Number(count)).toBeLessThan(9);
    expect(ours.errors).toEqual([]);
  });

  test('sends 4,000 candidates one by one, and is closed', async ({ expect, join }) => {
    const { old, ours } = await meet(join, 'candidates-singly');
    await flood(old, [{ candidate: { candidate: 'candidate:1 1 udp 1 192.0.2.1 5000 typ host', sdpMid: '0' } }], 4000);
    await until(ours, () => window.log.join().includes('sends too many'));
    expect(ours.errors).toEqual([]);
  });

  test('sends signals of odd shapes, and nothing comes of it', async ({ expect, join }) => {
    const { old, ours } = await meet(join, 'odd-shapes');
    const odd = [null, 7, '', [], {}, [[]], { type: 'offer' }, { length: 1 }, { __proto__: 1 }];
    const fields = ['type', 'sdp', 'candidate', 'candidates', 'attempt', 'restart', 'transceiverRequest'];
    const shapes = [...odd, ...fields.flatMap((field) => odd.map((value) => ({ [field]: value })))];
    await flood(old, shapes);
    await flood(
      old,
      odd.map((value) => ({ type: 'offer', sdp: String(value), candidates: [value] })),
    );
    await flood(
      old,
      odd.map((value) => ({ candidates: [{ candidate: 'candidate:', sdpMid: value, sdpMLineIndex: value }] })),
    );
    await exchange(old, ours, [1000]);
    expect(await inPage(ours, () => [window.log, Reflect.get(window, 'first').connected])).toEqual([[], true]);
    expect(ours.errors).toEqual([]);
  });

  test('takes another’s name with another fingerprint, and is another peer', async ({ expect, join }) => {
    const { old, ours } = await meet(join, 'fingerprint');
    const [id, context] = Object(
      await inPage(old, () => {
        window.fetch = () => new Promise(() => undefined); // from now on the other speaks in its name
        return [Reflect.get(window.client, 'sessionId'), Reflect.get(window.client, 'contextId')];
      }),
    );
    const poll = (): Promise<Response> =>
      fetch(server.url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          ...{ r: 'fingerprint', k: context, t: Date.now(), x: 120_000, p: [] },
          d: [id, 'old name', false, `${'A'.repeat(43)}=`, Date.now(), []],
        }),
      });
    expect((await poll()).status).toBe(200);
    await exchange(old, ours, [1000]);
    const isFirst = (id: string): boolean => window.client.peers?.get(id) === Reflect.get(window, 'first');
    expect(await inPage(ours, isFirst, id)).toBe(true);
    await inPage(old, () => {
      for (const { _pc } of window.client.peers?.values() ?? []) _pc.close(); // a page that is closed may not say so
    });
    await until(ours, (id) => window.client.peers?.get(id) !== Reflect.get(window, 'first'), id);
    expect(await inPage(ours, () => Reflect.get(window, 'first').destroyed)).toBe(true);
    expect(ours.errors).toEqual([]);
  });
});

test.concurrent('five in a room: two of ours, two of P2PCF’s of one name, and a client without a library', async ({
  expect,
  open,
  join,
}) => {
  const room = 'five';
  const bare = await open();
  const [first, old] = await Promise.all([join('ours', room, 'first'), join('p2pcf', room, 'MyUsername')]);
  await bare.evaluate(
    (url) => {
      window.log = [];
      window.got = [];
      const socket = new WebSocket(url);
      const connections = new Map<string, RTCPeerConnection>();
      const connect = (id: string): RTCPeerConnection => {
        const connection = new RTCPeerConnection();
        connections.set(id, connection);
        const signal = (signal: unknown): void => socket.send(JSON.stringify({ type: 'signal', targetId: id, signal }));
        const use = (channel: RTCDataChannel): void => {
          channel.binaryType = 'arraybuffer';
          channel.onopen = () => {
            window.log.push('open');
            channel.send(new TextEncoder().encode('from bare'));
          };
          channel.onmessage = ({ data }) => {
            const text = new TextDecoder().decode(data);
            window.got.push({ from: id, length: data.byteLength, sum: '', text });
          };
        };
        connection.onicecandidate = ({ candidate }) => signal({ candidate });
        connection.ondatachannel = ({ channel }) => use(channel);
        connection.onnegotiationneeded = async () => {
          await connection.setLocalDescription();
          signal(connection.localDescription);
        };
        Object.assign(connection, { begin: () => use(connection.createDataChannel('bare')) });
        return connection;
      };
      const offerTo = (id: string): unknown => Object(connect(id)).begin();
      socket.onmessage = async ({ data }) => {
        const { type, peers, clientId, polling, fromId, signal } = JSON.parse(data);
        if (type === 'peers') for (const id of peers) offerTo(id);
        if (type === 'peer_join' && polling) offerTo(clientId);
        if (type !== 'signal') return;
        const connection = connections.get(fromId) ?? connect(fromId);
        if (signal.sdp) await connection.setRemoteDescription(signal);
        for (const each of signal.candidates ?? []) await connection.addIceCandidate(each);
        if (signal.type !== 'offer') return;
        await connection.setLocalDescription();
        socket.send(JSON.stringify({ type: 'signal', targetId: fromId, signal: connection.localDescription }));
      };
    },
    `${server.url.replace('http', 'ws')}/ws/room/${room}?clientId=0123456789abcdef0123456789abcdef`,
  );
  const others = await Promise.all([join('ours', room, 'second'), join('p2pcf', room, 'MyUsername')]);
  const libraries = [first, old, ...others];
  const all = [...libraries, bare];
  for (const page of all) await until(page, () => window.log.length === 4);
  for (const page of libraries) {
    await page.evaluate(() => window.client.broadcast(new TextEncoder().encode('from all').buffer));
  }
  for (const page of all) {
    await until(page, () => window.got.length === 4);
    const from = page === bare ? 'from all' : 'from bare';
    expect(await page.evaluate(() => window.got.map(({ text }) => text).sort())).toEqual([
      ...['from all', 'from all', 'from all'],
      from,
    ]);
    expect(await page.evaluate(() => window.log.every((entry) => /^(connect|open)/.test(entry)))).toBe(true);
  }
  expect(all.flatMap((page) => page.errors)).toEqual([]);
});

test.concurrent('where P2PCF cannot connect ours do, and hear why it does not', async ({ expect, join }) => {
  const strict = await launchChromium(['--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/'], { isWhole: true });
  try {
    const old = await join('p2pcf', 'strict', 'old name', strict);
    const alice = await join('ours', 'strict', 'Alice', strict);
    const failed = alice.evaluate(
      () =>
        new Promise<string | undefined>((resolve) => {
          const { client } = window;
          if (client instanceof clients.ours) {
            client.on('peerstate', ({ client_id }, state, reason) => {
              if (client_id === 'old name' && state === 'failed') resolve(reason);
            });
          }
        }),
    );
    const bob = await join('ours', 'strict', 'Bobby', strict);
    await Promise.all([logged(alice, 'connect Bobby'), logged(bob, 'connect Alice')]);
    expect(await failed).toMatch(/P2PCF/);
    expect(await old.evaluate(() => window.log.filter((entry) => entry.startsWith('connect')))).toEqual([]);
  } finally {
    await strict.close();
  }
});

test.concurrent('where the server wants room tokens P2PCF has its own in its workerUrl', async ({ expect, open }) => {
  const guarded = await startWorkerd({ vars: { AUTH_SECRET: SECRET } });
  try {
    const tokenOf = (sub: string): Promise<string> => signToken({ rooms: ['guarded'], sub });
    const [alice, old, stranger] = [await open(), await open(), await open()];
    await enter(alice, 'ours', 'guarded', 'Alice', { workerUrl: guarded.url, token: await tokenOf('alice') });
    await enter(stranger, 'p2pcf', 'guarded', 'stranger', { workerUrl: guarded.url }).catch(() => undefined);
    await enter(old, 'p2pcf', 'guarded', 'old name', { workerUrl: `${guarded.url}/?token=${await tokenOf('bob')}` });
    await Promise.all([logged(alice, 'connect old name'), logged(old, 'connect Alice')]);
    const verified = (): unknown[] => {
      const { client } = window;
      return client instanceof clients.ours ? Array.from(client.peers.values(), (peer) => peer.verified) : [];
    };
    expect(await alice.evaluate(verified)).toEqual([{ sub: 'bob' }]);
    expect(await stranger.evaluate(() => window.log)).toEqual([]);
  } finally {
    await guarded.stop();
  }
});
