/**
 * Two browsers in networks of their own, each behind a router that translates addresses and lets nothing in unasked.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Translation, WITHOUT_NAMESPACES } from '../support/nat.ts';
import { heard, say, way } from '../support/room-page.ts';
import { type Change, type HomePage, streamThrough, TwoHomes } from '../support/two-homes.ts';
import { WAIT } from '../support/wait.ts';

/**
 * How long a message may be on its way when the network of one of the two has changed, in ms. On a quiet machine it is
 * a few seconds: `npm run bench:network` measures it. The channel doubles its pauses: on a busy machine that finds the
 * new way a second later, 18 s were seen.
 */
const OUTAGE_MS = 60_000;

/**
 * How long it may take on a busy machine until a connection whose relay was there first goes the direct way: 138 s was
 * seen.
 */
const DIRECT_WITHIN_MS = 400_000;

const title = WITHOUT_NAMESPACES ? `skipped, as ${WITHOUT_NAMESPACES}` : 'behind two NATs';

describe.skipIf(WITHOUT_NAMESPACES)(title, () => {
  let homes: TwoHomes;
  beforeAll(async () => {
    homes = await TwoHomes.open();
  });
  afterAll(() => homes?.stop());

  async function close(open: readonly HomePage[]): Promise<void> {
    for (const page of open) await page.context().close();
    expect(open.flatMap((page) => page.errors)).toEqual([]);
  }

  test.each<[string, isRelayed: boolean, Translation, Translation]>([
    ['that keep ports, two find each other by STUN, without the TURN server they have', false, 'keeps', 'keeps'],
    ['of which one is symmetric, they need the TURN server', true, 'keeps', 'shuffles'],
    ['that are symmetric, they need the TURN server', true, 'shuffles', 'shuffles'],
  ])(
    '%s',
    async (_what, isRelayed, ...translations) => {
      const open = await homes.meet(...translations);
      for (const page of open) await say(page, 'hello');
      for (const page of open) await heard(page, 'hello');
      const hasRelay = async (): Promise<boolean> => (await Promise.all(open.map(way))).flat().includes('relay');
      await expect.poll(hasRelay, { ...WAIT, timeout: DIRECT_WITHIN_MS }).toBe(isRelayed);
      await close(open);
    },
    2 * DIRECT_WITHIN_MS,
  );

  test.each<[string, Translation, mover: 0 | 1, Change]>([
    ['user 1 moves to another network, where ports are kept', 'keeps', 1, 'keeps'],
    ['user 0 moves to another network, where ports are shuffled', 'shuffles', 0, 'shuffles'],
    ['the router of user 1 gets another address, and its browser hears nothing', 'keeps', 1, 'another address'],
    ['the router of user 0 does, where ports are shuffled', 'shuffles', 0, 'another address'],
  ])('%s: no message is lost', async (_what, translation, mover, change) => {
    const open = await homes.meet(translation, translation);
    for (const messages of await streamThrough(open, () => homes.change(mover, change))) {
      expect(messages.map(({ number }) => number)).toEqual([...messages.keys()]);
      expect(Math.max(...messages.map(({ sentAt, heardAt }) => heardAt - sentAt))).toBeLessThan(OUTAGE_MS);
    }
    await close(open);
  });
});
