/**
 * Every message on the WebSocket, both directions. PROTOCOL.md tells the same as a conversation.
 * All are JSON text frames but for the keep-alive, which is the bare text `ping` and its answer `pong`.
 */
import type { Close } from './close.ts';
import { type ErrorCode, ProtocolError } from './error.ts';
import { type IceServers, isIceServers } from './ice-servers.ts';
import { asciiJson, isObject, parseJson } from './json.ts';

/** A client sends this text to show that it is alive; the runtime answers PONG without waking the room. */
export const PING = 'ping';
export const PONG = 'pong';

/** As a `targetId`: everyone in the room but the sender. Refused as anybody's id. */
export const BROADCAST_TARGET = '__broadcast__';

/** Longest offer published ahead, in bytes of JSON with all but ASCII escaped. */
export const MAX_OFFER_BYTES = 8192;

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

/**
 * Keep `offer`, a complete `Signal` of a connection made in advance, for a peer that joins with `?ahead=1`; it takes
 * the place of the one kept before. It is handed out once.
 */
export interface AheadRequest {
  type: 'ahead';
  offer: unknown;
}

/** Put `targetId` out of the room, until its token expires. Only a client whose own token says `host` may. */
export interface RemoveRequest {
  type: 'remove';
  targetId: string;
}

/** Send me new credentials for the ICE servers, as mine are about to end. */
export interface IceServersRequest {
  type: 'ice_servers';
}

/** All that a client may send, besides PING. */
export type ClientMessage = SignalRequest | BroadcastRequest | AheadRequest | RemoveRequest | IceServersRequest;

/** What the token of a client says of it, verified by the server: its subject. */
export interface Verified {
  sub: string;
}

/**
 * To a client that has just joined: the others in the room, longest there first, and the id it goes by. With ICE
 * servers if the server has some to offer and they are at hand.
 */
export interface Peers extends Partial<IceServers> {
  type: 'peers';
  peers: string[];
  yourId: string;
  /** The metadata of the others, by id. Absent if nobody brought any. */
  metadata?: Record<string, unknown>;
  /** What the server has verified of the others, by id. Absent if that is nothing. */
  verified?: Record<string, Verified>;
  /**
   * Offers published ahead, by id, for this joiner alone: answer them. Only with `?ahead=1`, absent if there are none.
   */
  offers?: Record<string, unknown>;
  /** The one of `offers` that has been given the answer you brought: it needs no other. Absent if none has. */
  answered?: string;
  /** Those of `peers` that poll: offer them a data channel, whoever came first. Absent if none does. */
  polling?: string[];
  /** Members that a host has removed: close what you have with them. Not with `?ahead=1`, absent if there are none. */
  removed?: string[];
  /**
   * A client that comes back with it (`?resume=<token>`) gets its place again. Only with `?resume=…`, as the three
   * below.
   */
  resumeToken?: string;
  /** Whether this was the return to a place that was held: then nobody else has heard of the absence. */
  resumed?: boolean;
  /** How long a place is held after the last sign of life, in seconds. */
  graceSeconds?: number;
  /** The most that a message to the room may have, in UTF-8 bytes. Absent: 65,536. */
  maxMessageBytes?: number;
}

/**
 * To the others: `clientId` is here, or has joined again if they knew it already. `timestamp` in ms since the epoch.
 */
export interface PeerJoin {
  type: 'peer_join';
  clientId: string;
  timestamp: number;
  /** What it brought as metadata, if anything. */
  metadata?: unknown;
  /** What the server has verified of it, if anything. */
  verified?: Verified;
  /** It has been handed the offer you published ahead: expect its answer, and publish the next. */
  offerTaken?: true;
  /** It polls: offer it a data channel, although it came later. */
  polling?: true;
}

/**
 * `left`: it said goodbye. `timeout`: its connection was lost, or the server had to end it; what peers have between
 * them may well go on. `removed`: a host has put it out, so close what you have with it.
 */
export type LeaveReason = 'left' | 'timeout' | 'removed';

