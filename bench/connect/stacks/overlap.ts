/**
 * No library, done with care: connection, offer and candidates are made while the socket opens, and candidates of one
 * moment go in one message.
 */
import type { ClientMessage, ServerMessage } from '../../../src/protocol/messages.ts';
import { parseSignal, type Signal } from '../../../src/protocol/signal.ts';
import { expose } from '../peer.ts';

expose(({ server, room, clientId }, connected) => {
  const joined = Promise.withResolvers<void>();
  const socket = new WebSocket(`${server}/ws/room/${room}?clientId=${clientId}`);

  const send = (targetId: string, signal: Signal): void =>
    socket.send(JSON.stringify({ type: 'signal', targetId, signal } satisfies ClientMessage));

  const made = (): RTCPeerConnection => {
    const connection = new RTCPeerConnection();
    const channel = connection.createDataChannel('data', { negotiated: true, id: 0 });
    channel.onopen = connected;
    return connection;
  };
  let pc = made();

  /** Candidates found and not sent: for example, found before there was anybody to send them to. */
  let found: RTCIceCandidateInit[] = [];
  let otherId: string | undefined;
  const flush = (): void => {
    if (otherId !== undefined && found.length > 0) send(otherId, { candidates: found.splice(0) });
  };
  const gather = (): void => {
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      if (found.length === 0) setTimeout(flush);
      found.push(candidate.toJSON());
    };
  };
  gather();
  const offered = pc.setLocalDescription();

  const sendDescription = (): void => {
    const { type, sdp } = pc.localDescription ?? {};
    if (otherId === undefined || (type !== 'offer' && type !== 'answer') || sdp === undefined) return;
    send(otherId, { type, sdp, candidates: found.splice(0) });
  };

  const receive = async (message: ServerMessage): Promise<void> => {
    if (message.type === 'peers') {
      joined.resolve();
      const [resident] = message.peers;
      await offered;
      if (resident === undefined) {
        // Nobody to offer anything to: the next who comes will offer.
        pc.close();
        pc = made();
        found = [];
        gather();
      } else {
        otherId = resident;
        sendDescription();
      }
    }
    if (message.type === 'signal') {
      const signal = parseSignal(message.signal);
      if (signal?.description) void pc.setRemoteDescription(signal.description);
      for (const candidate of signal?.candidates ?? []) void pc.addIceCandidate(candidate);
      if (signal?.description?.type === 'offer') {
        await pc.setLocalDescription();
        otherId = message.fromId;
        sendDescription();
      }
    }
  };
  socket.onmessage = ({ data }) => void receive(JSON.parse(data));
  return joined.promise;
});
