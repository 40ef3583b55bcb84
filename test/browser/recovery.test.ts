/** What lost connections to the server, and lost servers, do to pages that talk: nothing. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { Client } from '../support/client.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faults.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { connected, enter, heard, inPage, say, until } from '../support/room-page.ts';
import { startWorkerd, type Workerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const GRACE_SECONDS = 3;

let server: Workerd;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([
    startWorkerd({ vars: { RESUME_GRACE_SECONDS: GRACE_SECONDS } }),
    servePage(),
    launchChromium(),
  ]);
});
afterAll(async () => {
  await Promise.all([browser.close(), pages.stop(), server.stop()]);
});

let room = '';
let lines: Line[] = [];
beforeEach(() => {
  room = newRoom();
});
afterEach(async () => {
  const errors = lines.flatMap(({ page }) => page.errors);
  for (const { page, proxy } of lines) {
    await page.context().close();
    await proxy.stop();
  }
  lines = [];
  expect(errors).toEqual([]);
});

/** A page and its way to the server. */
interface Line {
  page: Page & { errors: string[] };
  proxy: FaultyProxy;
}

async function newLine(): Promise<Line> {
  const line = { page: await openPage(browser, pages.url), proxy: await startFaultyProxy(server.url) };
  lines.push(line);
  return line;
}

/** Joins through its proxy, as a client that notices a silent connection within 1.4 s. */
async function join({ page, proxy }: Line, name: string, beforeStart?: () => void): Promise<void> {
  await enter(page, proxy.url, room, name, { pingEveryMs: 1000 }, beforeStart);
}

const state = (page: Page, state: string): Promise<void> => until(page, state, () => window.room.state);
/** What the page saw of the others, without the witness. */
const events = (page: Page): Promise<string[]> =>
  page.evaluate(() => window.log.filter((event) => !event.endsWith('witness')));

/** What the page saw of `name` from the first such event on. */
async function since(page: Page, what: 'connect' | 'heard', name: string): Promise<string[]> {
  const ofName = (await events(page)).filter((event) => event.endsWith(name));
  return ofName.slice(ofName.indexOf(`${what} ${name}`));
}

/**
 * Alice and Bob have connected, and nothing has happened to them since. Before that, a page on a busy machine may have
 * taken a socket that is slow for a silent one, and a member that is not back in time for one that has left.
 */
async function metOnce(alice: Page, bob: Page): Promise<void> {
  expect([await since(alice, 'connect', 'Bobby'), await since(bob, 'connect', 'Alice')]).toEqual([
    ['connect Bobby'],
    ['connect Alice'],
  ]);
}

/**
 * Sends a number to every open peer 20 times a second, each in the peer's own sequence. The first that is heard of a
 * peer is logged: from then on both have the channel. Before, a member that is lost may be given up by the other, to
 * which the channel is not open yet.
 */
function count(): void {
  const sent: Record<string, number> = {};
  const got: Record<string, number[]> = {};
  window.room.on('peerconnect', (peer) => {
    sent[peer.id] = 0;
  });
  window.room.on('msg', (peer, data) => {
    if (!got[peer.id]) window.log.push(`heard ${peer.client_id}`);
    got[peer.id] ??= [];
    got[peer.id]?.push(Number(new TextDecoder().decode(data)));
  });
  const timer = setInterval(() => {
    for (const peer of window.room.peers.values()) {
      if (!peer.connected) continue;
      const number = sent[peer.id] ?? 0;
      sent[peer.id] = number + 1;
      void peer.send(String(number));
    }
  }, 50);
  window.counting = { sent, got, stop: () => clearInterval(timer) };
}

