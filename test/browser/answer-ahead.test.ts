/** A join that brings its answer along: both sides begin at once. And all that can keep that from working. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ANSWER_WITHIN_MS } from '../../src/client/spare-connection.ts';
import { launchChromium, type PageServer, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { connected, enter, heard, say, until } from '../support/room-page.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let pages: PageServer;
let browser: Browser;
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([startWorkerd(), servePage(), launchChromium()]);
});
afterAll(async () => {
  await Promise.all([browser.close(), server.stop(), pages.stop()]);
});
const openPage = pagesOfEachTest(() => browser);

/** A page whose join waits for its answer: a busy machine takes longer to make one than a join waits. */
async function newPage(url: string): Promise<Page> {
  const page = await openPage(url);
  await page.evaluate((withinMs) => {
    const real = setTimeout;
    const patient = (work: () => void, ms?: number): unknown => real(work, ms === withinMs ? 60_000 : ms);
    Object.assign(globalThis, { setTimeout: patient });
  }, ANSWER_WITHIN_MS);
  return page;
}

/**
 * The page notes when it publishes an offer. All that the room sends it passes through `change`, a function from its
 * text to another or, if it is to be lost, to undefined.
 */
async function watchSocket(page: Page, change = '(text) => text'): Promise<void> {
  await page.evaluate(`{
    const Real = WebSocket, change = ${change};
    globalThis.WebSocket = class extends Real {
      send(text) {
        if (text.includes('"type":"ahead"')) log.push('published');
        super.send(text);
      }
      set onmessage(handler) {
        super.onmessage = handler && ((event) => {
          const data = change(event.data);
          if (data !== undefined) handler({ data });
        });
      }
    };
  }`);
}

/** Enters as `name`. */
async function join(room: string, name: string, options: object = {}, change?: string): Promise<Page> {
  const page = await newPage(pages.url);
  await watchSocket(page, change);
  await enter(page, server.url, room, name, options);
  return page;
}

const published = (page: Page): Promise<void> => until(page, true, () => window.log.includes('published'));

/** Which form its only peer's last description had: a join that brought an answer got an `answer`. */
const remoteType = (page: Page): Promise<unknown> =>
  page.evaluate(() => [...window.room.peers.values()][0]?._pc.remoteDescription?.type);

async function expectTalk(...pages: Page[]): Promise<void> {
  try {
    for (const page of pages) await connected(page, pages.length - 1);
    for (const [n, page] of pages.entries()) await say(page, `from ${n}`);
    for (const [n] of pages.entries()) {
      for (const [other, page] of pages.entries()) if (other !== n) await heard(page, `from ${n}`);
    }
  } catch (cause) {
    const logs = await Promise.all(pages.map((page) => page.evaluate(() => window.log)));
    throw new Error(`${cause}\nThe pages have heard ${JSON.stringify(logs)}`, { cause });
  }
}

test('both begin at once, and go on as any two: media from both, an ICE restart, 200 KB, a goodbye', async () => {
  const room = newRoom();
  const alice = await join(room, 'Alice');
  await published(alice);
  const bob = await join(room, 'Bobby');
  await expectTalk(alice, bob);
  expect(await remoteType(bob)).toBe('answer');
  expect(await remoteType(alice)).toBe('answer');
  for (const page of [alice, bob]) {
    await page.evaluate(() => {
      for (const peer of window.room.peers.values()) peer.on('stream', () => window.log.push('stream'));
    });
  }
  for (const page of [alice, bob]) {
    await page.evaluate(async () => {
      const [peer] = window.room.peers.values();
      peer?.addStream(await navigator.mediaDevices.getUserMedia({ video: true }));
    });
  }
  for (const page of [alice, bob]) await until(page, 1, () => window.log.filter((line) => line === 'stream').length);
  const ufrag = (page: Page): Promise<unknown> =>
    page.evaluate(() => {
      const sdp = [...window.room.peers.values()][0]?._pc.currentRemoteDescription?.sdp ?? '';
      return /a=ice-ufrag:(\S+)/.exec(sdp)?.[1];
    });
  const before = await ufrag(alice);
  await bob.evaluate(() => window.dispatchEvent(new Event('online')));
  await expect.poll(() => ufrag(alice), WAIT).not.toBe(before);
  await bob.evaluate(() => window.room.broadcast(new Uint8Array(200_000)));
  await until(alice, true, () => window.got.some(({ length }) => length === 200_000));
  await bob.evaluate(() => window.room.destroy());
  await connected(alice, 0);
});

/** Keeps our candidates back until the room has answered, as STUN servers do that take their time. */
function lateCandidates(): (data: string) => string {
  const held: (() => void)[] = [];
  let isHeld = true;
  const property = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, 'onicecandidate');
  Object.defineProperty(RTCPeerConnection.prototype, 'onicecandidate', {
    set(handler: ((event: Event) => void) | null) {
      const hear = (event: Event): void => {
        if (isHeld) held.push(() => handler?.(event));
        else handler?.(event);
      };
      property?.set?.call(this, handler && hear);
    },
  });
  return (data) => {
    if (data.includes('"type":"peers"')) {
      isHeld = false;
      for (const tell of held) tell();
    }
    return data;
  };
}

