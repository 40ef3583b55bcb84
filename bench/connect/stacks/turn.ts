import P2PCF from '../../../src/client/index.ts';
import { expose } from '../peer.ts';

expose(async ({ server, room, clientId }, connected) => {
  const p2pcf = new P2PCF(clientId, room, { workerUrl: server, stunIceServers: [] }); // TURN servers come from the server
  p2pcf.on('peerconnect', connected);
  await p2pcf.start();
});
