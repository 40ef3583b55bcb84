/** Two peers in one page, with a way between them that loses what the test wants lost. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { WAIT } from '../support/wait.ts';

let pages: PageServer;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  const globals = `import { newConnectionAllowance, newRoomAllowance, newStrangersAllowance } from './src/client/limits.ts';
    import { SupervisedPeer } from './src/client/supervised-peer.ts';
    Object.assign(globalThis, { newConnectionAllowance, newRoomAllowance, newStrangersAllowance, SupervisedPeer });`;
  [pages, browser] = await Promise.all([servePage(globals), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([browser.close(), pages.stop()]);
});
beforeEach(async () => {
  page = await openPage(browser, pages.url);
  await page.evaluate(() => {
    window.newPeer = (settings, other) => {
      const peer = new SupervisedPeer({
        RTCPeerConnection,
        rtcConfiguration: {},
        proprietaryConstraints: undefined,
        sdpTransform: (sdp) => sdp,
        allowance: newRoomAllowance(100),
        strangers: newStrangersAllowance(),
        ...settings,
      });
      peer.introduce({
        id: 'nobody',
        clientId: 'nobody',
        metadata: undefined,
        isPolite: false,
        polls: false,
        send: () => undefined,
        hasRoom: () => true,
        maxSignalBytes: () => 64_000,
        connections: newConnectionAllowance(),
        onStranger: () => undefined,
        ...other,
      });
      return peer;
    };
  });
});

/** Makes `window.pair`; `a` is polite or not. Signals take 10 ms; those from `lost` do not arrive. */
async function introduce(isPolite: boolean): Promise<void> {
  await page.evaluate(async (isPolite) => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const certificate = () => RTCPeerConnection.generateCertificate(algorithm);
    const certificates = { a: await certificate(), b: await certificate() };
    const make = (id: 'a' | 'b') =>
      new SupervisedPeer({
        RTCPeerConnection,
        rtcConfiguration: { certificates: [certificates[id]] },
        proprietaryConstraints: undefined,
        sdpTransform: (sdp: string) => sdp,
        allowance: newRoomAllowance(100),
        strangers: newStrangersAllowance(),
      });
    const pair: Pair = { a: make('a'), b: make('b'), make, signals: 0, lost: '', introduce: () => undefined };
    pair.introduce = (peer, id, other, isPolite) =>
      peer.introduce({
        id: other,
        clientId: other,
        metadata: undefined,
        isPolite,
        polls: false,
        send(signal) {
          pair.signals++;
          if (pair.lost !== id) setTimeout(() => pair[other].negotiator.receive(structuredClone(signal)), 10);
        },
        hasRoom: () => true,
        maxSignalBytes: () => 64_000,
        connections: newConnectionAllowance(),
        onStranger: () => undefined,
      });
    pair.introduce(pair.a, 'a', 'b', isPolite);
    pair.introduce(pair.b, 'b', 'a', !isPolite);
    window.pair = pair;
  }, isPolite);
}

const bothConnected = (): Promise<unknown> =>
  page.waitForFunction(() => window.pair.a.connected && window.pair.b.connected);