describe.each([2, 5])('%i pages', (howMany) => {
  test('through 100 faults every channel stays open and loses nothing, and in the end all know who is here', async () => {
    const names = Array.from({ length: howMany }, (_, n) => `page ${n}`);
    for (const _ of names) await newLine();
    const random = <T>(choices: readonly T[]): T => {
      const choice = choices[Math.floor(Math.random() * choices.length)];
      if (choice === undefined) throw new Error('no choice');
      return choice;
    };
    const upTo = (ms: number): number => Math.random() * ms;
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const history: string[] = [];
    const faults: Record<string, (proxy: FaultyProxy) => void | Promise<void>> = {
      drop: (proxy) => proxy.drop(),
      reset: (proxy) => proxy.reset(),
      halfOpen: (proxy) => proxy.halfOpen(),
      stall: (proxy) => proxy.stall(upTo(1500)),
      delay: (proxy) => proxy.delay(upTo(200)),
      async outage(proxy) {
        proxy.refuse(true);
        proxy.drop();
        await pause(upTo(1000));
        proxy.refuse(false);
      },
    };

    // Counting from before the start: another page may be connected, and have sent, as soon as that.
    const joining = lines.map((line, n) => join(line, names[n] ?? '', count));
    for (let n = 0; n < 100; n++) {
      const kind = n % 20 === 19 ? 'crash' : random(Object.keys(faults));
      history.push(kind);
      if (kind === 'crash') await server.restart();
      else {
        const hit = lines.filter(() => Math.random() < 0.5);
        await Promise.all((hit.length > 0 ? hit : [random(lines)]).map(({ proxy }) => faults[kind]?.(proxy)));
      }
      await pause(upTo(300));
    }
    for (const { proxy } of lines) proxy.delay(0);
    await Promise.all(joining);
    for (const { page } of lines) await connected(page, howMany - 1);
    for (const { page } of lines) await state(page, 'open');

    const ids = await Promise.all(lines.map(({ page }) => inPage(page, () => window.room.sessionId)));
    for (const [n, { page }] of lines.entries()) {
      const others = ids.filter((id) => id !== ids[n]).sort();
      await until(page, others, () => [...window.room.peers.keys()].sort());
      await until(page, true, (ids) => ids.every((id) => window.counting.got[id]), others.map(String));
    }
    await expect.poll(async () => await listed(), WAIT).toEqual([...ids].sort());
    for (const { page } of lines) await inPage(page, () => window.counting.stop());
    for (const [n, { page }] of lines.entries()) {
      for (const name of names.filter((name) => name !== names[n]))
        expect(await since(page, 'heard', name), history.join()).toEqual([`heard ${name}`]);
      for (const [m, other] of lines.entries()) {
        if (m === n) continue;
        const sent = Number(await inPage(other.page, (id) => window.counting.sent[id], String(ids[n])));
        const all = Array.from({ length: sent }, (_, number) => number);
        await until(page, all, (id) => window.counting.got[id], String(ids[m]));
      }
    }
  });
});

/** Who is in the room, as a client that joins sees it. */
async function listed(): Promise<string[]> {
  const witness = await Client.connect(placeOf(server), room, 'witness');
  const { peers } = Object(await witness.next());
  await witness.close();
  return peers.sort();
}

test('a member that is away for longer than its place is held stays connected, also when it is back', async () => {
  const [alice, bob] = [await newLine(), await newLine()];
  await join(alice, 'Alice');
  await join(bob, 'Bobby');
  for (const { page } of [alice, bob]) await connected(page, 1);
  const witness = await Client.join(placeOf(server), room, 'witness');
  alice.proxy.refuse(true);
  alice.proxy.drop();
  await expect.poll(() => witness.next(), WAIT).toMatchObject({ type: 'peer_leave', reason: 'timeout' }); // after offers
  await say(alice.page, 'nobody misses me');
  await heard(bob.page, 'nobody misses me');
  alice.proxy.refuse(false);
  await state(alice.page, 'open');
  await expect.poll(() => witness.next(), WAIT).toMatchObject({ type: 'peer_join' }); // and after others
  await witness.close();
  await say(bob.page, 'were you away?');
  await heard(alice.page, 'were you away?');
  await metOnce(alice.page, bob.page);
});

