/** Rooms with a key in real browsers, through a server that records all it sees; and who is known again. */
import type { Browser as Chromium } from 'playwright-core';
import type { Browser as Firefox } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ANSWER_WITHIN_MS } from '../../src/client/spare-connection.ts';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { launchFirefox, openInFirefox } from '../support/firefox.ts';
import { type Middleman, type Passing, startMiddleman } from '../support/middleman.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, inPage, type RoomPage, say, until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

type TestPage = RoomPage & { errors: string[]; close(): Promise<void>; reload(): Promise<unknown> };

/** A name that is not this machine's, so that a page there has no secure context. */
const INSECURE = 'insecure.test';

/** A busy machine takes longer to make an answer than a join waits. */
const AWAIT_ANSWER = `{
  const real = setTimeout;
  globalThis.setTimeout = (work, ms) => real(work, ms === ${ANSWER_WITHIN_MS} ? 60_000 : ms);
}`;

let server: Server;
let middleman: Middleman;
let pages: PageServer;
let firefox: Firefox;
let chromium: Chromium;
beforeAll(async () => {
  [server, pages, firefox, chromium] = await Promise.all([
    startWorkerd(),
    servePage(),
    launchFirefox(),
    launchChromium([`--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`]),
  ]);
  middleman = await startMiddleman(server.url);
});
afterAll(async () => {
  await Promise.all([firefox?.close(), chromium?.close(), middleman?.stop(), pages?.stop()]);
  await server?.stop();
});

let open: TestPage[] = [];
afterEach(async () => {
  const closing = open;
  open = [];
  middleman.meddle = undefined;
  for (const page of closing) await page.close();
  middleman.seen = []; // last, as a page whose peer has closed publishes another offer
  expect(closing.flatMap((page) => page.errors)).toEqual([]);
});

const parse = (text: string): Sealed => JSON.parse(text);

/** Enters, and writes down whom the library does not take, and why. */
async function enterTold(page: TestPage, room: string, name: string, key: string): Promise<void> {
  const enterNoting = (workerUrl: string, room: string, name: string, key: string): Promise<void> => {
    window.got = [];
    window.log = [];
    window.room = new P2PCF(name, room, {
      workerUrl,
      key,
      stunIceServers: [],
      onUntrusted: ({ clientId }, reason) => window.log.push(`${clientId}: ${reason}`),
    });
    window.room.on('msg', (peer, data) => {
      window.got.push({ from: peer.client_id, length: data.byteLength, sum: '', text: new TextDecoder().decode(data) });
    });
    return window.room.start();
  };
  await inPage(page, enterNoting, middleman.url, room, name, key);
}

async function newPage(browser: string, url = pages.url): Promise<TestPage> {
  const page: TestPage = browser === 'Firefox' ? await openInFirefox(firefox, url) : await openPage(chromium, url);
  open.push(page);
  return page;
}

test.each([
  ['Chromium', 'Chromium'],
  ['Chromium', 'Firefox'],
  ['Firefox', 'Chromium'],
])(
  '%s, joined by %s with the same key: the server learns nothing, and both read the same string',
  async (...browsers) => {
    const [room, key] = [newRoom(), 'AAECAwQFBgcICQoLDA0ODw'];
    const [alice, bob] = [await newPage(browsers[0]), await newPage(browsers[1])];
    const options = { key, hideRoom: true, metadata: { private: 'my words' } };
    await enter(alice, middleman.url, room, 'Alice', options);
    await enter(bob, middleman.url, room, 'Bobby', options);
    for (const page of [alice, bob]) await connected(page, 1);
    await say(alice, 'from Alice');
    await heard(bob, 'from Alice');
    const read = (): unknown => [...window.room.peers.values()][0]?.sas;
    const string = await inPage(alice, read);
    expect(string).toEqual({ digits: expect.stringMatching(/^\d{3} \d{3}$/), emoji: expect.any(Array) });
    expect(await inPage(bob, read)).toEqual(string);
    const seenByBob = (): unknown =>
      [...window.room.peers.values()].map(({ client_id, metadata }) => [client_id, metadata]);
    expect(await inPage(bob, seenByBob)).toEqual([['Alice', { private: 'my words' }]]);
    const factsOf = (page: TestPage): Promise<unknown> =>
      inPage(page, () => {
        const sdp = [...window.room.peers.values()][0]?._pc.localDescription?.sdp ?? '';
        const facts = sdp.matchAll(/(?:ice-ufrag:|ice-pwd:|sha-256 |candidate:(?:\S+ ){4})(\S+)/g);
        return Array.from(facts, ([, fact]) => fact);
      });
    const facts = (await Promise.all([alice, bob].map(factsOf))).flat().map(String);
    expect(facts.length).toBeGreaterThanOrEqual(8);
    const record = middleman.seen.join('\n');
    expect(record.length).toBeGreaterThan(1000);
    const secrets = [...facts, room, key, 'Alice', 'Bobby', 'private', 'words', 'v=0', 'a=', 'candidate', 'sdp'];
    // Firefox's and Chromium's random credentials may be short enough to stand in any base64 by chance.
    const told = secrets.filter((secret) => record.includes(secret) && (secret.length > 4 || secret === 'v=0'));
    expect(told).toEqual([]);
  },
);

