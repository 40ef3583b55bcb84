/** The library with a server that takes smaller messages than others. */
import wrtc from 'node-datachannel/polyfill';
import { expect, test } from 'vitest';
import { P2PCF } from '../../src/client/index.ts';
import { newRoom } from '../support/new-room.ts';
import { startWorkerd } from '../support/server.ts';

const CONNECTED = 'connected';
const TOO_SMALL = expect.stringMatching(/Our description has \d+ bytes; the room carries \d+\./);

test.each([
  [4_096, true, CONNECTED],
  [1_200, true, TOO_SMALL],
  [1_200, false, TOO_SMALL],
])(
  'where a message has at most %i bytes, offers ahead: %s, two meet or learn why not',
  async (bytes, offersAhead, end) => {
    const server = await startWorkerd({ vars: { MAX_MESSAGE_BYTES: bytes } });
    const room = newRoom();
    const members = ['Alice', 'Bobby'].map(
      (name) => new P2PCF(name, room, { workerUrl: server.url, stunIceServers: [], offersAhead, wrtc }),
    );
    const outcomes = members.map(
      (member) =>
        new Promise((resolve) => {
          member.on('peerconnect', () => resolve(CONNECTED));
          // On a busy machine ICE may fail at first, and is tried again.
          if (end !== CONNECTED)
            member.on('peerstate', (_peer, state, reason) => state === 'failed' && resolve(reason));
        }),
    );
    try {
      for (const member of members) await member.start();
      const told = end === CONNECTED ? await Promise.all(outcomes) : [await Promise.race(outcomes)];
      for (const each of told) expect(each).toEqual(end);
    } finally {
      for (const member of members) member.destroy();
      await server.stop();
    }
  },
);
