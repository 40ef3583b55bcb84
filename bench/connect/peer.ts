/** What every stack's page has in common: it joins when told, says when it is connected, and counts what it sends. */

import { now } from './clock.ts';

export interface Place {
  /** The stack's signaling server, e.g. `http://127.0.0.1:8787`, no trailing slash. */
  server: string;
  room: string;
  /** The id of the peer that joins. */
  clientId: string;
  /** The id of the peer that is there already: for stacks that know no rooms. Not given to the first. */
  residentId?: string;
}

/** Joins; resolves once it has joined. Calls `connected` as soon as the stack tells it that it can send to another. */
export type Join = (place: Place, connected: () => void) => Promise<void>;

/** Times are those of clock.ts. */
export interface Peer {
  /** Resolves, once it has joined, to the time it began to. */
  join(place: Place): Promise<number>;
  /** Resolves to when a stack told of the page's nth connection, counted from 1, whichever of its peers has it. */
  connected(nth: number): Promise<number>;
  /** When it sent a message or a request to a server, each time. */
  sentAt: number[];
}

declare global {
  var peer: Peer;
}

export function expose(join: Join): void {
  let told = 0;
  const connections: PromiseWithResolvers<number>[] = [];
  const connection = (nth: number): PromiseWithResolvers<number> => {
    connections[nth] ??= Promise.withResolvers();
    return connections[nth];
  };
  const sentAt: number[] = [];
  onSend(() => sentAt.push(now()));
  globalThis.peer = {
    async join(place) {
      const startedAt = now();
      await join(place, () => connection(++told).resolve(now()));
      return startedAt;
    },
    connected: (nth) => connection(nth).promise,
    sentAt,
  };
}

/** What stands for a camera. */
export function camera(): MediaStream {
  shown ??= document.createElement('canvas').captureStream();
  return shown;
}
let shown: MediaStream | undefined;

/** Calls `sent` for everything that goes to a server: WebSocket messages and HTTP requests. */
function onSend(sent: () => void): void {
  WebSocket.prototype.send = new Proxy(WebSocket.prototype.send, {
    apply(send, socket, data) {
      sent();
      return Reflect.apply(send, socket, data);
    },
  });
  globalThis.fetch = new Proxy(globalThis.fetch, {
    apply(fetch, global, request) {
      sent();
      return Reflect.apply(fetch, global, request);
    },
  });
}