/** What Alice is told in place of the answer that has come with Bob's join, and why she does not take that. */
type Sealed = Record<string, unknown>;
interface Answered {
  message: Passing['message'];
  answer: Sealed;
  alice: string;
  /** An answer that came with a join to another room with the same key. */
  elsewhere: Sealed;
}
const OF_AN_ANSWER: Record<string, [attack: (answered: Answered) => object[], reasons: string[]]> = {
  'swaps the fingerprint in it': [
    ({ message, answer }) => {
      const bytes = Buffer.from(String(answer['data']), 'base64url');
      bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
      return [{ ...message, signal: { ...answer, data: bytes.toString('base64url') } }];
    },
    ['Bobby: Its message was changed on the way.'],
  ],
  'says that it is a signal': [
    ({ message, answer, alice }) => [{ ...message, signal: { ...answer, kind: 'signal', to: alice } }],
    ['Bobby: Its message was changed on the way.'],
  ],
  'says it to be for her': [
    ({ message, answer, alice }) => [{ ...message, signal: { ...answer, to: alice } }],
    ['Bobby: Its message is for another member.'],
  ],
  'replays it': [({ message }) => [message, message], ['Bobby: Its message has been heard before.']],
  "says that it is Carol's": [
    ({ message }) => [{ ...message, fromId: 'carol' }],
    ['carol: Its message was sealed by another member.'],
  ],
  "gives another room's in its place": [
    ({ message, elsewhere }) => [{ ...message, signal: elsewhere }],
    ['Bobby: Its message is from another room.'],
  ],
  'gives one of its own in its place': [
    ({ message }) => [{ ...message, signal: { type: 'answer', sdp: 'v=0\r\n', attempt: 'a', candidates: [] } }],
    ['Bobby: It has no key: its message is not sealed.'],
  ],
  // What the room fills in by itself is bound to nothing: that connects nobody, and nothing is heard of it.
  'says that it belongs to another attempt': [
    ({ message, answer }) => [{ ...message, signal: { ...answer, attempt: 'another' } }],
    [],
  ],
  'drops it': [() => [], []],
};

test.each(Object.keys(OF_AN_ANSWER))(
  'a server that has an answer that came with a join, and %s, is caught, and only delays',
  async (name) => {
    const [attack, reasons = []] = OF_AN_ANSWER[name] ?? [];
    const [room, key] = [newRoom(), 'AAECAwQFBgcICQoLDA0ODw'];
    const [alice, bob] = [await newPage('Chromium'), await newPage('Chromium')];
    await bob.evaluate(AWAIT_ANSWER);
    const answers = (): Sealed[] =>
      middleman.seen.filter((text) => text.startsWith('{"sealed"') && text.includes('"kind":"answer"')).map(parse);
    const published = async (count: number): Promise<void> => {
      await expect
        .poll(() => middleman.seen.filter((text) => text.startsWith('{"type":"ahead"')), WAIT)
        .toHaveLength(count);
    };
    await enterTold(bob, newRoom(), 'Bobby', key);
    const [elsewhere = {}] = answers();
    expect(elsewhere).toHaveProperty('data');
    await published(1);
    await inPage(bob, () => window.room.destroy());
    await enterTold(alice, room, 'Alice', key);
    await published(2);
    const told: object[][] = [];
    middleman.meddle = ({ message, from, victim }) => {
      const answer: Sealed = Object(message['signal']);
      if (from !== 'server' || answer['kind'] !== 'answer') return [message];
      const instead = attack?.({ message, answer, alice: victim.id, elsewhere }) ?? [];
      told.push(instead);
      return instead;
    };
    await enterTold(bob, room, 'Bobby', key);
    for (const page of [alice, bob]) await connected(page, 1);
    expect(told).toHaveLength(1);
    await say(alice, 'from Alice');
    await heard(bob, 'from Alice');
    expect(await inPage(alice, () => window.log.filter((line) => line.includes(': ')))).toEqual(reasons);
    expect(await inPage(bob, () => window.log.filter((line) => line.includes(': ')))).toEqual([]);
  },
);

/**
 * Bob's answer to Alice `isGiven` to Carol, as one to the offer that she has published, and `isKept` for Alice, too.
 */
