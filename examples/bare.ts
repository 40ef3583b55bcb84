/** A chat without the library: a WebSocket, and one RTCPeerConnection for each of the others (PROTOCOL.md). */
const server = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';

/** Close codes of the network and of the server, after which a client comes back. The others are for good. */
const PASSING = [1001, 1006, 1011, 1012, 4006];

/** What we hear from the server, and what the others tell us through it. */
type Message =
  | { type: 'peers'; peers: string[] }
  | { type: 'signal'; fromId: string; signal: RTCSessionDescriptionInit | { candidate: RTCIceCandidateInit } }
  | { type: 'peer_leave'; clientId: string };

interface Connection {
  pc: RTCPeerConnection;
  channel: RTCDataChannel;
}
const connections = new Map<string, Connection>();

function show(line: string): void {
  document.body.appendChild(document.createElement('p')).textContent = line;
}

function enter(): void {
  const socket = new WebSocket(`${server.replace(/^http/, 'ws')}/ws/room/bare-chat`);
  const pings = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send('ping'), 25_000);
  socket.onmessage = ({ data }) => data === 'pong' || heed(socket, JSON.parse(data));
  socket.onclose = ({ code, reason }) => {
    clearInterval(pings);
    if (PASSING.includes(code)) setTimeout(enter, Math.random() * 4_000);
    else show(`Closed: ${code} ${reason}`);
  };
}

async function heed(socket: WebSocket, message: Message): Promise<void> {
  const signal = (targetId: string, signal: unknown): void =>
    socket.send(JSON.stringify({ type: 'signal', targetId, signal }));
  switch (message.type) {
    case 'peers': // we have joined, under a new id: all begins again, and the client that joins makes the offers
      for (const id of connections.keys()) forget(id);
      for (const id of message.peers) {
        const pc = connect(id, signal);
        await pc.setLocalDescription();
        signal(id, pc.localDescription);
      }
      break;
    case 'signal': {
      const { fromId, signal: said } = message;
      if ('candidate' in said) {
        await connections.get(fromId)?.pc.addIceCandidate(said.candidate);
      } else if (said.type === 'answer') {
        await connections.get(fromId)?.pc.setRemoteDescription(said);
      } else {
        const pc = connect(fromId, signal);
        await pc.setRemoteDescription(said);
        await pc.setLocalDescription();
        signal(fromId, pc.localDescription);
      }
      break;
    }
    case 'peer_leave':
      forget(message.clientId);
      break;
  }
}

function connect(id: string, signal: (targetId: string, signal: unknown) => void): RTCPeerConnection {
  forget(id);
  const pc = new RTCPeerConnection({ iceServers: [{ urls: 'stun:stun.cloudflare.com:3478' }] });
  const channel = pc.createDataChannel('chat', { negotiated: true, id: 0 });
  channel.onopen = () => show('Somebody is here.');
  channel.onmessage = ({ data }) => show(`They: ${data}`);
  pc.onicecandidate = ({ candidate }) => candidate && signal(id, { candidate });
  connections.set(id, { pc, channel });
  return pc;
}

function forget(id: string): void {
  connections.get(id)?.pc.close();
  connections.delete(id);
}

const input = document.body.appendChild(document.createElement('input'));
input.ariaLabel = 'Message';
input.addEventListener('change', () => {
  for (const { channel } of connections.values()) if (channel.readyState === 'open') channel.send(input.value);
  show(`You: ${input.value}`);
  input.value = '';
});
enter();
