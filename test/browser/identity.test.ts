/** Who a peer is, whoever holds its id in the room: a Peer is one certificate for its whole life. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
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

let room = '';
const newPage = pagesOfEachTest(() => browser);
beforeEach(() => {
  room = newRoom();
});
async function join(name: string, options: object = {}): Promise<Page> {
  const page = await newPage(pages.url);
  await enter(page, server.url, room, name, options);
  return page;
}

/**
 * A page that goes by an id without this library, so that anyone may take it: offers to all whom it finds, and answers.
 * What it hears is in `got`, and in `log` that its channel is open; `window.bare` has its socket and connection.
 */
async function joinBare(id: string): Promise<Page> {
  const page = await newPage(pages.url);
  const start = async (url: string): Promise<void> => {
    window.log = [];
    window.got = [];
    const socket = new WebSocket(url);
    const bare = { socket, connection: new RTCPeerConnection() };
    Object.assign(window, { bare });
    const use = (channel: RTCDataChannel): void => {
      channel.binaryType = 'arraybuffer';
      channel.onopen = () => window.log.push('open');
      channel.onmessage = ({ data }) =>
        window.got.push({ from: '', length: data.byteLength, sum: '', text: new TextDecoder().decode(data) });
    };
    const { connection } = bare;
    connection.ondatachannel = ({ channel }) => use(channel);
    const send = (targetId: string): void =>
      socket.send(JSON.stringify({ type: 'signal', targetId, signal: connection.localDescription }));
    /** With all its candidates. */
    const describe = async (targetId: string): Promise<void> => {
      await connection.setLocalDescription();
      if (connection.iceGatheringState === 'complete') send(targetId);
      else connection.onicegatheringstatechange = () => connection.iceGatheringState === 'complete' && send(targetId);
    };
    socket.onmessage = async ({ data }) => {
      const { type, peers = [], fromId, signal } = JSON.parse(data);
      for (const peer of peers) {
        use(connection.createDataChannel('bare'));
        await describe(peer);
      }
      if (type !== 'signal') return;
      if (signal.sdp) await connection.setRemoteDescription({ type: signal.type, sdp: signal.sdp });
      for (const each of signal.candidates ?? []) await connection.addIceCandidate(each);
      if (signal.type === 'offer') await describe(fromId);
    };
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
  };
  const path = `/ws/room/${encodeURIComponent(room)}?clientId=${id}`;
  await inPage(page, start, server.url.replace('http', 'ws') + path);
  return page;
}

/** Remembers Alice's present peer of this id, to be told from a later one. */
const remember = (id: string): void => {
  Object.assign(window, { first: window.room.peers.get(id) });
};
const isFirst = (id: string): unknown => [
  window.room.peers.get(id) === Reflect.get(window, 'first'),
  window.room.peers.get(id)?.connected,
];

test('a stranger under the id of a peer hears nothing meant for it, and is another peer once that is gone', async () => {
  const alice = await join('Alice');
  const bob = await joinBare('bob');
  await connected(alice, 1);
  await inPage(alice, remember, 'bob');
  const eve = await joinBare('bob');
  await until(eve, true, () => Reflect.get(window, 'bare').connection.signalingState === 'have-local-offer');
  await inPage(alice, () => window.room.send(Reflect.get(window, 'first'), 'for Bob alone'));
  await heard(bob, 'for Bob alone');
  // Her goodbye is not Bob's, nor is that of another who takes the offer Alice has published.
  await inPage(eve, () => Reflect.get(window, 'bare').socket.close(1000));
  await say(alice, 'still for Bob');
  await heard(bob, 'still for Bob');
  expect(await inPage(alice, isFirst, 'bob')).toEqual([true, true]);
  expect(await inPage(alice, () => window.log)).toEqual(['connect bob']);
  expect(await inPage(eve, () => [window.log, window.got])).toEqual([[], []]);

  const mallory = await joinBare('bob');
  await until(mallory, true, () => Reflect.get(window, 'bare').connection.iceGatheringState === 'complete');
  await say(alice, 'and this');
  await heard(bob, 'and this');
  await inPage(bob, () => Reflect.get(window, 'bare').connection.close());
  await until(alice, ['connect bob', 'close bob'], () => window.log.slice(0, 2));
  await until(alice, false, (id) => window.room.peers.get(id) === Reflect.get(window, 'first'), 'bob');
  expect(await inPage(mallory, () => window.got)).toEqual([]);
  expect(await inPage(alice, () => Reflect.get(window, 'first').connected)).toBe(false);
});

test('a stranger under the id of a peer whose connection has failed is another peer', async () => {
  const alice = await join('Alice');
  await joinBare('bob');
  await connected(alice, 1);
  await inPage(alice, remember, 'bob');
  await inPage(alice, () => {
    const first = Reflect.get(window, 'first');
    Object.defineProperty(first._pc, 'connectionState', { value: 'failed' });
    first._pc.onconnectionstatechange();
  });
  const eve = await joinBare('bob');
  await until(alice, ['connect bob', 'close bob', 'connect bob'], () => window.log);
  expect(await inPage(alice, isFirst, 'bob')).toEqual([false, true]);
  await inPage(alice, () => window.room.send(Reflect.get(window, 'first'), 'for Bob alone').catch(() => undefined));
  await say(alice, 'for all');
  await heard(eve, 'for all');
  expect(await inPage(eve, () => window.got.map(({ text }) => text))).toEqual(['for all']);
});

