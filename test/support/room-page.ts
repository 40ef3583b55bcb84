/** What a test does with a page in a room, whichever browser it is in and whatever drives it. */
import { deepStrictEqual } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import { WAIT } from './wait.ts';

/** What playwright's pages and puppeteer's have in common. */
export interface RoomPage {
  evaluate(expression: string): Promise<unknown>;
}

/** Runs a function in the page. It sees the page's globals and its arguments, which have to be JSON. */
export function inPage<Arguments extends unknown[]>(
  page: RoomPage,
  work: (...args: Arguments) => unknown,
  ...args: Arguments
): Promise<unknown> {
  return page.evaluate(`(${work})(...${JSON.stringify(args)})`);
}

/** Waits until the function, run in the page, returns something equal to `expected`. */
export async function until<Arguments extends unknown[]>(
  page: RoomPage,
  expected: unknown,
  work: (...args: Arguments) => unknown,
  ...args: Arguments
): Promise<void> {
  const deadline = Date.now() + WAIT.timeout; // benchmarks wait, too, where there is no expect.poll of Vitest's
  for (;;)
    try {
      deepStrictEqual(await inPage(page, work, ...args), expected);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(WAIT.interval);
    }
}

/** Joins a room. Its messages are in `got`, its events in `log`; `beforeStart` runs in the page before any of them. */
export async function enter(
  page: RoomPage,
  workerUrl: string,
  room: string,
  name = 'MyUsername',
  options: object = {},
  beforeStart: () => void = () => undefined,
): Promise<void> {
  const prepare = (name: string, room: string, options: { workerUrl: string }): void => {
    window.got = [];
    window.log = [];
    window.room = new P2PCF(name, room, options);
    window.room
      .on('peerconnect', (peer) => window.log.push(`connect ${peer.client_id}`))
      .on('peerclose', (peer) => window.log.push(`close ${peer.client_id}`))
      .on('msg', async (peer, data) => {
        const text = data.byteLength < 1000 ? new TextDecoder().decode(data) : '';
        window.got.push({ from: peer.client_id, length: data.byteLength, sum: await sha256(data), text });
      });
  };
  await inPage(page, prepare, name, room, { workerUrl, stunIceServers: [], ...options });
  await inPage(page, beforeStart);
  await inPage(page, () => window.room.start());
}

/** Waits until the page has this many open channels. */
export function connected(page: RoomPage, count: number): Promise<void> {
  return until(page, count, () => window.room.connectedSessions.length);
}

export async function say(page: RoomPage, text: string): Promise<void> {
  await inPage(page, (text) => window.room.broadcast(text), text);
}

export function heard(page: RoomPage, text: string): Promise<void> {
  const find = (text: string): unknown => {
    if (window.got.some((message) => message.text === text)) return text;
    const peers = [...window.room.peers.values()].map(({ state, connected, _pc }) => [
      state,
      connected,
      _pc.connectionState,
    ]);
    const last = window.got.slice(-20); // after an hour there are 36,000, and a failure would compare them all
    return { peers, log: window.log, last: last.map(({ text }) => text) };
  };
  return until(page, text, find, text);
}

/**
 * Watches for the next stream of the only peer. Resolves when it does so; what it resolves to waits until five frames
 * of that stream have been shown, and returns the kinds of the tracks that came with it.
 */
export async function watch(page: RoomPage): Promise<() => Promise<unknown>> {
  await inPage(page, () => {
    const [peer] = window.room.peers.values();
    if (!peer) throw new Error('no peer');
    const kinds: string[] = [];
    peer.on('track', (track) => kinds.push(track.kind));
    const next = new Promise<MediaStream>((resolve) => peer.once('stream', resolve));
    const show = async (): Promise<string[]> => {
      const video = document.createElement('video');
      video.srcObject = await next;
      video.muted = true; // with sound, it would take a click to play
      await video.play();
      await new Promise<void>((resolve) => {
        const count = (_now: number, { presentedFrames }: { presentedFrames: number }): void => {
          if (presentedFrames >= 5) resolve();
          else video.requestVideoFrameCallback(count);
        };
        video.requestVideoFrameCallback(count);
      });
      return kinds.sort();
    };
    window.watched = show();
  });
  return () => inPage(page, () => window.watched);
}

/** Kinds of the candidates that the page's only connection goes by, its own and the other's. */
export function way(page: RoomPage): Promise<unknown> {
  return inPage(page, async () => {
    const [peer] = window.room.peers.values();
    const stats = await peer?.getStats();
    for (const { type, nominated, state, localCandidateId, remoteCandidateId } of stats?.values() ?? [])
      if (type === 'candidate-pair' && nominated && state === 'succeeded')
        return [stats?.get(localCandidateId).candidateType, stats?.get(remoteCandidateId).candidateType];
    return undefined;
  });
}
