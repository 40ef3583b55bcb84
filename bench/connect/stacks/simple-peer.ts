/** With socket.io, whose rooms the server lets in: see servers/socket-io.ts. */
import Peer from 'simple-peer/simplepeer.min.js'; // its other entry needs Node's modules
import { io } from 'socket.io-client';
import { expose } from '../peer.ts';

expose(({ server, room }, connected) => {
  const joined = Promise.withResolvers<void>();
  const socket = io(server, { transports: ['websocket'] });
  const peers = new Map<string, Peer.Instance>();

  const connectTo = (id: string, initiator: boolean): Peer.Instance => {
    const peer = new Peer({ initiator, config: { iceServers: [] } });
    peers.set(id, peer);
    peer.on('signal', (signal) => socket.emit('signal', id, signal));
    peer.on('connect', connected);
    return peer;
  };
  socket.on('connect', () => socket.emit('join', room));
  socket.on('others', (ids: string[]) => {
    joined.resolve();
    for (const id of ids) connectTo(id, true);
  });
  socket.on('signal', (id: string, signal: Peer.SignalData) => (peers.get(id) ?? connectTo(id, false)).signal(signal));
  return joined.promise;
});
