import { WebrtcProvider } from 'y-webrtc';
import { Doc } from 'yjs';
import { expose } from '../peer.ts';

expose(({ server, room }, connected) => {
  const joined = Promise.withResolvers<void>();
  const provider = new WebrtcProvider(room, new Doc(), {
    signaling: [server],
    peerOpts: { config: { iceServers: [] } },
  });
  for (const signaling of provider.signalingConns) signaling.on('connect', () => joined.resolve());
  // It tells of a peer as soon as it tries to connect to it, and of nothing then until documents are in step.
  provider.on('peers', () => {
    for (const { peer } of provider.room?.webrtcConns.values() ?? []) peer.on('connect', connected);
  });
  return joined.promise;
});
