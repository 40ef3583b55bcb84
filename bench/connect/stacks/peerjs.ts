/** Both pick their ids, which spares PeerJS a request for one. */
import { Peer } from 'peerjs';
import { expose } from '../peer.ts';

expose(({ server, clientId, residentId }, connected) => {
  const joined = Promise.withResolvers<void>();
  const { hostname, port } = new URL(server);
  const peer = new Peer(clientId, { host: hostname, port: Number(port), path: '/', config: { iceServers: [] } });
  peer.on('open', () => {
    joined.resolve();
    if (residentId !== undefined) peer.connect(residentId).on('open', connected);
  });
  peer.on('connection', (connection) => connection.on('open', connected));
  peer.on('error', joined.reject);
  return joined.promise;
});
