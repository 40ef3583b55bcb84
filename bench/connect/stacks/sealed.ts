import P2PCF from '../../../src/client/index.ts';
import { expose } from '../peer.ts';

expose(async ({ server, room, clientId }, connected) => {
  const key = room.replaceAll('-', '').slice(0, 22); // both pages know the room's name, and keys have 22 digits
  const options = { workerUrl: server, stunIceServers: [], turnIceServers: [], key, hideRoom: true };
  const p2pcf = new P2PCF(clientId, room, options);
  p2pcf.on('peerconnect', connected);
  await p2pcf.start();
});
