/**
 * Every message on the WebSocket, both directions. PROTOCOL.md tells the same as a conversation.
 * All are JSON text frames but for the keep-alive, which is the bare text `ping` and its answer `pong`.
 */
import { type ErrorCode, ProtocolError } from './error.ts';

/** A client sends this text to show that it is alive; the runtime answers PONG without waking the room. */
export const PING = 'ping';
export const PONG = 'pong';

/** As a `targetId`: everyone in the room but the sender. Refused as anybody's id. */
export const BROADCAST_TARGET = '__broadcast__';

/**
 * What goes into `signal`, by convention between clients: the server carries it unread and never enforces this.
 * A description may bring the candidates known by then. A reader also accepts the two bare forms.
 */
export type Signal =
  | { type: 'offer' | 'answer'; sdp: string; candidates?: IceCandidate[] }
  | { candidates: IceCandidate[] }
  | { candidate: IceCandidate }
  | { sdp: { type: 'offer' | 'answer'; sdp: string } };

/** The fields of WebRTC's RTCIceCandidateInit, named here because the protocol compiles without DOM types. */
export interface IceCandidate {
  candidate?: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
  usernameFragment?: string | null;
}

/** Carry `signal` to `targetId`, or to everyone else if that is BROADCAST_TARGET. */
export interface SignalRequest {
  type: 'signal';
  targetId: string;
  signal: unknown;
}

/** Carry `data` to everyone else in the room. */
export interface BroadcastRequest {
  type: 'broadcast';
  data: unknown;
}

/** All that a client may send, besides PING. */
export type ClientMessage = SignalRequest | BroadcastRequest;

/** To a client that has just joined: the others in the room, longest there first, and the id it goes by. */
export interface Peers {
  type: 'peers';
  peers: string[];
  yourId: string;
}

/** To the others: `clientId` is here, or is here anew if they knew it already. `timestamp` in ms since the epoch. */
export interface PeerJoin {
  type: 'peer_join';
  clientId: string;
  timestamp: number;
}

/** To the others: `clientId` is gone. `timestamp` in ms since the epoch. */
export interface PeerLeave {
  type: 'peer_leave';
  clientId: string;
  timestamp: number;
}

/** A signal from `fromId`, which the server vouches for. */
export interface SignalDelivery {
  type: 'signal';
  fromId: string;
  signal: unknown;
}

/** A broadcast from `fromId`, which the server vouches for. */
export interface BroadcastDelivery {
  type: 'broadcast';
  fromId: string;
  data: unknown;
}

/** The client's last message was refused. `message` is a sentence for people; the other fields depend on `code`. */
export interface ErrorMessage {
  type: 'error';
  code: ErrorCode;
  message: string;
  /** unknown_peer: the id that is nobody's. */
  targetId?: string;
  /** too_large: the most a message may have, in UTF-8 bytes. */
  maxBytes?: number;
  /** rate_limited: when the same message would pass, in ms from now. */
  retryAfterMs?: number;
}

/** All that the server sends, besides PONG. */
export type ServerMessage = Peers | PeerJoin | PeerLeave | SignalDelivery | BroadcastDelivery | ErrorMessage;

/**
 * Reads one text frame from a client, e.g. `{"type":"signal","targetId":"bob","signal":{"type":"offer","sdp":"…"}}`.
 * Fields it does not know fall away. Throws ProtocolError `bad_json`, `bad_message` or `unknown_type`.
 */
export function parseClientMessage(text: string): ClientMessage {
  const message = parseObject(text);
  switch (message['type']) {
    case 'signal': {
      const { targetId, signal } = message;
      if (typeof targetId !== 'string') {
        throw new ProtocolError('bad_message', 'A signal needs a targetId: the id of the peer it is for, a string.');
      }
      if (signal === undefined) {
        throw new ProtocolError('bad_message', 'A signal needs a signal field: what to carry, any JSON.');
      }
      return { type: 'signal', targetId, signal };
    }
    case 'broadcast': {
      const { data } = message;
      if (data === undefined) {
        throw new ProtocolError('bad_message', 'A broadcast needs a data field: what to carry, any JSON.');
      }
      return { type: 'broadcast', data };
    }
    case undefined:
      throw new ProtocolError('bad_message', 'A message needs a type: "signal" or "broadcast".');
    default:
      throw new ProtocolError(
        'unknown_type',
        'The message has a type this server does not know; it knows "signal" and "broadcast".',
      );
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // JSON.parse throws SyntaxError and nothing else; its own words would quote the message back.
    throw new ProtocolError(
      'bad_json',
      'The message is not JSON. Send a JSON object such as {"type":"broadcast","data":1}, or the text ping.',
    );
  }
  if (!isObject(value)) throw new ProtocolError('bad_message', 'The message is JSON but not an object with a type.');
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
