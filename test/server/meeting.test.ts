/** The main job: the server started as the README says, and two real WebRTC peers that meet through it. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { startDev, startWorkerd } from '../support/server.ts';
import { meet } from '../support/two-peers.ts';

test('npm run dev: two peers exchange SDP and candidates, open a data channel and send bytes both ways', async () => {
  const server = await startDev();
  try {
    const bytes = new Uint8Array(randomBytes(100_000)); // more than one SCTP packet
    const meeting = await meet(server.url, 'a room / with a name', bytes);
    expect(meeting.messagesSent).toBeGreaterThanOrEqual(2); // an offer and an answer at least
    expect(meeting.channelOpen).toBeGreaterThan(meeting.rosterKnown);
  } finally {
    await server.stop();
  }
});

test('where the server lets nobody in without a token, npm run try says so', async () => {
  const server = await startWorkerd({ vars: { AUTH_SECRET: randomBytes(32).toString('base64') } });
  try {
    await expect(meet(server.url, 'lobby', new Uint8Array(1))).rejects.toThrow('A token is needed (4401)');
  } finally {
    await server.stop();
  }
});