test('a member that is lost when only the channel on one side is not open yet stays connected', async () => {
  const [alice, bob] = [await newLine(), await newLine()];
  await join(alice, 'Alice');
  // Alice sees the channel open before Bob does, who hears meanwhile that her place is held no longer.
  const holdBack = (): void => {
    const { prototype } = RTCPeerConnection;
    const { set } = Object.getOwnPropertyDescriptor(prototype, 'ondatachannel') ?? {};
    const held = new Promise((resolve) => Object.assign(window, { release: resolve }));
    Object.defineProperty(prototype, 'ondatachannel', {
      set(listener: typeof prototype.ondatachannel) {
        set?.call(this, listener && ((event: RTCDataChannelEvent) => held.then(() => listener.call(this, event))));
      },
    });
  };
  await join(bob, 'Bobby', holdBack);
  await connected(alice.page, 1);
  await until(bob.page, 'connected', () => [...window.room.peers.values()][0]?._pc.connectionState);
  const witness = await Client.join(placeOf(server), room, 'witness');
  alice.proxy.refuse(true);
  alice.proxy.drop();
  await expect.poll(() => witness.next(), WAIT).toMatchObject({ type: 'peer_leave', reason: 'timeout' });
  await witness.close(1000);
  await until(bob.page, false, () => window.room.peers.has('witness')); // so it has heard all that was said before
  await inPage(bob.page, () => Reflect.get(window, 'release')()); // before she speaks: an unheard channel keeps nothing
  await say(alice.page, 'still with you');
  await heard(bob.page, 'still with you');
  alice.proxy.refuse(false);
  await state(alice.page, 'open');
  await metOnce(alice.page, bob.page);
});

test('ICE that restarts while the server cannot be reached does so when it can', async () => {
  const [alice, bob] = [await newLine(), await newLine()];
  await join(alice, 'Alice');
  await join(bob, 'Bobby');
  for (const { page } of [alice, bob]) await connected(page, 1);
  const ufrag = (page: Page): Promise<unknown> =>
    inPage(page, () => {
      const [peer] = window.room.peers.values();
      return /a=ice-ufrag:(\S+)/.exec(peer?._pc.currentRemoteDescription?.sdp ?? '')?.[1];
    });
  const before = await ufrag(bob.page);
  alice.proxy.refuse(true);
  alice.proxy.drop();
  await state(alice.page, 'reconnecting');
  await inPage(alice.page, () => window.dispatchEvent(new Event('online')));
  await until(alice.page, 'have-local-offer', () => [...window.room.peers.values()][0]?._pc.signalingState);
  expect(await ufrag(bob.page)).toBe(before);
  alice.proxy.refuse(false);
  await expect.poll(() => ufrag(bob.page), WAIT).not.toBe(before);
  await say(alice.page, 'here by another way');
  await heard(bob.page, 'here by another way');
  await metOnce(alice.page, bob.page);
});

test('after a crash of the server known members are waited for as long as a place is held', async () => {
  const alice = await newLine();
  await join(alice, 'Alice');
  const stays = await Client.join(placeOf(server), room, 'stays');
  const goes = await Client.join(placeOf(server), room, 'goes');
  const known = (...ids: string[]): Promise<void> => until(alice.page, ids, () => [...window.room.peers.keys()].sort());
  await known('goes', 'stays');
  await server.restart();
  await Promise.all([stays.closed, goes.closed]);
  await state(alice.page, 'open');
  await known('goes', 'stays');
  await Client.join(placeOf(server), room, 'stays');
  await known('stays');
  expect(await events(alice.page)).toEqual(['close goes']);
});

test('a client that comes when another is away meets it when that is back', async () => {
  const [alice, bob] = [await newLine(), await newLine()];
  await join(alice, 'Alice');
  alice.proxy.refuse(true);
  alice.proxy.drop();
  await state(alice.page, 'reconnecting');
  await join(bob, 'Bobby');
  await until(bob.page, 1, () => window.room.peers.size);
  alice.proxy.refuse(false);
  for (const { page } of [alice, bob]) await connected(page, 1);
  await metOnce(alice.page, bob.page);
});

