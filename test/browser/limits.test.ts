/** What a member that means harm can make of a page: less than it takes to harm it. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Peer } from '../../src/client/index.ts';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { connected, enter, heard, inPage, say, until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const MIB = 1024 * 1024;

let server: Server;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  const globals = `import P2PCF from './src/client/index.ts'; import { signalFrames } from './src/client/chunks.ts';
    Object.assign(globalThis, { P2PCF, signalFrames });`;
  [server, pages, browser] = await Promise.all([startWorkerd(), servePage(globals), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([browser.close(), pages.stop(), server.stop()]);
});

let room = '';
const newPage = pagesOfEachTest(() => browser);
beforeEach(() => {
  room = newRoom();
});
/** A page that has joined; its peers' states, errors and sockets are counted in the page. */
async function join(name: string, options: object = {}): Promise<Page> {
  const page = await newPage(pages.url);
  await page.evaluate(() => {
    Object.assign(window, { sockets: 0, made: 0, problems: [] });
    const count = (name: 'sockets' | 'made'): void => {
      Reflect.set(window, name, Reflect.get(window, name) + 1);
    };
    window.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        count('sockets');
      }
    };
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        count('made');
      }
    };
  });
  await enter(page, server.url, room, name, options, () => {
    const problems: string[] = Reflect.get(window, 'problems');
    window.room
      .on('peerjoin', (peer) => peer.on('error', (error) => problems.push(error.message)))
      .on('peerstate', (_peer, state, reason) => reason && problems.push(`${state}: ${reason}`));
  });
  return page;
}

/** The page still meets whoever comes, and hears it. */
async function meetBob(page: Page): Promise<void> {
  const bob = await join('Bobby');
  await until(page, 1, () => window.room.connectedSessions.length);
  await say(bob, 'all is well');
  await heard(page, 'all is well');
}

const problems = (page: Page, part: string): Promise<void> =>
  until(page, true, (part) => Reflect.get(window, 'problems').join().includes(part), part);

/** A bare member of the room, in this process. */
async function bare(
  id: string,
): Promise<{ heard: string[]; send: (targetId: string, signal: unknown) => void; close: () => void }> {
  const url = `${server.url.replace('http', 'ws')}/ws/room/${encodeURIComponent(room)}?clientId=${id}`;
  const socket = new WebSocket(url);
  const heard: string[] = [];
  await new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(heard.push(data));
    socket.onerror = reject;
  });
  return {
    heard,
    send: (targetId, signal) => socket.send(JSON.stringify({ type: 'signal', targetId, signal })),
    close: () => socket.close(1000),
  };
}

const sessionOf = async (page: Page): Promise<string> => String(await inPage(page, () => window.room.sessionId));

/** How many connections a page has made. */
const made = async (page: Page): Promise<number> => Number(await inPage(page, () => Reflect.get(window, 'made')));

/** An offer that a page has made of so many audio sections. */
async function offerOf(page: Page, sections: number): Promise<RTCSessionDescriptionInit> {
  return await page.evaluate(async (sections) => {
    const connection = new RTCPeerConnection();
    connection.createDataChannel('any');
    for (let n = 0; n < sections; n++) connection.addTransceiver('video');
    const { type, sdp = '' } = await connection.createOffer();
    connection.close();
    return { type, sdp };
  }, sections);
}

/** The offer with so many sections more, as short as they can be: what all have is said once, before them. */
function swollen(
  { type, sdp = '' }: RTCSessionDescriptionInit,
  sections: number,
  areShared = true,
): RTCSessionDescriptionInit {
  const common = sdp.match(/^a=(ice-ufrag|ice-pwd|fingerprint|setup):.*\r\n/gm)?.join('') ?? '';
  const section = (n: number): string =>
    `m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:x${n}\r\na=sendrecv\r\na=rtcp-mux\r\n`;
  const more = Array.from({ length: sections }, (_, n) => section(n));
  const group = areShared ? `$& ${more.map((_, n) => `x${n}`).join(' ')}` : 'a=x-none';
  const all = sdp.replace('\r\nm=', `\r\n${common}m=`).replace(/^a=group:BUNDLE [^\r]*/m, group);
  return { type, sdp: [all, ...more].join('') };
}

test('an offer of 300 m-lines is refused with a reason, and costs no socket', async () => {
  const alice = await join('Alice');
  const eve = await bare('eve');
  const offer = swollen(await offerOf(alice, 0), 300);
  expect(JSON.stringify(offer).length).toBeLessThan(64_000);
  eve.send(await sessionOf(alice), { ...offer, attempt: 'eve' });
  await problems(alice, 'm-lines');
  expect(await inPage(alice, () => Reflect.get(window, 'sockets'))).toBe(1);
  await meetBob(alice);
  eve.close();
});

