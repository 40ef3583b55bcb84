/** An app written for P2PCF, moved here by two lines (drop-in/app.js), in two Chromium pages. */
import { fileURLToPath } from 'node:url';
import { type BuildContext, context } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, openPage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const folder = fileURLToPath(new URL('drop-in', import.meta.url));

let server: Server;
let bundler: BuildContext;
let appUrl: string;
let browser: Browser;
beforeAll(async () => {
  [server, bundler, browser] = await Promise.all([
    startWorkerd(),
    context({
      entryPoints: [`${folder}/app.js`],
      alias: { 'p2pcf-ws': fileURLToPath(new URL('../../src/client/index.ts', import.meta.url)) },
      bundle: true,
      format: 'esm',
      outfile: `${folder}/bundle.js`, // served, never written
      write: false,
    }),
    launchChromium(),
  ]);
  const { port } = await bundler.serve({ servedir: folder, host: '127.0.0.1' });
  appUrl = `http://127.0.0.1:${port}/`;
});
afterAll(async () => {
  await Promise.all([server.stop(), bundler.dispose(), browser.close()]);
});

let alice: Page & { errors: string[] };
let bob: Page & { errors: string[] };
beforeEach(async () => {
  const url = `${appUrl}?room=${newRoom()}&server=${server.url}/`;
  [alice, bob] = await Promise.all([openPage(browser, url), openPage(browser, url)]);
  for (const page of [alice, bob]) await logged(page, 'connected: MyUsername');
});
afterEach(async () => {
  await Promise.all([alice.context().close(), bob.context().close()]);
  expect([...alice.errors, ...bob.errors]).toEqual([]);
});

const log = (page: Page): Promise<string[]> => page.locator('#log li').allTextContents();
const logged = (page: Page, line: string): Promise<void> =>
  page.locator('#log li').getByText(line, { exact: true }).first().waitFor();
const click = (page: Page, name: string): Promise<void> => page.getByRole('button', { name, exact: true }).click();

/** Resolves when the page shows moving pictures of this width. */
const sees = (page: Page, width: number): Promise<unknown> =>
  page.waitForFunction((width) => {
    const video = document.querySelector('video');
    return video?.videoWidth === width && video.getVideoPlaybackQuality().totalVideoFrames > 5;
  }, width);

describe('the app', () => {
  test('greets, chats and leaves', async () => {
    const id = await alice.evaluate(() => window.p2pcf.sessionId);
    await logged(alice, `MyUsername: Hello, you are ${id}`);
    await bob.getByLabel('Message').fill('Tschüß');
    await click(bob, 'Send');
    await logged(alice, 'MyUsername: Tschüß');
    await logged(alice, 'data: 8');
    await click(bob, 'Leave');
    await logged(alice, 'gone: MyUsername');
    expect(await log(alice)).not.toContain('not an ArrayBuffer');
    expect((await log(alice)).slice(-2)).toEqual(['gone: MyUsername', 'close']);
    expect(await alice.locator('#peers div').count()).toBe(0);
  });

  test('shows a camera, a picture in its place, and neither', async () => {
    await click(alice, 'Camera');
    await sees(bob, 320);
    expect((await log(bob)).filter((line) => line.startsWith('track')).sort()).toEqual([
      'track: audio',
      'track: video',
    ]);
    await click(alice, 'Picture instead of camera');
    await sees(bob, 160);
    await click(alice, 'Camera again');
    await sees(bob, 320);
    await click(alice, 'Microphone off');
    await bob.waitForFunction(() => {
      const { srcObject } = document.querySelector('video') ?? {};
      return srcObject instanceof MediaStream && srcObject.getTracks().length === 1;
    });
    await click(alice, 'Stop');
    await bob.locator('video').waitFor({ state: 'detached' });
  });

  test('shows its camera to a peer that comes later', async () => {
    await click(alice, 'Camera');
    const carol = await openPage(browser, alice.url());
    await sees(carol, 320);
    await carol.context().close();
    expect(carol.errors).toEqual([]);
  });
});

