import { exports } from 'cloudflare:workers';
import worker from '../../src/index.ts';
import type { Env } from '../../src/worker/signaling-room.ts';
import type { Place } from './client.ts';

/** The Worker in this very runtime. Its sockets are not TCP: what needs a real one is in test/server. */
export const workerd = placeOf((url, init) => exports.default.fetch(url, init));

/** The same with other settings. The room has its own of wrangler.toml. */
export function workerdWith(settings: Env): Place {
  return placeOf((url, init) => worker.fetch(new Request<unknown, IncomingRequestCfProperties>(url, init), settings));
}

/** What a place asks of a server: no more than it takes everywhere. */
type Init = { method?: string; headers?: Record<string, string>; body?: string };

function placeOf(fetch: (url: string, init?: Init) => Promise<Response>): Place {
  return {
    fetch: (path, init) => fetch(`http://p2pcf-ws.test${path}`, init),
    async open(path, listen, subprotocols = []) {
      const offer = subprotocols.length > 0 ? { 'Sec-WebSocket-Protocol': subprotocols.join(', ') } : {};
      const response = await fetch(`http://p2pcf-ws.test${path}`, {
        headers: { Upgrade: 'websocket', ...offer },
      });
      const socket = response.webSocket;
      if (!socket) throw new Error(`${response.status} ${await response.text()}`);
      listen(socket);
      socket.accept();
      return response.headers.get('Sec-WebSocket-Protocol') ?? '';
    },
  };
}