test.each([
  ['feedback for all formats', 'a=rtcp-fb:* x'],
  ['feedback for one format', 'a=rtcp-fb:96 x'],
  ['formats', 'a=fmtp:96 x'],
])('an offer of nothing but lines of %s freezes no page', async (_what, line) => {
  const alice = await join('Alice');
  const eve = await bare('eve');
  const offer = await offerOf(alice, 1);
  const sdp = `${offer.sdp}${Array.from({ length: 1_800 }, (_, n) => `${line}${n}\r\n`).join('')}`;
  for (let n = 0; n < 9; n++) eve.send(await sessionOf(alice), { type: 'offer', sdp, attempt: `eve ${n}` });
  await problems(alice, 'too many lines for one m-line');
  await meetBob(alice);
  eve.close();
});

test('an offer of m-lines that have a connection each, for which a browser opens sockets, is refused', async () => {
  const alice = await join('Alice');
  const eve = await bare('eve');
  eve.send(await sessionOf(alice), { ...swollen(await offerOf(alice, 0), 40, false), attempt: 'eve' });
  await problems(alice, 'too many lines for one m-line');
  await meetBob(alice);
  eve.close();
});

test('an offer of forty m-lines, each with header extensions that no browser knows, freezes no page', async () => {
  const alice = await join('Alice');
  const eve = await bare('eve');
  const extensions = Array.from({ length: 14 }, (_, n) => `a=extmap:${n + 1} urn:${n}\r\n`).join('');
  const { type, sdp = '' } = swollen(await offerOf(alice, 0), 40);
  eve.send(await sessionOf(alice), { type, sdp: sdp.replaceAll('a=sendrecv\r\n', `a=sendrecv\r\n${extensions}`) });
  await problems(alice, 'too many lines for one m-line');
  await meetBob(alice);
  eve.close();
});

test('offers of a hundred m-lines from ever so many are not all read, and who offers less is met', async () => {
  const alice = await join('Alice');
  const offer = swollen(await offerOf(alice, 0), 98);
  const to = await sessionOf(alice);
  const eves = [];
  for (let n = 0; n < 8; n++) eves.push(await bare(`eve${n}`));
  for (const eve of eves) eve.send(to, { ...offer, attempt: 'eve' });
  await problems(alice, 'Too much media is described');
  await meetBob(alice);
  for (const eve of eves) eve.close();
});

test('a description of ours that is too long for the room is not sent, but one without media is', async () => {
  const alice = await join('Alice', { sdpTransform: undefined });
  await inPage(alice, () => {
    window.room.on('peerjoin', (peer) => {
      for (let n = 0; n < 40; n++) peer.addTransceiver('video');
    });
  });
  const { heard } = await bare('bob'); // it does not offer
  await until(alice, true, () => window.room.peers.has('bob'));
  await inPage(alice, () => void Object(window.room.peers.get('bob')).negotiator.initiate());
  await expect.poll(() => heard.some((text) => text.includes('"type":"offer"')), WAIT).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 3_000)); // longer than until it would be sent again
  expect(heard.filter((text) => text.includes('m=video'))).toEqual([]);
  expect(await inPage(alice, () => Reflect.get(window, 'sockets'))).toBe(1);
});

test('500 offers of new attempts make a dozen connections', async () => {
  const alice = await join('Alice');
  const eve = await bare('eve');
  const { type, sdp } = await offerOf(alice, 0);
  const before = await made(alice);
  const to = await sessionOf(alice);
  for (let n = 0; n < 500; n++) {
    eve.send(to, { type, sdp, attempt: `attempt ${n}` });
    if (n % 25 === 24) await new Promise((resolve) => setTimeout(resolve, 600)); // what the room lets through
  }
  await problems(alice, 'too often');
  expect((await made(alice)) - before).toBeLessThan(25);
  const bob = await join('Bobby');
  await say(bob, 'hello').catch(() => undefined);
  await until(bob, true, () => window.room.connectedSessions.length > 0);
  eve.close();
});

