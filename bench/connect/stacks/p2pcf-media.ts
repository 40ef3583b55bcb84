import P2PCF from 'p2pcf';
import { camera, expose } from '../peer.ts';

expose(async ({ server, room, clientId, residentId }, connected) => {
  const p2pcf = new P2PCF(clientId, room, { workerUrl: server, stunIceServers: [], turnIceServers: [] });
  p2pcf.on('peerconnect', (peer) => {
    if (!residentId) {
      peer.on('stream', connected);
      return;
    }
    peer.addStream(camera());
    connected();
  });
  await p2pcf.start();
});