test('a stranger under a connected peer’s id that takes the offer ahead does not end the connection', async () => {
  const alice = await join('Alice');
  const bob = await joinBare('bob');
  await connected(alice, 1);
  await inPage(alice, remember, 'bob');
  const eve = await newPage(pages.url);
  const path = `/ws/room/${encodeURIComponent(room)}?clientId=bob&ahead=1`;
  const take = async (url: string): Promise<unknown> => {
    for (;;) {
      const socket = new WebSocket(url);
      const offers = await new Promise<object>((resolve) => {
        socket.onmessage = ({ data }) => resolve(JSON.parse(data).offers);
      });
      if (offers) return Object.keys(offers).length;
      socket.close(1000);
      await new Promise((resolve) => setTimeout(resolve, 100)); // it has not been published yet
    }
  };
  expect(await inPage(eve, take, server.url.replace('http', 'ws') + path)).toBe(1);
  await until(alice, 1, () => window.room.peers.size);
  await say(alice, 'for Bob');
  await heard(bob, 'for Bob');
  expect(await inPage(alice, isFirst, 'bob')).toEqual([true, true]);
});

test('all see one certificate, in one form, whatever became of the connection', async () => {
  const [alice, carol] = [await join('Alice'), await join('Carol')];
  const bob = await join('Bobby');
  for (const page of [alice, bob, carol]) await connected(page, 2);
  const ofBob = (page: Page): Promise<unknown> =>
    inPage(page, () => [...window.room.peers.values()].find(({ client_id }) => client_id === 'Bobby')?.fingerprint);
  const fingerprint = await ofBob(alice);
  expect(fingerprint).toMatch(/^sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  expect(await ofBob(carol)).toBe(fingerprint);
  await inPage(bob, () => window.room.destroy());
  for (const page of [alice, carol]) await connected(page, 1);
  await inPage(bob, () => window.room.start());
  for (const page of [alice, carol]) await connected(page, 2);
  expect(await ofBob(alice)).toBe(fingerprint);
});

test('a page may be open for a year: until then its certificate is good for new connections', async () => {
  const page = await newPage(pages.url);
  await inPage(page, () => {
    window.log = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        for (const { expires } of configuration?.certificates ?? [])
          window.log.push(`${Math.round((expires - Date.now()) / (24 * 60 * 60 * 1000))} days`);
      }
    };
  });
  const start = (url: string, room: string): Promise<void> =>
    new P2PCF('Alice', room, { workerUrl: url, stunIceServers: [] }).start();
  await inPage(page, start, server.url, room);
  await until(page, '365 days', () => window.log[0]);
});

/** A page that logs each socket it opens; `givePlaceAway` closes the last as the room does for another's sake. */
async function pageOfSockets(): Promise<Page> {
  const page = await newPage(pages.url);
  await page.evaluate(() => {
    window.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        window.log.push('socket');
        const close = new CloseEvent('close', { code: 4009, reason: 'Id is taken' });
        Object.assign(window, { givePlaceAway: () => this.dispatchEvent(close) });
      }
    };
  });
  return page;
}

test('when its place is given to somebody else, a client comes back under a new session id', async () => {
  const alice = await join('Alice');
  const bob = await pageOfSockets();
  await enter(bob, server.url, room, 'Bobby', {}, () => {
    window.room
      .on('state', (state) => window.log.push(state))
      .on('sessionchange', () => window.log.push('new session'));
  });
  for (const page of [alice, bob]) await connected(page, 1);
  const before = await inPage(bob, () => window.room.sessionId);
  await inPage(bob, () => Reflect.get(window, 'givePlaceAway')());
  for (const page of [alice, bob]) await connected(page, 1);
  await until(alice, ['connect Bobby', 'close Bobby', 'connect Bobby'], () => window.log);
  const after = await inPage(bob, () => window.room.sessionId);
  expect(after).not.toBe(before);
  expect(await inPage(alice, () => [...window.room.peers.keys()])).toEqual([after]);
  expect(await inPage(bob, () => window.log)).toEqual([
    'connecting',
    'socket',
    'open',
    'connect Alice',
    'close Alice',
    'new session',
    'connecting',
    'socket',
    'open',
    'connect Alice',
  ]);
  await say(bob, 'back again');
  await heard(alice, 'back again');
});

test('an app that leaves and starts as its peers close, because its place is given away, comes back once', async () => {
  const alice = await join('Alice');
  const bob = await pageOfSockets();
  await enter(bob, server.url, room, 'Bobby', {}, () => {
    window.room.once('peerclose', () => {
      window.room.destroy();
      window.room.start().then(
        () => window.log.push('started'),
        (error) => window.log.push(String(error)),
      );
    });
  });
  await connected(alice, 1);
  await inPage(bob, () => {
    window.log = [];
    Reflect.get(window, 'givePlaceAway')();
  });
  await until(bob, ['close Alice', 'socket', 'started', 'connect Alice'], () => window.log);
});
