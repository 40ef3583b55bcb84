/** `npm run try`: starts the server as the README does and lets two WebRTC peers meet through it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { startDev } from '../test/support/server.ts';
import { meet } from '../test/support/two-peers.ts';

async function letThemMeet(): Promise<void> {
  const bytes = new Uint8Array(randomBytes(1024));
  console.log('Starting the server: npm run dev');
  const server = await startDev();
  try {
    console.log(`It answers at ${server.url}. Alice waits in a room; Bob joins it.`);
    const meeting = await meet(server.url, randomUUID(), bytes);
    const say = (event: string, ms: number): void => console.log(`${ms.toFixed(0).padStart(6)} ms  ${event}`);
    say('Bob’s WebSocket is open', meeting.socketOpen);
    say('the server told Bob who is in the room', meeting.rosterKnown);
    say('a WebRTC data channel to Alice is open', meeting.channelOpen);
    say(`${bytes.length} bytes went to Alice and came back, unchanged`, meeting.echoed);
    console.log(`The two sent ${meeting.messagesSent} messages through the server; the bytes went from peer to peer.`);
    console.log(
      'README’s times are another measure: there browsers meet with the library, here node-datachannel with a bare client.',
    );
  } finally {
    await server.stop();
  }
}

try {
  await letThemMeet();
} catch (error) {
  console.error(`${Object(error).message}\nThe two have no token and no origin. Is there something in .dev.vars?`);
  process.exitCode = 1;
}
process.exit(); // node-datachannel keeps threads of its own
