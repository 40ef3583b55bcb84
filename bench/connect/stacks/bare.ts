/** No library and no haste: the joiner offers once it knows whom to, and each candidate goes when it comes. */
import { type ClientMessage, parseSignal, type ServerMessage, type Signal } from '../../../src/protocol/messages.ts';
import { expose } from '../peer.ts';

expose(({ server, room, clientId }, connected) => {
  const joined = Promise.withResolvers<void>();
  const socket = new WebSocket(`${server}/ws/room/${room}?clientId=${clientId}`);
  let pc: RTCPeerConnection | undefined;

  const send = (targetId: string, signal: Signal): void =>
    socket.send(JSON.stringify({ type: 'signal', targetId, signal } satisfies ClientMessage));

  const connectionTo = (id: string): RTCPeerConnection => {
    const made = new RTCPeerConnection();
    made.onicecandidate = ({ candidate }) => candidate && send(id, { candidates: [candidate.toJSON()] });
    const channel = made.createDataChannel('data', { negotiated: true, id: 0 });
    channel.onopen = connected;
    return made;
  };

  const describe = async (id: string, made: RTCPeerConnection): Promise<void> => {
    await made.setLocalDescription();
    const { type, sdp } = made.localDescription ?? {};
    if ((type === 'offer' || type === 'answer') && sdp !== undefined) send(id, { type, sdp });
  };

  const receive = async (message: ServerMessage): Promise<void> => {
    if (message.type === 'peers') {
      joined.resolve();
      const [resident] = message.peers;
      if (resident === undefined) return;
      pc = connectionTo(resident);
      await describe(resident, pc);
    }
    if (message.type === 'signal') {
      const signal = parseSignal(message.signal);
      pc ??= connectionTo(message.fromId);
      if (signal?.description) await pc.setRemoteDescription(signal.description);
      if (signal?.description?.type === 'offer') await describe(message.fromId, pc);
      for (const candidate of signal?.candidates ?? []) await pc.addIceCandidate(candidate);
    }
  };
  // One may come while another is worked off: the connection itself keeps their order.
  socket.onmessage = ({ data }) => void receive(JSON.parse(data));
  return joined.promise;
});