test('candidates that come after the answer, and before its offer, are not lost', async () => {
  const room = newRoom();
  const heed = `(data) => {
    const { attempt, candidates = [] } = data === 'pong' ? {} : Object(JSON.parse(data).signal);
    for (const { candidate } of candidates) if (candidate) log.push('candidate of ' + attempt);
    if (attempt) globalThis.attempt ??= attempt;
    return data;
  }`;
  const alice = await join(room, 'Alice', {}, heed);
  await published(alice);
  const bob = await join(room, 'Bobby', {}, `(${lateCandidates})()`);
  await expectTalk(alice, bob);
  const heard = await alice.evaluate(() => window.log.filter((line) => line.startsWith('candidate of')));
  expect(heard).not.toEqual([]);
  const attempt = await alice.evaluate(() => Object(window).attempt);
  expect(new Set(heard)).toEqual(new Set([`candidate of ${attempt}`]));
});

test('five that come one after the other all meet', async () => {
  const room = newRoom();
  const all: Page[] = [];
  for (let n = 0; n < 5; n++) {
    all.push(await join(room, `peer ${n}`));
    for (const page of all) await published(page);
  }
  await expectTalk(...all);
});

test('no offer to answer: what was made is closed, and never published', async () => {
  const room = newRoom();
  const alice = await join(room, 'Alice', { offersAhead: false });
  const bob = await newPage(pages.url);
  await bob.evaluate(() => {
    const { setRemoteDescription } = RTCPeerConnection.prototype;
    Object.assign(window, { empty: [] });
    RTCPeerConnection.prototype.setRemoteDescription = function (description) {
      if (!description.sdp?.includes('m=')) Object(window).empty.push(this);
      return Reflect.apply(setRemoteDescription, this, [description]);
    };
  });
  await enter(bob, server.url, room, 'Bobby');
  await expectTalk(alice, bob);
  await until(bob, ['closed'], () => Object(window).empty.map((pc: RTCPeerConnection) => pc.signalingState));
  const carol = await join(room, 'Carol');
  await expectTalk(alice, bob, carol);
});

test('an app that edits descriptions sees an offer and an answer, as ever', async () => {
  const room = newRoom();
  const alice = await join(room, 'Alice');
  await published(alice);
  const bob = await newPage(pages.url);
  await bob.evaluate(() => {
    const Real = P2PCF;
    Object.assign(globalThis, {
      P2PCF: class extends Real {
        constructor(name: string, room: string, options: { workerUrl: string }) {
          super(name, room, { ...options, sdpTransform: (sdp) => sdp });
        }
      },
    });
  });
  await enter(bob, server.url, room, 'Bobby');
  await expectTalk(alice, bob);
  expect(await remoteType(bob)).toBe('offer');
});

test.each([
  ['Alice', true],
  ['Alice', false],
  ['Bobby', true],
  ['Bobby', false],
])('%s is asked whom to admit, takes its time, and says %s', async (asked, verdict) => {
  const room = newRoom();
  const entered: Page[] = [];
  for (const name of ['Alice', 'Bobby', 'Carol']) {
    const page = await newPage(pages.url);
    entered.push(page);
    await watchSocket(page);
    await page.evaluate(
      ([isAsked, verdict]) => {
        const Real = P2PCF;
        const admit = async ({ client_id }: { client_id: string }): Promise<boolean> => {
          await new Promise((resolve) => setTimeout(resolve, 300));
          return client_id === 'Carol' || verdict;
        };
        Object.assign(globalThis, {
          P2PCF: class extends Real {
            constructor(name: string, room: string, options: { workerUrl: string }) {
              super(name, room, { ...options, ...(isAsked && { admit }) });
              this.on('peerstate', ({ client_id }, state, reason) => {
                if (state === 'failed') window.log.push(`failed ${client_id}: ${reason}`);
              });
            }
          },
        });
      },
      [name === asked, verdict] as const,
    );
    await enter(page, server.url, room, name);
    if (name === 'Alice') await published(page); // else Bobby's join finds no offer to answer
    const [alice, bob] = entered;
    if (name === 'Bobby' && alice && bob && verdict) {
      await expectTalk(alice, bob);
      expect([await remoteType(alice), await remoteType(bob)]).toEqual(['answer', 'answer']);
    }
    const refused = asked === 'Alice' ? 'Bobby' : 'Alice';
    const asking = asked === 'Alice' ? alice : bob;
    if (name === 'Bobby' && asking && !verdict)
      await until(asking, [`failed ${refused}: The option admit refused it.`], () =>
        window.log.filter((line) => line.startsWith('failed')),
      );
  }
  const [alice, bob, carol] = entered;
  if (!alice || !bob || !carol) throw new Error('three are here');
  await connected(carol, 2);
  for (const page of [alice, bob]) await connected(page, verdict ? 2 : 1);
});

const FIRST_ANSWER = `data.includes('"type":"answer"') && !(globalThis.seen = (globalThis.seen ?? 0) + 1, globalThis.seen > 1)`;

test.each<[string, onAlice: string | undefined, onBob: string | undefined]>([
  [
    'the answer is to an offer that has been replaced',
    `(data) => ${FIRST_ANSWER} ? data.replace('"attempt":"', '$&x') : data`,
    undefined,
  ],
  ['the answer is lost', `(data) => ${FIRST_ANSWER} ? undefined : data`, undefined],
  [
    'the server knows nothing of answers ahead',
    `(data) => ${FIRST_ANSWER} ? undefined : data`,
    `(data) => data.replace('"answered"', '"unknown"')`,
  ],
  [
    'the offer is nonsense',
    undefined,
    `(data) => (data.includes('"type":"peers"') ? data.replace(/"sdp":"v=0[^"]*"/, '"sdp":"v=0"') : data)`,
  ],
])('they meet all the same if %s', async (_name, onAlice, onBob) => {
  const room = newRoom();
  const alice = await join(room, 'Alice', {}, onAlice);
  await published(alice);
  await expectTalk(alice, await join(room, 'Bobby', {}, onBob));
});
