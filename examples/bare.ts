/** A chat without the library: a WebSocket, and one RTCPeerConnection for each of the others (PROTOCOL.md). */
const server = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';

/** Close codes of the network and of the server, after which a client comes back. The others are for good. */
const PASSING = [1001, 1006, 1011, 1012, 4006];

/** What two pages tell each other: a description, candidates, or both. */
type Signal = { type?: RTCSdpType; sdp?: string; candidates?: RTCIceCandidateInit[] };

/** What we hear from the server, and what the others tell us through it. */
type Message =
  | { type: 'peers'; peers: string[] }
  | { type: 'signal'; fromId: string; signal: Signal }
  | { type: 'peer_leave'; clientId: string };

interface Connection {
  pc: RTCPeerConnection;
  channel?: RTCDataChannel;
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
  const send = (targetId: string, signal: Signal): void =>
    socket.send(JSON.stringify({ type: 'signal', targetId, signal }));
  const describe = async (id: string, { pc }: Connection): Promise<void> => {
    await pc.setLocalDescription();
    if (pc.localDescription) send(id, pc.localDescription);
  };
  switch (message.type) {
    case 'peers': // we have joined, under a new id: all begins again, and the client that joins makes the offers
      for (const id of connections.keys()) forget(id);
      for (const id of message.peers) {
        const connection = connect(id, send);
        use(connection, connection.pc.createDataChannel('chat'));
        await describe(id, connection);
      }
      break;
    case 'signal': {
      const { fromId, signal } = message;
      const { type, sdp = '', candidates = [] } = signal;
      const connection = type === 'offer' ? connect(fromId, send) : connections.get(fromId);
      if (!connection) break;
      if (type) await connection.pc.setRemoteDescription({ type, sdp });
      for (const candidate of candidates) await connection.pc.addIceCandidate(candidate);
      if (type === 'offer') await describe(fromId, connection);
      break;
    }
    case 'peer_leave':
      forget(message.clientId);
      break;
  }
}

function connect(id: string, send: (targetId: string, signal: Signal) => void): Connection {
  forget(id);
  const pc = new RTCPeerConnection({ iceServers: [{ urls: 'stun:stun.cloudflare.com:3478' }] });
  const connection: Connection = { pc };
  pc.ondatachannel = ({ channel }) => use(connection, channel); // of the side that offers
  pc.onicecandidate = ({ candidate }) => candidate && send(id, { candidates: [candidate] });
  connections.set(id, connection);
  return connection;
}

/** All that is said is bytes, as with the library. */
function use(connection: Connection, channel: RTCDataChannel): void {
  connection.channel = channel;
  channel.binaryType = 'arraybuffer';
  channel.onopen = () => show('Somebody is here.');
  channel.onmessage = ({ data }) => show(`They: ${new TextDecoder().decode(data)}`);
}

function forget(id: string): void {
  connections.get(id)?.pc.close();
  connections.delete(id);
}

const input = document.body.appendChild(document.createElement('input'));
input.ariaLabel = 'Message';
input.addEventListener('change', () => {
  const bytes = new TextEncoder().encode(input.value);
  for (const { channel } of connections.values()) if (channel?.readyState === 'open') channel.send(bytes);
  show(`You: ${input.value}`);
  input.value = '';
});
enter();
