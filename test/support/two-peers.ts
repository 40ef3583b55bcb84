/** Two real WebRTC peers that meet through a signaling server: the least a client has to do, in order. */
import { setTimeout as delay } from 'node:timers/promises';
import { type DataChannel, PeerConnection } from 'node-datachannel';
import { WebSocket } from 'ws';
import type { ClientMessage, ServerMessage } from '../../src/protocol/messages.ts';
import { type IceCandidate, parseSignal, type Signal } from '../../src/protocol/signal.ts';

/** What happened, in ms since the second peer began to connect. */
export interface Meeting {
  socketOpen: number;
  rosterKnown: number;
  channelOpen: number;
  /** The answer to the bytes it sent has come back. */
  echoed: number;
  /** WebSocket messages the two sent to the server. */
  messagesSent: number;
}

const GIVE_UP_AFTER_MS = 20_000;

/**
 * Alice waits in the room, Bob joins and offers to her, both exchange their candidates, and over the data channel Bob
 * sends `bytes`, which Alice sends back. Rejects if that takes more than 20 s, or if what comes back differs.
 */
export async function meet(serverUrl: string, roomId: string, bytes: Uint8Array): Promise<Meeting> {
  const room = `${serverUrl.replace(/^http/, 'ws')}/ws/room/${encodeURIComponent(roomId)}`;
  const alice = new Peer(room, 'alice');
  await Promise.race([alice.rosterKnown, alice.failed]);
  const start = performance.now();
  const since = (): number => performance.now() - start;
  const bob = new Peer(room, 'bob');
  const giveUp = new AbortController();
  try {
    const meeting = async (): Promise<Meeting> => {
      await bob.socketOpen;
      const socketOpen = since();
      await bob.rosterKnown;
      const rosterKnown = since();
      const channel = await bob.channelOpen;
      const channelOpen = since();
      const aliceChannel = await alice.channelOpen;
      aliceChannel.onMessage((message) => aliceChannel.sendMessageBinary(asBytes(message)));
      const answer = new Promise<Uint8Array>((resolve) => channel.onMessage((message) => resolve(asBytes(message))));
      channel.sendMessageBinary(bytes);
      if (Buffer.compare(await answer, bytes) !== 0) throw new Error('the bytes came back changed');
      return { socketOpen, rosterKnown, channelOpen, echoed: since(), messagesSent: alice.sent + bob.sent };
    };
    const timeout = delay(GIVE_UP_AFTER_MS, undefined, { signal: giveUp.signal }).then(() => {
      throw new Error(`the peers did not meet within ${GIVE_UP_AFTER_MS} ms`);
    });
    return await Promise.race([meeting(), timeout, alice.failed, bob.failed]);
  } finally {
    giveUp.abort();
    alice.close();
    bob.close();
  }
}

/** A bare client of the protocol with one peer connection. */
class Peer {
  readonly socketOpen: Promise<void>;
  readonly rosterKnown: Promise<void>;
  readonly channelOpen: Promise<DataChannel>;
  /** Never resolves; rejects at the first thing that goes wrong. */
  readonly failed: Promise<never>;
  /** Messages sent to the server. */
  sent = 0;
  readonly #socket: WebSocket;
  readonly #connection: PeerConnection;
  /**
   * Our candidates, until the other's description is here: if the other reaches us before, libdatachannel (0.33.4 of
   * node-datachannel) fails the connection now and then.
   */
  readonly #candidates: IceCandidate[] = [];
  #isAnswered = false;
  readonly #rosterKnown = Promise.withResolvers<void>();
  readonly #channelOpen = Promise.withResolvers<DataChannel>();

  constructor(roomUrl: string, clientId: string) {
    this.rosterKnown = this.#rosterKnown.promise;
    this.channelOpen = this.#channelOpen.promise;
    this.#connection = new PeerConnection(clientId, { iceServers: [] });
    this.#connection.onDataChannel((channel) => this.#use(channel));
    this.#socket = new WebSocket(`${roomUrl}?clientId=${clientId}`);
    this.socketOpen = new Promise((resolve) => {
      this.#socket.on('open', resolve);
    });
    this.failed = new Promise((_resolve, reject) => {
      this.#socket.on('error', reject);
      this.#socket.on('close', (code, reason) =>
        reject(new Error(`the server closed the connection: ${reason} (${code})`)),
      );
      this.#socket.on('message', (frame) => {
        try {
          this.#receive(JSON.parse(String(frame)));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  close(): void {
    this.#connection.close();
    this.#socket.terminate();
  }

  #receive(message: ServerMessage): void {
    if (message.type === 'peers') {
      this.#rosterKnown.resolve();
      for (const peerId of message.peers) this.#offer(peerId);
    }
    if (message.type === 'signal') this.#accept(message.fromId, message.signal);
    if (message.type === 'error') throw new Error(`${message.code}: ${message.message}`);
  }

  /** The peer that joins offers, so the two never offer at once. A new channel makes the connection negotiate. */
  #offer(peerId: string): void {
    this.#signalTo(peerId);
    this.#use(this.#connection.createDataChannel('bytes'));
  }

  /** An offer is answered by the connection itself. */
  #accept(peerId: string, signal: unknown): void {
    const { description, candidates = [] } = parseSignal(signal) ?? {};
    if (description?.type === 'offer') this.#signalTo(peerId);
    if (description) {
      this.#connection.setRemoteDescription(description.sdp, description.type);
      this.#isAnswered = true;
      this.#sendCandidates(peerId);
    }
    for (const { candidate, sdpMid } of candidates) {
      if (candidate && sdpMid) this.#connection.addRemoteCandidate(candidate, sdpMid);
    }
  }

  /** From now on the connection's description and candidates go to this peer. */
  #signalTo(peerId: string): void {
    this.#connection.onLocalDescription((sdp, type) => {
      if (type === 'offer' || type === 'answer') this.#send(peerId, { type, sdp });
    });
    this.#connection.onLocalCandidate((candidate, sdpMid) => {
      this.#candidates.push({ candidate, sdpMid });
      if (this.#isAnswered) this.#sendCandidates(peerId);
    });
  }

  #sendCandidates(peerId: string): void {
    if (this.#candidates.length > 0) this.#send(peerId, { candidates: this.#candidates.splice(0) });
  }

  #send(targetId: string, signal: Signal): void {
    this.sent++;
    this.#socket.send(JSON.stringify({ type: 'signal', targetId, signal } satisfies ClientMessage));
  }

  #use(channel: DataChannel): void {
    if (channel.isOpen()) this.#channelOpen.resolve(channel);
    else channel.onOpen(() => this.#channelOpen.resolve(channel));
  }
}

function asBytes(message: string | Buffer | ArrayBuffer): Uint8Array {
  if (typeof message === 'string') throw new Error('bytes arrived as text');
  return new Uint8Array(message);
}
