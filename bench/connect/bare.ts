/** No library and no haste: the joiner offers once it knows whom to, and each candidate goes when it comes. */
import type { ClientMessage, ServerMessage } from '../../src/protocol/messages.ts';
import { parseSignal, type Signal } from '../../src/protocol/signal.ts';
import { camera, type Join } from './peer.ts';

/** `shows`: the joiner shows its camera once it is connected, and the other is connected once it is shown that. */
export const joinBare =
  (shows: boolean): Join =>
  ({ server, room, clientId, residentId }, connected) => {
    const joined = Promise.withResolvers<void>();
    const socket = new WebSocket(`${server}/ws/room/${room}?clientId=${clientId}`);
    const connections = new Map<string, RTCPeerConnection>();

    const send = (targetId: string, signal: Signal): void =>
      socket.send(JSON.stringify({ type: 'signal', targetId, signal } satisfies ClientMessage));

    const connectionTo = (id: string): RTCPeerConnection => {
      const known = connections.get(id);
      if (known) return known;
      const made = new RTCPeerConnection();
      connections.set(id, made);
      made.onicecandidate = ({ candidate }) => candidate && send(id, { candidates: [candidate.toJSON()] });
      const channel = made.createDataChannel('data', { negotiated: true, id: 0 });
      if (!shows || residentId) channel.onopen = connected;
      else made.ontrack = connected;
      if (shows && residentId) {
        channel.addEventListener('open', () => {
          for (const track of camera().getTracks()) made.addTrack(track, camera());
          void describe(id);
        });
      }
      return made;
    };

    const describe = async (id: string): Promise<void> => {
      const connection = connectionTo(id);
      await connection.setLocalDescription();
      const { type, sdp } = connection.localDescription ?? {};
      if ((type === 'offer' || type === 'answer') && sdp !== undefined) send(id, { type, sdp });
    };

    const receive = async (message: ServerMessage): Promise<void> => {
      if (message.type === 'peers') {
        joined.resolve();
        await Promise.all(message.peers.map(describe));
      }
      if (message.type === 'signal') {
        const signal = parseSignal(message.signal);
        const connection = connectionTo(message.fromId);
        if (signal?.description) await connection.setRemoteDescription(signal.description);
        if (signal?.description?.type === 'offer') await describe(message.fromId);
        for (const candidate of signal?.candidates ?? []) await connection.addIceCandidate(candidate);
      }
    };
    // One may come while another is worked off: the connection itself keeps their order.
    socket.onmessage = ({ data }) => void receive(JSON.parse(data));
    return joined.promise;
  };
