/**
 * A bad network is no other network: two browsers behind two NATs, with 2 % of all packets lost and a pause of 2 s each
 * minute, restart ICE for none of it. `MINUTES=60 npm run test:soak loss`; the file that SOAK_LOG names gets a JSON
 * line each minute.
 */
import { appendFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { WITHOUT_NAMESPACES } from '../support/nat.ts';
import { heard, inPage, say, until } from '../support/room-page.ts';
import { TwoHomes } from '../support/two-homes.ts';

const MINUTES = Number(process.env['MINUTES'] ?? 60);
const LOSS_PERCENT = 2;
const PAUSE_MS = 2_000;

/** What a page has seen: once connected, each of these is a fault of ours. */
interface Seen {
  /** By us, or on the demand of the other. */
  restarts: number;
  closed: number;
  /** Of the connection to the server. */
  states: string[];
  sent: number;
  got: number;
}

function watchForFaults(): void {
  const seen: Seen = { restarts: 0, closed: 0, states: [], sent: 0, got: 0 };
  Object.assign(window, { seen });
  window.room.on('msg', () => seen.got++);
  window.room.on('peerclose', () => seen.closed++);
  window.room.on('state', (state) => seen.states.push(state));
  const { restartIce } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.restartIce = function () {
    seen.restarts++;
    restartIce.call(this);
  };
  setInterval(() => window.room.broadcast(String(seen.sent++)), 100);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test.skipIf(WITHOUT_NAMESPACES)(
  'loss and pauses restart nothing, and lose nothing',
  async () => {
    const homes = await TwoHomes.open();
    try {
      const open = await homes.meet('keeps', 'keeps');
      for (const page of open) await inPage(page, watchForFaults);
      homes.lose(LOSS_PERCENT);
      for (let minute = 1; minute <= MINUTES; minute++) {
        await pause(60_000 - PAUSE_MS); // the pace; nothing depends on it
        homes.lose(100, minute % 2);
        await pause(PAUSE_MS);
        homes.lose(LOSS_PERCENT);
        const seen = await Promise.all(open.map((page) => page.evaluate(() => Object(window).seen)));
        if (process.env['SOAK_LOG']) await appendFile(process.env['SOAK_LOG'], `${JSON.stringify({ minute, seen })}\n`);
      }
      homes.lose(0);
      for (const [n, page] of open.entries()) await say(page, `the end, from ${n}`);
      for (const [n, page] of open.entries()) {
        await heard(page, `the end, from ${1 - n}`);
        await until(page, { restarts: 0, closed: 0 }, () => {
          const { restarts, closed }: Seen = Object(window).seen;
          return { restarts, closed };
        });
        expect(page.errors).toEqual([]);
      }
    } finally {
      await homes.stop();
    }
  },
  2 * MINUTES * 60_000 + 300_000,
);