test('a peer whose every offer on the channel makes no sense has us start over a dozen times', async () => {
  const [alice, eve] = [await join('Alice'), await join('Eve ')];
  await inPage(eve, () => {
    const spoil = (peer: Peer): void => {
      const certificate = /a=fingerprint:.*/.exec(peer._pc.localDescription?.sdp ?? '')?.[0].trim();
      const offer = { type: 'offer', sdp: `v=0\r\n${certificate}\r\nm=x\r\n` };
      for (const frame of Reflect.get(window, 'signalFrames')(offer, 1)) peer._channel?.send(frame);
    };
    window.room.on('peerconnect', (peer) => setTimeout(spoil, 0, peer));
    for (const peer of window.room.peers.values()) if (peer.connected) spoil(peer);
  });
  const before = await made(alice);
  await problems(alice, 'The negotiation failed');
  expect((await made(alice)) - before).toBeLessThan(25);
});

test.each([
  ['under one id', () => 'eve', 20, 45],
  ['under ever new ids', (n: number) => `eve ${n}`, 60, 320],
])(
  'a stranger that joins, offers ten connections and leaves, again and again %s, makes few, and others are met',
  async (_how, idOf, times, most) => {
    const alice = await join('Alice');
    const { type, sdp } = await offerOf(alice, 0);
    const before = await made(alice);
    const to = await sessionOf(alice);
    for (let n = 0; n < times; n++) {
      const eve = await bare(encodeURIComponent(idOf(n)));
      for (let attempt = 0; attempt < 10; attempt++) eve.send(to, { type, sdp, attempt: `${n} ${attempt}` });
      eve.send('nobody', 'so that the room has read all');
      await expect.poll(() => eve.heard.some((text) => text.includes('unknown_peer')), WAIT).toBe(true);
      eve.close();
    }
    const bob = await join('Bobby');
    for (const page of [alice, bob]) await connected(page, 1);
    await say(bob, 'hello');
    await heard(alice, 'hello');
    expect((await made(alice)) - before).toBeLessThan(most);
  },
);

test('a peer that connects and floods the channel with signals is closed with an error', async () => {
  const [alice, eve] = [await join('Alice'), await join('Eve ')];
  for (const page of [alice, eve]) await connected(page, 1);
  await inPage(eve, () => {
    const [peer] = window.room.peers.values();
    const frames: Uint8Array<ArrayBuffer>[] = [
      ...Reflect.get(window, 'signalFrames')({ candidate: { candidate: '' } }, 1),
    ];
    for (let n = 0; n < 1000; n++) for (const frame of frames) peer?._channel?.send(frame);
  });
  await problems(alice, 'too many signals');
});

test('a peer that describes ever so many tracks, each time within the limits, is closed with an error', async () => {
  const [alice, eve] = [await join('Alice'), await join('Eve ')];
  for (const page of [alice, eve]) await connected(page, 1);
  const offer = swollen(await offerOf(eve, 0), 95);
  const send = (offer: object): void => {
    const [peer] = window.room.peers.values();
    for (let n = 0; n < 30; n++) peer?._channel?.send([...Reflect.get(window, 'signalFrames')(offer, n)][0]);
  };
  expect(JSON.stringify(offer).length).toBeLessThan(16_000); // one frame
  await inPage(eve, send, offer);
  await problems(alice, 'Too much media is described');
});

test('a peer that names ever other candidates, each time within the limits, is closed with an error', async () => {
  const [alice, eve] = [await join('Alice'), await join('Eve ')];
  for (const page of [alice, eve]) await connected(page, 1);
  await inPage(eve, () => {
    const [peer] = window.room.peers.values();
    const sdp = peer?._pc.localDescription?.sdp.replaceAll(/^a=setup:.*/gm, 'a=setup:actpass') ?? '';
    for (let n = 0; n < 6; n++) {
      const lines = Array.from({ length: 200 }, (_, k) => `a=candidate:${n} 1 udp 1 127.0.${n}.${k} 9 typ host\r\n`);
      const offer = { type: 'offer', sdp: sdp.replace(/^(o=\S+ \S+).\d+/m, `$1 ${100 + n}`) + lines.join('') };
      for (const frame of Reflect.get(window, 'signalFrames')(offer, n)) peer?._channel?.send(frame);
    }
  });
  await problems(alice, 'too many candidates');
});

test('more than the page can hold is not taken to be sent', async () => {
  const [alice, bob] = [await join('Alice'), await join('Bobby')];
  for (const page of [alice, bob]) await connected(page, 1);
  const sent = await inPage(alice, async () => {
    const large = new Blob([new Uint8Array(200 * 1024 * 1024)]);
    const sends = [large, large, large].map((each) =>
      window.room.broadcast(each).catch((error: Error) => error.message),
    );
    const last = await sends.at(-1);
    window.room.destroy();
    await Promise.all(sends);
    return last;
  });
  expect(sent).toMatch(/^419430400 bytes wait to be sent to \S+: wait until send resolves\.$/);
});

