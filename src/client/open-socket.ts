/** A WebSocket that is to be opened. Throws Error, with what may be wrong, where the browser does not even try. */
import type { SocketFace } from './sealed/face.ts';
import type { WebSocketClass } from './signaling-options.ts';

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
