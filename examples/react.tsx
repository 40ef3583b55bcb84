/** A chat in React. */
import { usePeers, useRoom } from 'p2pcf-ws/react';
import { type FormEvent, StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

const workerUrl = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';
const name = `guest-${Math.floor(Math.random() * 1e6)}`;

function Chat() {
  const { room, state, error } = useRoom(name, 'react chat', { workerUrl });
  const peers = usePeers(room);
  const [lines, setLines] = useState<string[]>([]);
  const [text, setText] = useState('');
  useEffect(() => {
    if (!room) return;
    const listener = (peer: { client_id: string }, data: ArrayBuffer): void =>
      setLines((before) => [...before, `${peer.client_id}: ${new TextDecoder().decode(data)}`]);
    room.on('msg', listener);
    return () => void room.off('msg', listener);
  }, [room]);
  const send = (event: FormEvent): void => {
    event.preventDefault();
    room?.broadcast(text).catch(() => undefined); // whoever is lost on the way misses it
    setLines((before) => [...before, `me: ${text}`]);
    setText('');
  };
  return (
    <>
      <p role="status">{error?.message ?? state}</p>
      <p>
        With:{' '}
        {peers
          .filter(({ connected }) => connected)
          .map(({ client_id }) => client_id)
          .join(', ') || 'nobody'}
      </p>
      <ol>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines are only added
          <li key={index}>{line}</li>
        ))}
      </ol>
      <form onSubmit={send}>
        <input aria-label="Message" value={text} onChange={({ target }) => setText(target.value)} />
        <button type="submit">Send</button>
      </form>
    </>
  );
}

function App() {
  const [isIn, setIsIn] = useState(true);
  return (
    <>
      <button type="button" onClick={() => setIsIn(!isIn)}>
        {isIn ? 'Leave' : 'Join'}
      </button>
      {isIn && <Chat />}
    </>
  );
}

const root = document.body.appendChild(document.createElement('main'));
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