test.each([
  ['is no JSON', 'a'],
  ['is JSON, and no signal', ' '],
])(
  'a peer that floods the channel with what is marked as a signal and %s is closed before it has been read',
  async (_what, filling) => {
    const [alice, eve] = [await join('Alice'), await join('Eve ')];
    for (const page of [alice, eve]) await connected(page, 1);
    const flood = async (filling: string): Promise<number> => {
      const [peer] = window.room.peers.values();
      const channel = peer?._channel;
      const [marked] = [...Reflect.get(window, 'signalFrames')({}, 1)];
      const frame = new Uint8Array(250_000).fill(filling.charCodeAt(0));
      frame.set(marked);
      const began = performance.now();
      for (let n = 0; n < 400 && channel?.readyState === 'open'; n++) {
        channel.send(frame);
        while (channel.readyState === 'open' && channel.bufferedAmount > 1_000_000)
          await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return performance.now() - began;
    };
    const ms = Number(await inPage(eve, flood, filling));
    await problems(alice, 'too many signals');
    // Each counts for 62 signals: eight at once, and one more every 3.1 s, which is how long a busy machine may take.
    expect(await inPage(alice, () => window.got.length)).toBeLessThan(10 + ms / 3_100);
  },
);

test('a peer that takes no message as long as a signal is closed with an error', async () => {
  const alice = await join('Alice');
  const eve = await newPage(pages.url);
  const shrink = (): void => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
      send.call(this, String(data).replaceAll(/a=max-message-size:\d+/g, 'a=max-message-size:100'));
    };
  };
  await enter(eve, server.url, room, 'Eve ', { offersAhead: false }, shrink);
  await connected(alice, 1);
  await inPage(alice, () => {
    for (const peer of window.room.peers.values()) peer.addTransceiver('audio');
  });
  await problems(alice, 'It takes no signal of ours');
  // newPage sees that nothing was thrown.
});

test('a message that is longer than any may be ends the connection with an error; send refuses it at once', async () => {
  const [alice, eve] = [await join('Alice'), await join('Eve ')];
  for (const page of [alice, eve]) await connected(page, 1);
  const refused = await eve.evaluate(
    async (bytes) => {
      const [peer] = window.room.peers.values();
      const sent = peer?.send(new Uint8Array(bytes)) ?? Promise.resolve();
      return await sent.then(String, (error: Error) => error.message);
    },
    256 * MIB + 1,
  );
  expect(refused).toContain('is the most');
  await inPage(eve, () => {
    const [peer] = window.room.peers.values();
    const frame = new DataView(new ArrayBuffer(16_000));
    frame.setUint16(0, 8121, true);
    frame.setUint32(8, 300_000_000, true);
    peer?._channel?.send(frame);
  });
  await problems(alice, '300000000 bytes');
});

test('where there is room for two, four meet in turn, and who waits can be seen', async () => {
  const alice = await join('Alice', { maxConnections: 2, offersAhead: false });
  await bare('fake1');
  await bare('fake2');
  await until(alice, 2, () => window.room.peers.size);
  const bob = await join('Bobby');
  await until(alice, ['connecting', 'connecting', 'waiting'], () =>
    Array.from(window.room.peers.values(), ({ state }) => state),
  );
  expect(await inPage(alice, () => window.room.peers.get('fake1')?.client_id)).toBe('fake1');
  const haveStats = (): Promise<boolean[]> =>
    Promise.all(Array.from(window.room.peers.values(), async (peer) => (await peer.getStats()).size > 0));
  expect(await inPage(alice, haveStats), 'no connection is made to ask it').toEqual([true, true, false]);
  // Those that do not connect in time give their turn away.
  await connected(alice, 1);
  await say(bob, 'at last');
  await heard(alice, 'at last');
});

test('a browser that refuses a connection is asked again', async () => {
  const alice = await newPage(pages.url);
  await alice.evaluate(() => {
    Object.assign(window, { isFull: true });
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        if (Reflect.get(window, 'isFull'))
          throw new DOMException('Cannot create so many PeerConnections', 'UnknownError');
        super(configuration);
      }
    };
  });
  await enter(alice, server.url, room, 'Alice', {}, () => {
    window.room.on('peerstate', (_peer, state, reason) => window.log.push(`${state} ${reason}`));
  });
  await join('Bobby');
  await until(alice, true, () => window.log.join().includes('waiting UnknownError: Cannot create so many'));
  await inPage(alice, () => Object.assign(window, { isFull: false }) && undefined);
  await connected(alice, 1);
});
