/** What SignalingClient is given, and what it tells. */
import type { Close } from '../protocol/close.ts';
import type { IceServers } from '../protocol/ice-servers.ts';
import type { ErrorMessage, PeerJoin, PeerLeave, Peers } from '../protocol/messages.ts';
import type { RoomToken } from './room-token.ts';

/**
 * `connecting` until the room has answered for the first time, `open` while it can be spoken to, `reconnecting` between
 * a loss and the next answer, `closed` before `start`, after `stop` and after a final refusal.
 */
export type SignalingState = 'connecting' | 'open' | 'reconnecting' | 'closed';

export type WebSocketClass = new (url: string, subprotocols: string[]) => object;

export interface SignalingOptions {
  /** Address of the server: http, https, ws or wss, with or without a path. */
  workerUrl: string;
  /** The room: 1 to 128 characters, at most 256 UTF-8 bytes. */
  roomId: string;
  /** Our id in the room, unique there; the server makes one up if there is none. */
  clientId?: string | undefined;
  /** What the others are told of us, any JSON of at most 2,560 UTF-8 bytes. */
  metadata?: unknown;
  /** Most peers that the room is to have, if we are the first in it: 1 to 32,000. The server may have a lower limit. */
  maxPeers?: number | undefined;
  /** Ask for the offers that others have published ahead. */
  ahead?: boolean | undefined;
  /** How often to ping, in ms, 500 or more; default 25,000. An answer is waited for 0.4 times as long. */
  pingEveryMs?: number | undefined;
  /**
   * The secret by which we get our place back, 36 characters as a random UUID has them; made up if there is none. With
   * an owned id (PROTOCOL.md) it is the id's own.
   */
  resumeToken?: string | undefined;
  /** The room token that the server wants (PROTOCOL.md). A function is called for each connection. */
  token?: RoomToken | undefined;
  /**
   * Called before the first connection, which waits for it: resolves with an answer to whichever offer published ahead
   * the room will give us, to be sent along.
   */
  prepare?: (() => Promise<unknown>) | undefined;
  /** For places without a global WebSocket. `object`, because each has types of its own for the same thing. */
  WebSocket?: WebSocketClass | undefined;
}

export interface SignalingEvents {
  /**
   * The state has changed, with the `reason` why it is `closed` for good; or, while it is `connecting` or
   * `reconnecting`, the reason why that goes on is known.
   */
  state: [state: SignalingState, reason: string | undefined];
  /** We are in: who is here, after the first connection and after each later one. */
  peers: [message: Peers];
  /** Someone came, or came back. */
  join: [message: PeerJoin];
  /** Someone left. */
  leave: [message: PeerLeave];
  signal: [fromId: string, signal: unknown];
  broadcast: [fromId: string, data: unknown];
  /** ICE servers for us, in place of earlier ones. Servers that are at hand come with `peers`. */
  iceservers: [given: IceServers];
  /** The server refused a message. */
  error: [message: ErrorMessage];
  /** The server refused us for good, and the state is about to be `closed`: its close code, and why. */
  refused: [close: Close];
}
