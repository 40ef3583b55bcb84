/** A WebSocket to the server: how it is opened, and how it is left. */
import type { SocketFace } from './sealed/face.ts';
import type { WebSocketClass } from './signaling-options.ts';

/**
 * How long a socket that is left while it opens may go on with that, in ms. A browser opens one socket to a server at a
 * time, for all rooms: one that hangs would keep the next waiting for minutes (Chromium 156: four).
 */
const LET_IN_WITHIN_MS = 10_000;

/** Throws Error, with what may be wrong, where the browser does not even try. */
export function openSocket(WebSocket: WebSocketClass, ...join: SocketFace['join']): WebSocket {
  try {
    return Object(new WebSocket(...join));
  } catch (error) {
    // Of http from a page on https Firefox says that it is insecure, and of what the page's policy forbids nothing.
    throw new Error(
      `The browser refuses. Check workerUrl (http or https?), the page's Content-Security-Policy: ${error}`,
    );
  }
}

/** Is done with a socket, whatever becomes of it; by default for good. */
export function leaveSocket(socket: WebSocket, code = 1000): void {
  socket.onmessage = socket.onclose = null;
  // Closed before it is open, a socket just breaks off. If the join has arrived by then the room takes that for a drop,
  // and holds our place for a while. So to leave for good, a client lets itself be let in first, and then says goodbye.
  if (socket.readyState === 0 && code === 1000) {
    const timer = setTimeout(() => socket.close(), LET_IN_WITHIN_MS);
    socket.onopen = socket.onclose = () => {
      clearTimeout(timer);
      socket.close(code);
    };
  } else socket.close(code);
}
