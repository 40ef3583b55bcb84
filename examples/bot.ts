/** A bot in Node 22 or newer: it says what time it is to whoever asks. `node bot.ts https://your-server.example` */
import wrtc from 'node-datachannel/polyfill';
import P2PCF from 'p2pcf-ws';

const [workerUrl = 'https://p2pcf-ws.<your-subdomain>.workers.dev'] = process.argv.slice(2);
const room = new P2PCF('time bot', 'ask the bot', { workerUrl, wrtc });

room.on('peerconnect', (peer) => void room.send(peer, 'Ask me for the time.').catch(() => undefined));
room.on('msg', (peer, data) => {
  const question = new TextDecoder().decode(data);
  const answer = question === 'time' ? new Date().toISOString() : `I do not know "${question}".`;
  room.send(peer, answer).catch(() => undefined); // it has gone
});

process.once('SIGTERM', () => {
  room.destroy();
  process.exit();
});
await room.start();
console.log('The bot is in the room.');