describe('what else apps use', () => {
  test('the fields of a room', async () => {
    const [ofAlice, ofBob] = await Promise.all(
      [alice, bob].map((page) =>
        page.evaluate(() => {
          const { clientId, roomId, sessionId, connectedSessions, contextId, peers } = window.p2pcf;
          clearInterval(Number(window.p2pcf.networkSettingsInterval));
          window.p2pcf.networkSettingsInterval = null;
          window.p2pcf.nextStepTime = Number.POSITIVE_INFINITY;
          const entries = [...peers].map(([id, peer]) => [id, peer.id]);
          return { clientId, roomId, sessionId, connectedSessions, contextId, entries, isMap: peers instanceof Map };
        }),
      ),
    );
    expect(ofAlice).toEqual({
      clientId: 'MyUsername',
      roomId: new URL(alice.url()).searchParams.get('room'),
      sessionId: expect.stringMatching(/^own-[\w-]{22}$/),
      connectedSessions: [ofBob?.sessionId],
      contextId: expect.stringMatching(/^\w{20}$/),
      entries: [[ofBob?.sessionId, ofBob?.sessionId]],
      isMap: true,
    });
    expect(ofBob?.connectedSessions).toEqual([ofAlice?.sessionId]);
  });

  test('the options reach the connection', async () => {
    const { bundlePolicy, sdp } = await alice.evaluate(() => {
      const [peer] = window.p2pcf.peers.values();
      return { bundlePolicy: peer?._pc.getConfiguration().bundlePolicy, sdp: peer?._pc.remoteDescription?.sdp };
    });
    expect(bundlePolicy).toBe('max-bundle');
    expect(sdp).toBeDefined();
    const sent = bob.evaluate(
      () =>
        new Promise<string>((resolve) => {
          const [peer] = window.p2pcf.peers.values();
          peer?.on('signal', (signal) => 'sdp' in signal && resolve(signal.sdp));
          peer?.addTransceiver('audio', { direction: 'recvonly' });
        }),
    );
    expect(await sent).toContain('a=x-app:transformed');
  });

  test('the fields of a peer', async () => {
    const seen = await alice.evaluate(() => {
      const [peer] = window.p2pcf.peers.values();
      if (!peer) throw new Error('no peer');
      const { client_id, connected, destroyed, channelName, _pc, _channel, _senderMap } = peer;
      return {
        client_id,
        connected,
        destroyed,
        isPc: _pc instanceof RTCPeerConnection,
        isChannel: _channel instanceof RTCDataChannel,
        isNamed: channelName !== '' && _channel?.label === channelName,
        kindOfChannel: [_channel?.readyState, _channel?.binaryType, _channel?.ordered, typeof _channel?.bufferedAmount],
        isMap: _senderMap instanceof Map,
      };
    });
    expect(seen).toEqual({
      client_id: 'MyUsername',
      connected: true,
      destroyed: false,
      isPc: true,
      isChannel: true,
      isNamed: true,
      kindOfChannel: ['open', 'arraybuffer', true, 'number'],
      isMap: true,
    });
  });

  test('tracks one by one, their senders, and statistics', async () => {
    const seen = await alice.evaluate(async () => {
      const [peer] = window.p2pcf.peers.values();
      if (!peer) throw new Error('no peer');
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      for (const track of stream.getTracks()) peer.addTrack(track, stream);
      const [video] = stream.getVideoTracks();
      const sender = video && peer._senderMap.get(video)?.get(stream);
      if (!video || !sender) throw new Error('no sender');
      await sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-framerate' });
      const isAmong = peer._pc.getSenders().includes(sender);
      const types = await new Promise<unknown[]>((resolve) => {
        peer.getStats((error, reports) =>
          resolve(error ? [error.message] : reports.map((report) => Object(report).type)),
        );
      });
      return { kind: sender.track?.kind, isAmong, types };
    });
    expect(seen).toMatchObject({ kind: 'video', isAmong: true });
    expect(seen.types).toContain('data-channel');
    for (const kind of ['audio', 'video']) await logged(bob, `track: ${kind}`);
  });

  test('a message of many chunks, and part of a buffer', async () => {
    const heard = bob.evaluate(
      () =>
        new Promise<number[]>((resolve) => {
          const lengths: number[] = [];
          window.p2pcf.on('msg', (_peer, data) => {
            lengths.push(data.byteLength);
            if (lengths.length === 3) resolve(lengths);
          });
        }),
    );
    await bob.evaluate(() => undefined); // the listener is there
    await alice.evaluate(() => {
      const [peer] = window.p2pcf.peers.values();
      if (!peer) throw new Error('no peer');
      window.p2pcf.send(peer, new ArrayBuffer(1_000_001));
      window.p2pcf.send(peer, new Uint8Array(100).subarray(10, 17));
      peer.send(new ArrayBuffer(5));
    });
    expect(await heard).toEqual([1_000_001, 7, 5]);
  });

  test('a buffer that is used again as soon as it is sent', async () => {
    const heard = bob.evaluate(
      () =>
        new Promise<string>((resolve) => {
          window.p2pcf.on('msg', (_peer, data) => {
            if (data.byteLength === 8_000_000) resolve([...new Set(new Uint8Array(data))].join());
          });
        }),
    );
    await bob.evaluate(() => undefined); // the listener is there
    await alice.evaluate(() => {
      const bytes = new Uint8Array(8_000_000).fill(1);
      window.p2pcf.broadcast(bytes);
      bytes.fill(2);
    });
    expect(await heard).toBe('1');
  });

  test.each(['room', 'peer'])('what is said just before the %s is destroyed is heard', async (which) => {
    await bob.evaluate((which) => {
      const [peer] = window.p2pcf.peers.values();
      const goodbye = new TextEncoder().encode('Goodbye');
      window.p2pcf.broadcast(goodbye);
      window.p2pcf.broadcast(goodbye);
      if (which === 'room') window.p2pcf.destroy();
      else peer?.destroy();
    }, which);
    await logged(alice, 'gone: MyUsername');
    expect((await log(alice)).filter((line) => line === 'MyUsername: Goodbye')).toHaveLength(2);
  });

  test('sending to a peer that is gone is silent', async () => {
    await alice.evaluate(() => {
      const [peer] = window.p2pcf.peers.values();
      if (!peer) throw new Error('no peer');
      peer.destroy();
      window.p2pcf.send(peer, new ArrayBuffer(1));
    });
  });

  test('a peer that goes while much is on its way goes silently', async () => {
    await alice.evaluate(() => void window.p2pcf.broadcast(new ArrayBuffer(20_000_000)));
    await click(bob, 'Leave');
    await logged(alice, 'gone: MyUsername');
  });

  test('a track that was replaced can still be named: replaced again, and removed with its stream', async () => {
    await click(alice, 'Camera');
    await sees(bob, 320);
    await click(alice, 'Picture instead of camera');
    await sees(bob, 160);
    await click(alice, 'Picture instead of camera'); // names the camera's track, as in stream.getVideoTracks()
    await click(alice, 'Stop');
    await bob.locator('video').waitFor({ state: 'detached' });
  });

  test('track and stream bring the receiver', async () => {
    const kinds = bob.evaluate(
      () =>
        new Promise<unknown[]>((resolve) => {
          const [peer] = window.p2pcf.peers.values();
          const seen: unknown[] = [];
          const note = (...args: unknown[]): void => {
            seen.push(args.at(-1) instanceof RTCRtpReceiver);
            if (seen.length === 3) resolve(seen);
          };
          peer?.on('track', note).on('stream', note);
        }),
    );
    await bob.evaluate(() => undefined); // the listener is there
    await click(alice, 'Camera');
    expect(await kinds).toEqual([true, true, true]);
  });

  test('a listener has the emitter as this', async () => {
    const isThis = await alice.evaluate(() => {
      const seen: boolean[] = [];
      const [peer] = window.p2pcf.peers.values();
      peer?.once('close', function (this: unknown) {
        seen.push(this === peer);
      });
      window.p2pcf.once('peerclose', function (this: unknown) {
        seen.push(this === window.p2pcf);
      });
      peer?.destroy();
      return seen;
    });
    expect(isThis).toEqual([true, true]);
  });

  test('a listener that is added in an event of the room hears what comes next from the peer, and not the same', async () => {
    const heard = bob.evaluate(
      () =>
        new Promise<string[]>((resolve) => {
          const seen: string[] = [];
          window.p2pcf.once('msg', (peer) => {
            peer.once('data', (data) => seen.push(new TextDecoder().decode(data)));
          });
          window.p2pcf.once('peerclose', (peer) => {
            peer.on('close', () => seen.push('close'));
            setTimeout(() => resolve(seen));
          });
        }),
    );
    await bob.evaluate(() => undefined); // the listeners are there
    await alice.evaluate(() => {
      for (const text of ['one', 'two']) window.p2pcf.broadcast(text);
      window.p2pcf.destroy();
    });
    expect(await heard).toEqual(['two']);
  });

  test('listeners come and go as in Node', async () => {
    const calls = await alice.evaluate(() => {
      const [peer] = window.p2pcf.peers.values();
      if (!peer) throw new Error('no peer');
      const calls: string[] = [];
      const never = (): void => void calls.push('never');
      window.p2pcf.on('peerclose', never).addListener('peerclose', never).off('peerclose', never);
      window.p2pcf.removeListener('peerclose', never);
      const before = window.p2pcf.setMaxListeners(1).listenerCount('peerclose');
      window.p2pcf.once('peerclose', () => void calls.push('once'));
      calls.push(`${window.p2pcf.listenerCount('peerclose') - before} more`);
      peer.on('error', (error) => void calls.push(error.message)).on('close', () => void calls.push('close'));
      peer.on('data', never).removeAllListeners('data');
      peer.destroy(new Error('enough'));
      return calls;
    });
    expect(calls).toEqual(['1 more', 'enough', 'once', 'close']);
    await logged(alice, 'error: enough');
  });
});