describe.each([true, false])('the peer that offers is polite: %s', (isPolite) => {
  test('an answerer with a track whose first signals are lost is connected soon, without a storm', async () => {
    await introduce(isPolite);
    await page.evaluate(() => {
      window.pair.b.addTransceiver('audio');
      window.pair.lost = 'b';
      void window.pair.a.negotiator.initiate();
      window.pair.b.once('signal', () => {
        setTimeout(() => {
          window.pair.lost = '';
        }, 1000);
      });
    });
    await bothConnected();
    expect(await page.evaluate(() => window.pair.signals)).toBeLessThan(20);
    await page.waitForFunction(() => window.pair.a._pc.getTransceivers()[0]?.currentDirection);
  });

  test('a peer that signals again while it takes an offer takes it', async () => {
    await introduce(isPolite);
    await page.evaluate(() => {
      const { a, b } = window.pair;
      const receive = b.negotiator.receive.bind(b.negotiator);
      let isFirst = true;
      b.negotiator.receive = (signal) => {
        receive(signal);
        if (isFirst) void Promise.resolve().then(() => b.negotiator.signalAgain());
        isFirst = false;
      };
      void a.negotiator.initiate();
    });
    await bothConnected();
    expect(await page.evaluate(() => window.pair.signals)).toBeLessThan(12);
  });

  test('a renegotiation after an ICE restart that is lost is done again', async () => {
    await introduce(isPolite);
    await page.evaluate(() => void window.pair.a.negotiator.initiate());
    await bothConnected();
    const ufrag = (): Promise<unknown> =>
      page.evaluate(() => /a=ice-ufrag:(\S+)/.exec(window.pair.a._pc.currentRemoteDescription?.sdp ?? '')?.[1]);
    const before = await ufrag();
    await page.evaluate(() => window.pair.a.negotiator.restart());
    await expect.poll(ufrag).not.toBe(before);
    await page.evaluate(async () => {
      const { a, b } = window.pair;
      window.pair.lost = 'a';
      window.tracked = new Promise((resolve) => b._pc.addEventListener('track', () => resolve(true)));
      const lost = new Promise((resolve) => a.once('signal', resolve));
      a.addTransceiver('audio');
      await lost;
      window.pair.lost = '';
      a.negotiator.markOfferLost();
    });
    expect(await page.evaluate(() => window.tracked)).toBe(true);
  });

  test('an offer on the channel whose answer goes by the room, and is lost there, is made again', async () => {
    await introduce(isPolite);
    await page.evaluate(() => void window.pair.a.negotiator.initiate());
    await bothConnected();
    await page.evaluate(async () => {
      const { a, b } = window.pair;
      // The network of b was away: its socket is gone, and ICE has not noticed yet that the way is there again.
      Object.defineProperty(b._pc, 'connectionState', { value: 'disconnected', configurable: true });
      window.pair.lost = 'b';
      const answered = new Promise((resolve) => b.once('signal', resolve));
      a.addTransceiver('audio');
      await answered;
      Reflect.deleteProperty(b._pc, 'connectionState');
      window.pair.lost = '';
      b.negotiator.signalAgain();
    });
    const state = (): Promise<string> => page.evaluate(() => window.pair.a._pc.signalingState);
    expect(await state()).toBe('have-local-offer');
    await expect.poll(state, WAIT).toBe('stable');
  });

  test('what waits to be sent when the other comes anew is refused, and what comes after is sent', async () => {
    await introduce(isPolite);
    await page.evaluate(() => void window.pair.a.negotiator.initiate());
    await bothConnected();
    const outcome = await page.evaluate(async () => {
      const { pair } = window;
      const big = pair.a.send(new Uint8Array(200_000_000)).then(
        () => 'sent',
        (error: Error) => error.message,
      );
      // It vanishes, which the other's ICE has noticed, and comes back knowing nothing.
      pair.b._pc.onconnectionstatechange = null;
      Object.defineProperty(pair.a._pc, 'connectionState', { value: 'disconnected' });
      const old = pair.b;
      pair.b = pair.make('b');
      pair.introduce(pair.b, 'b', 'a', !old.initiator);
      const heard = new Promise((resolve) => pair.b.on('data', (bytes) => resolve(new TextDecoder().decode(bytes))));
      void pair.b.negotiator.initiate();
      await new Promise<void>((resolve) => pair.a.once('connect', resolve));
      // Again, should a slow machine have made the connection once more meanwhile.
      const saying = setInterval(() => void pair.a.send('hello'), 500);
      const outcome = [await big, await heard];
      clearInterval(saying);
      return outcome;
    });
    expect(outcome).toEqual(['The peer b is not connected.', 'hello']);
  });

  test('a channel that is closing, but has not said so, takes no message', async () => {
    await introduce(isPolite);
    await page.evaluate(() => void window.pair.a.negotiator.initiate());
    await bothConnected();
    const outcome = await page.evaluate(() => {
      const { a } = window.pair;
      a._channel?.close();
      const sent = a.send('hello').then(String, String);
      return Promise.all([a._channel?.readyState, a.connected, sent]);
    });
    expect(outcome).toEqual(['closing', true, 'Error: The peer b is not connected.']);
  });
});

test('a peer that is not the library gets one answer to its offer, however long the connection takes', async () => {
  await page.clock.install();
  await page.evaluate(() => {
    window.log = [];
    const bare = new RTCPeerConnection();
    const peer = window.newPeer(
      {},
      {
        isPolite: true,
        send(signal) {
          if (!('type' in signal)) return; // candidates are lost, so nothing connects
          const { type, sdp } = signal;
          bare.setRemoteDescription({ type, sdp: sdp.replace(/^a=candidate.*\r\n/gm, '') }).then(
            () => window.log.push(type),
            (error: unknown) => window.log.push(String(error)),
          );
        },
      },
    );
    bare.createDataChannel('bare');
    bare.onnegotiationneeded = async () => {
      await bare.setLocalDescription();
      peer.negotiator.receive(bare.localDescription?.toJSON());
    };
  });
  await page.waitForFunction(() => window.log.length > 0);
  await page.clock.runFor(15_000);
  expect(await page.evaluate(() => window.log)).toEqual(['answer']);
});

test('a peer that is destroyed by a listener when it has failed stays destroyed', async () => {
  await page.clock.install();
  const made = await page.evaluateHandle(() => {
    const made: RTCPeerConnection[] = [];
    const Counted = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        made.push(this);
      }
    };
    const peer = window.newPeer({ RTCPeerConnection: Counted });
    peer.on('state', (state) => state === 'failed' && peer.destroy());
    void peer.negotiator.initiate();
    return made;
  });
  await page.clock.runFor(120_000);
  expect(await made.evaluate((made) => made.map(({ signalingState }) => signalingState))).toEqual(['closed']);
});

test('however long the app takes to say whether a peer is met, that has not failed; then it has 18 s to connect', async () => {
  await page.clock.install();
  const answer = await page.evaluateHandle(() => {
    window.log = [];
    const peer = window.newPeer();
    peer.on('state', (state) => window.log.push(state));
    let answer = (): void => undefined;
    peer.hold(new Promise<void>((resolve) => (answer = resolve)));
    void peer.negotiator.initiate();
    return { answer: () => answer() };
  });
  await page.clock.runFor(120_000);
  expect(await page.evaluate(() => window.log)).toEqual([]);
  await answer.evaluate(({ answer }) => answer());
  await page.clock.runFor(17_000);
  expect(await page.evaluate(() => window.log)).toEqual([]);
  await page.clock.runFor(2_000);
  expect(await page.evaluate(() => window.log)).toContain('failed');
});