test.each([
  ['gives it to a third', true, false],
  ['gives it to a third as well', true, true],
  ['says that a third has got it', false, true],
])(
  'a server that has an answer that came with a join, and %s, connects nobody to the wrong one, and only delays',
  async (_name, isGiven, isKept) => {
    const [room, key] = [newRoom(), 'AAECAwQFBgcICQoLDA0ODw'];
    const names = ['Alice', 'Carol', 'Bobby'];
    const all = [await newPage('Chromium'), await newPage('Chromium'), await newPage('Chromium')];
    const [alice, carol, bob] = all;
    if (!alice || !carol || !bob) throw new Error('three are here');
    const idOf = (page: TestPage): Promise<unknown> => inPage(page, () => window.room.sessionId);
    const aheads = (): Sealed[] =>
      middleman.seen.filter((text) => text.startsWith('{"type":"ahead"')).map((text) => Object(parse(text)['offer']));
    await enterTold(alice, room, 'Alice', key);
    await expect.poll(aheads, WAIT).toHaveLength(1);
    await enterTold(carol, room, 'Carol', key);
    for (const page of [alice, carol]) await connected(page, 1);
    await expect.poll(aheads, WAIT).toHaveLength(3); // Carol has taken the first
    const [alices, carols] = [await idOf(alice), await idOf(carol)];
    const { attempt } = aheads().findLast(({ from }) => from === carols) ?? {};
    const strayed: object[] = [];
    let tellCarol: ((message: object) => void) | undefined;
    middleman.meddle = ({ message, from, victim }) => {
      const answer: Sealed = Object(message['signal']);
      if (from !== 'server') return [message];
      if (message.type === 'peers') return [isGiven ? message : { ...message, answered: carols }];
      if (victim.id === carols && message.type === 'peer_join') {
        tellCarol = victim.tell;
        return [message, ...(isGiven ? strayed : [])];
      }
      if (victim.id !== alices || answer['kind'] !== 'answer') return [message];
      strayed.push({ ...message, signal: { ...answer, attempt } });
      if (isGiven) for (const each of strayed) tellCarol?.(each);
      return isKept ? [message] : [];
    };
    await bob.evaluate(AWAIT_ANSWER);
    await enterTold(bob, room, 'Bobby', key);
    for (const page of all) await connected(page, 2);
    expect(strayed).toHaveLength(1);
    for (const [n, page] of all.entries()) await say(page, `from ${names[n]}`);
    for (const [n, page] of all.entries()) {
      for (const name of names) if (name !== names[n]) await heard(page, `from ${name}`);
      const got = await inPage(page, () => window.got.filter(({ from, text }) => text !== `from ${from}`));
      expect([got, await inPage(page, () => window.log.filter((line) => line.includes(': ')))]).toEqual([[], []]);
    }
  },
);

test.each(['Chromium', 'Firefox'])(
  'a device is known again by its identity, in %s; others are not trusted',
  async (browser) => {
    const room = newRoom();
    const enterAsDevice = (url: string, room: string): Promise<void> =>
      P2PCF.identity('app').then((identity) => {
        window.room = new P2PCF('Device', room, { workerUrl: url, stunIceServers: [], identity });
        return window.room.start();
      });
    const watcher = await newPage('Chromium');
    const device = await newPage(browser);
    await enter(watcher, server.url, room, 'Watcher');
    await inPage(device, enterAsDevice, server.url, room);
    await connected(watcher, 1);
    const fingerprint = String(await inPage(watcher, () => [...window.room.peers.values()][0]?.fingerprint));
    expect(fingerprint).toMatch(/^sha-256 [0-9A-F:]{95}$/);

    const trusting = (url: string, room: string, known: string): Promise<void> => {
      window.room.destroy();
      window.log = [];
      window.room = new P2PCF('Watcher', room, {
        workerUrl: url,
        stunIceServers: [],
        trust: ({ fingerprint }) => fingerprint === known,
        onUntrusted: ({ clientId }, reason) => window.log.push(`${clientId}: ${reason}`),
      });
      return window.room.start();
    };
    await inPage(watcher, trusting, server.url, room, fingerprint);
    await device.reload(); // tomorrow
    await inPage(device, enterAsDevice, server.url, room);
    await connected(watcher, 1);
    await until(watcher, [fingerprint], () => [...window.room.peers.values()].map((peer) => peer.fingerprint));
    const stranger = await newPage('Chromium');
    await enter(stranger, server.url, room, 'Stranger');
    await until(watcher, true, () =>
      window.log.some((line) => line.startsWith('Stranger: It is not trusted. Its certificate is sha-256 ')),
    );
    await connected(watcher, 1);
    await connected(stranger, 1); // to the device
  },
);

test('without a secure context, a key is refused with what it needs', async () => {
  const page = await newPage('Chromium', pages.url.replace('127.0.0.1', INSECURE));
  const refusal = (url: string): Promise<string> =>
    new P2PCF('Alice', 'room', { workerUrl: url, key: 'AAECAwQFBgcICQoLDA0ODw', stunIceServers: [] })
      .start()
      .then(() => 'started', String);
  expect(await inPage(page, refusal, server.url)).toBe(
    'Error: The options key and password need a secure context, which is https or localhost.',
  );
});
