/** The clients: they put load on a server and say when all of it has come through. */
import { deepEqual } from 'node:assert/strict';
import { once } from 'node:events';
import { setInterval } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ClientMessage, ServerMessage } from '../src/protocol/messages.ts';
import type { Signal } from '../src/protocol/signal.ts';

const CANDIDATES = Array.from(
  { length: 9 },
  (_, i) =>
    `a=candidate:${842163049 + i} 1 udp ${1677729535 - i} 198.51.100.23 ${54321 + i} typ srflx raddr 0.0.0.0 rport 0 generation 0`,
);

/** A data channel's offer as Chrome makes it, its candidates gathered: 1.5 KB with the message around it. */
const OFFER: Signal = {
  type: 'offer',
  sdp: [
    'v=0',
    'o=- 4611731400430051336 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS',
    'm=application 54321 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 198.51.100.23',
    ...CANDIDATES,
    'a=ice-ufrag:EsAw',
    'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
    'a=ice-options:trickle',
    'a=fingerprint:sha-256 0F:16:1D:24:2B:32:39:40:47:4E:55:5C:63:6A:71:78:7F:86:8D:94:9B:A2:A9:B0:B7:BE:C5:CC:D3:DA:E1:E8',
    'a=setup:actpass',
    'a=mid:0',
    'a=sctp-port:5000',
    'a=max-message-size:262144',
    '',
  ].join('\r\n'),
};

/** What the sender sends, and what must come out at the receiver. */
const FRAME = JSON.stringify({ type: 'signal', targetId: 'bob', signal: OFFER } satisfies ClientMessage);
const DELIVERY: ServerMessage = { type: 'signal', fromId: 'alice', signal: OFFER };

export const frameBytes = Buffer.byteLength(FRAME);

/** Two peers of one room: signals go from the sender to the receiver. */
export interface Pair {
  sender: WebSocket;
  receiver: WebSocket;
}

export async function enterPair(serverUrl: string, roomId: string): Promise<Pair> {
  const receiver = open(serverUrl, roomId, 'bob');
  await once(receiver, 'message'); // `peers`
  const sender = open(serverUrl, roomId, 'alice');
  await Promise.all([once(sender, 'message'), once(receiver, 'message')]); // `peers` and `peer_join`: no more will come
  return { sender, receiver };
}

/** Sends `count` signals, never more than `window` of them under way; resolves when the last one has arrived. */
export async function relay({ sender, receiver }: Pair, count: number, window: number): Promise<void> {
  const done = Promise.withResolvers<Buffer>();
  let sent = 0;
  let arrived = 0;
  const send = (): void => {
    sent++;
    sender.send(FRAME);
  };
  const onArrival = (data: Buffer): void => {
    arrived++;
    if (arrived === count) done.resolve(data);
    else if (sent < count) send();
  };
  const onAnswer = (data: Buffer): void => done.reject(new Error(`the sender was sent ${data}`));
  receiver.on('message', onArrival);
  sender.on('message', onAnswer);
  while (sent < Math.min(window, count)) send();
  deepEqual(JSON.parse(String(await done.promise)), DELIVERY);
  receiver.off('message', onArrival);
  sender.off('message', onAnswer);
}

/** Sends `count` signals at a fixed pace. Returns how long each was under way, in ms: one process, so one clock. */
export async function relayPaced({ sender, receiver }: Pair, count: number, everyMs: number): Promise<number[]> {
  const done = Promise.withResolvers<void>();
  const sentAt: number[] = [];
  const latencies: number[] = [];
  const onArrival = (): void => {
    latencies.push(performance.now() - (sentAt[latencies.length] ?? Number.NaN));
    if (latencies.length === count) done.resolve();
  };
  receiver.on('message', onArrival);
  for await (const _ of setInterval(everyMs)) {
    sentAt.push(performance.now());
    sender.send(FRAME);
    if (sentAt.length === count) break;
  }
  await done.promise;
  receiver.off('message', onArrival);
  return latencies;
}

/**
 * `size` peers join one room, each as soon as the one before is in. Resolves when each has its `peers` and has heard of
 * everyone who came later.
 */
export async function fillRoom(serverUrl: string, roomId: string, size: number): Promise<void> {
  const done = Promise.withResolvers<void>();
  let expected = size + (size * (size - 1)) / 2;
  for (let i = 0; i < size; i++) {
    const socket = open(serverUrl, roomId, `peer-${i}`);
    socket.on('message', () => {
      expected--;
      if (expected === 0) done.resolve();
    });
    await once(socket, 'open');
  }
  await done.promise;
}

function open(serverUrl: string, roomId: string, clientId: string): WebSocket {
  // What the client costs is not what is measured: no compression, and no check of what the server says.
  return new WebSocket(`${serverUrl}/ws/room/${roomId}?clientId=${clientId}`, {
    perMessageDeflate: false,
    skipUTF8Validation: true,
  });
}
