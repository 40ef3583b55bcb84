import { exports } from 'cloudflare:workers';
import type { Place } from './client.ts';

/** The Worker in this very runtime. Its sockets are not TCP: what needs a real one is in test/server. */
export const workerd: Place = {
  fetch: (path, init) => exports.default.fetch(`http://p2pcf-ws.test${path}`, init),
  async open(path, listen, subprotocols = []) {
    const offer = subprotocols.length > 0 ? { 'Sec-WebSocket-Protocol': subprotocols.join(', ') } : {};
    const response = await exports.default.fetch(`http://p2pcf-ws.test${path}`, {
      headers: { Upgrade: 'websocket', ...offer },
    });
    const socket = response.webSocket;
    if (!socket) throw new Error(`${response.status} ${await response.text()}`);
    listen(socket);
    socket.accept();
    return response.headers.get('Sec-WebSocket-Protocol') ?? '';
  },
};
