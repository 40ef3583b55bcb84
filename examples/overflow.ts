/** A lobby of which there are as many as are needed: who finds one full goes on to the next. */
import P2PCF from 'p2pcf-ws';

const workerUrl = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';

/** The close code of a room that is full (PROTOCOL.md). */
const ROOM_FULL = 4003;

async function joinLobby(name: string): Promise<P2PCF> {
  for (let number = 1; ; number++) {
    const room = new P2PCF(name, `lobby-${number}`, { workerUrl });
    try {
      await room.start();
      return room;
    } catch (error) {
      room.destroy();
      if (Object(error).code !== ROOM_FULL) throw error;
    }
  }
}

const status = document.body.appendChild(document.createElement('p'));
status.role = 'status';
const room = await joinLobby('my name');
status.textContent = `You are in ${room.roomId}.`;