/** To the others: `clientId` is gone. `timestamp` in ms since the epoch. */
export interface PeerLeave {
  type: 'peer_leave';
  clientId: string;
  timestamp: number;
  reason: LeaveReason;
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

/** ICE servers for this client, in place of those it was given before: they took longer than its join, or it asked. */
export interface IceServersDelivery extends IceServers {
  type: 'ice_servers';
}

/**
 * The client's last message was refused, or for `closing`, the client is. `message` is a sentence for people; the other
 * fields depend on `code`.
 */
export interface ErrorMessage {
  type: 'error';
  code: ErrorCode;
  message: string;
  /** unknown_peer: the id that is nobody's. peer_away: the id of a peer that has dropped and may come back. */
  targetId?: string;
  /** too_large: the most a message may have, in UTF-8 bytes. */
  maxBytes?: number;
  /** rate_limited: when the same message would pass, in ms from now. */
  retryAfterMs?: number;
  /** closing: the close frame that follows. */
  close?: Close;
}

/**
 * Tells a client that has a token of a close frame that follows. Node's WebSocket tells of that only when the server
 * has ended TCP, too, which local workerd does up to ten seconds later (2026-11).
 */
export function closing(close: Close): ErrorMessage {
  const message = `The server closes the connection: ${close.reason} (${close.code}).`;
  return { type: 'error', code: 'closing', message, close };
}

/** All that the server sends, besides PONG. */
export type ServerMessage =
  | Peers
  | PeerJoin
  | PeerLeave
  | SignalDelivery
  | BroadcastDelivery
  | IceServersDelivery
  | ErrorMessage;

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
    case 'ahead': {
      const { offer } = message;
      if (offer === undefined) {
        throw new ProtocolError(
          'bad_message',
          'An ahead message needs an offer field: a complete offer, as in a signal.',
        );
      }
      if (asciiJson(offer).length > MAX_OFFER_BYTES) {
        throw new ProtocolError('bad_message', `An offer published ahead may have at most ${MAX_OFFER_BYTES} bytes.`);
      }
      return { type: 'ahead', offer };
    }
    case 'remove': {
      const { targetId } = message;
      if (typeof targetId !== 'string') {
        throw new ProtocolError('bad_message', 'A remove message needs a targetId: the id of the peer, a string.');
      }
      return { type: 'remove', targetId };
    }
    case 'ice_servers':
      return { type: 'ice_servers' };
    case undefined:
      throw new ProtocolError(
        'bad_message',
        'A message needs a type: "signal", "broadcast", "ahead", "remove" or "ice_servers".',
      );
    default:
      throw new ProtocolError(
        'unknown_type',
        'The message has a type this server does not know; it knows "signal", "broadcast", "ahead", "remove" and "ice_servers".',
      );
  }
}

function parseObject(text: string): Record<string, unknown> {
  const value = parseJson(
    text,
    'The message is not JSON. Send a JSON object such as {"type":"broadcast","data":1}, or the text ping.',
  );
  if (!isObject(value)) throw new ProtocolError('bad_message', 'The message is JSON but not an object with a type.');
  return value;
}

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === 'string';
const isClose: Check = (value) => isObject(value) && Number.isInteger(value['code']) && isText(value['reason']);
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isVerified: Check = (value) => isObject(value) && isText(value['sub']);
const isVerifiedEach: Check = (value) => isObject(value) && Object.values(value).every(isVerified);
const isMaybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

/** What a client relies on in each of the server's messages; the rest is carried unread. */
const SERVER_MESSAGES: Record<ServerMessage['type'], Record<string, Check>> = {
  peers: {
    peers: isTexts,
    yourId: isText,
    metadata: isMaybe(isObject),
    verified: isMaybe(isVerifiedEach),
    offers: isMaybe(isObject),
    answered: isMaybe(isText),
    polling: isMaybe(isTexts),
    removed: isMaybe(isTexts),
    graceSeconds: isMaybe(Number.isFinite),
    maxMessageBytes: isMaybe(Number.isFinite),
    iceServers: isMaybe(isIceServers),
    iceServersSeconds: isMaybe(Number.isFinite),
  },
  peer_join: { clientId: isText, verified: isMaybe(isVerified) },
  peer_leave: { clientId: isText },
  signal: { fromId: isText },
  broadcast: { fromId: isText },
  ice_servers: { iceServers: isIceServers, iceServersSeconds: isMaybe(Number.isFinite) },
  error: { code: isText, message: isText, close: isMaybe(isClose) },
};

/**
 * Reads one text frame from the server. Undefined for a type it does not know, as a newer server may send, and for
 * whatever else makes no sense: a hostile server must not make a client throw.
 */
export function parseServerMessage(text: string): ServerMessage | undefined {
  try {
    const message = parseJson(text, '');
    return isServerMessage(message) ? message : undefined;
  } catch {
    return undefined; // a ProtocolError
  }
}

function isServerMessage(message: unknown): message is ServerMessage {
  if (!isObject(message) || typeof message['type'] !== 'string' || !Object.hasOwn(SERVER_MESSAGES, message['type']))
    return false;
  const checks: Record<string, Check> = Object(SERVER_MESSAGES)[message['type']];
  return Object.entries(checks).every(([field, check]) => check(message[field]));
}