test('a member that came back unannounced is who it was', async () => {
  const [alice, bob] = [await newLine(), await newLine()];
  await join(alice, 'Alice');
  await join(bob, 'Bobby');
  for (const { page } of [alice, bob]) await connected(page, 1);
  alice.proxy.refuse(true);
  alice.proxy.drop();
  // Into the back-forward cache and out of it, while the server cannot be told.
  const dispatch = (type: string): void => {
    window.dispatchEvent(new PageTransitionEvent(type, { persisted: true }));
  };
  await inPage(alice.page, dispatch, 'pagehide');
  await connected(bob.page, 0);
  await inPage(alice.page, dispatch, 'pageshow');
  alice.proxy.refuse(false);
  for (const { page } of [alice, bob]) await connected(page, 1);
  expect(await since(bob.page, 'connect', 'Alice')).toEqual(['connect Alice', 'close Alice', 'connect Alice']);
});

test('an app that leaves in the midst of the first news leaves nothing behind', async () => {
  for (const name of ['bob', 'carol']) await Client.join(placeOf(server), room, name);
  const { page } = await newLine();
  const left = await page.evaluate(
    async ([url, room]) => {
      const made: RTCPeerConnection[] = [];
      const wrtc = {
        RTCPeerConnection: class extends RTCPeerConnection {
          constructor(configuration?: RTCConfiguration) {
            super(configuration);
            made.push(this);
          }
        },
      };
      const p2pcf = new P2PCF('Alice', room, { workerUrl: url, stunIceServers: [], wrtc });
      p2pcf.once('peerjoin', () => p2pcf.destroy());
      await p2pcf.start();
      await new Promise((resolve) => setTimeout(resolve)); // what was begun by then, and no more
      return [p2pcf.peers.size, p2pcf.state, made.filter(({ signalingState }) => signalingState !== 'closed').length];
    },
    [server.url, room] as const,
  );
  expect(left).toEqual([0, 'closed', 0]);
});

test('a room that is left while its socket hangs does not keep the page out of the next', async () => {
  const { page, proxy } = await newLine();
  proxy.delay(100);
  const start = (workerUrl: string, room: string): void => {
    window.room = new P2PCF('Alice', room, { workerUrl, stunIceServers: [] });
    window.room.start().catch(() => undefined); // it is left
  };
  await inPage(page, start, proxy.url, room);
  await expect.poll(() => proxy.connections, WAIT).toBe(1);
  proxy.halfOpen();
  await inPage(page, () => window.room.destroy());
  await inPage(page, start, proxy.url, newRoom());
  await state(page, 'open');
});

test('a tab that is closed while its socket opens leaves no ghost', async () => {
  const patient = await startWorkerd({ vars: { RESUME_GRACE_SECONDS: 3600 } }); // a place that is held is held for good
  const way = await startFaultyProxy(patient.url);
  const start = (workerUrl: string, room: string): void => {
    void new P2PCF('a ghost', room, { workerUrl, stunIceServers: [] }).start();
  };
  try {
    const witness = await Client.join(placeOf(patient), room, 'witness');
    for (const delay of [20, 60, 110]) {
      way.delay(delay);
      // Before the join has reached the room, while its answer is on its way, and when that has just come.
      for (const after of [0, 1.5 * delay, 2.2 * delay]) {
        const page = await openPage(browser, pages.url);
        await inPage(page, start, way.url, room);
        await page.waitForTimeout(after);
        await page.close();
        await page.context().close();
        expect(page.errors).toEqual([]);
      }
    }
    await Client.join(placeOf({ ...patient, url: way.url }), room, 'the last'); // by the same way, after all of them
    const present = new Set<unknown>();
    while (!present.has('the last') || present.size > 1) {
      const { type, clientId } = Object(await witness.next());
      if (type === 'peer_join') present.add(clientId);
      if (type === 'peer_leave') present.delete(clientId);
    }
    await witness.close(1000);
  } finally {
    await way.stop();
    await patient.stop();
  }
});
