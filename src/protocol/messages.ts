/**
 * Every message on the WebSocket, both directions. PROTOCOL.md tells the same as a conversation.
 * All are JSON text frames but for the keep-alive, which is the bare text `ping` and its answer `pong`.
 */
import { asciiJson } from './ascii-json.ts';
import { type ErrorCode, ProtocolError } from './error.ts';
import { utf8Length } from './utf8.ts';

/** A client sends this text to show that it is alive; the runtime answers PONG without waking the room. */
export const PING = 'ping';
export const PONG = 'pong';

/** As the join URL's `resume`: give me a token by which to get my place back. Later the token itself stands there. */
export const RESUME_NEXT_TIME = '1';

/** As a `targetId`: everyone in the room but the sender. Refused as anybody's id. */
export const BROADCAST_TARGET = '__broadcast__';

/**
 * Longest join metadata, in UTF-8 bytes of JSON. The library promises an app 2,048 and needs some for its own envelope;
 * with an offer it fits into a socket's attachment of 16,384 bytes however it is escaped (2026-11).
 */
export const MAX_METADATA_BYTES = 2560;

/** Longest offer published ahead, in bytes of JSON with all but ASCII escaped. */
export const MAX_OFFER_BYTES = 8192;

/**
 * What goes into `signal`, by convention between clients: the server carries it unread and never enforces this.
 * A description may bring the candidates known by then; later ones follow together.
 */
export type Signal = ((Description & { candidates?: IceCandidate[] }) | { candidates: IceCandidate[] }) & {
  /** Which of the attempts to connect it belongs to: the offerer's choice, and what follows says the same. */
  attempt?: string;
};

/** Goes into `signal` too: asks the other for an ICE restart, for one whose browser had better not offer it. */
export interface RestartRequest {
  restart: true;
}

/** The fields of WebRTC's RTCSessionDescriptionInit that are signaled. */
export interface Description {
  type: 'offer' | 'answer';
  sdp: string;
}

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

/**
 * Keep `offer`, a complete `Signal` of a connection made in advance, for one who joins with `?ahead=1`; it takes the
 * place of the one kept before. It is handed out once.
 */
export interface AheadRequest {
  type: 'ahead';
  offer: unknown;
}

/** All that a client may send, besides PING. */
export type ClientMessage = SignalRequest | BroadcastRequest | AheadRequest;

/** To a client that has just joined: the others in the room, longest there first, and the id it goes by. */
export interface Peers {
  type: 'peers';
  peers: string[];
  yourId: string;
  /** What those who brought metadata brought, by id. Absent if nobody did. */
  metadata?: Record<string, unknown>;
  /** Offers published ahead, by id, for this joiner alone: answer them. Only with `?ahead=1`, absent if there are none. */
  offers?: Record<string, unknown>;
  /** Those of `peers` that poll: offer them a data channel, whoever came first. Absent if none does. */
  polling?: string[];
  /** Whoever comes back with it (`?resume=<token>`) gets the place that it left. Only with `?resume=…`, as the two below. */
  resumeToken?: string;
  /** Whether this was the return to a place that was held: then nobody else has heard of the absence. */
  resumed?: boolean;
  /** How long a place is held after the last sign of life, in seconds. */
  graceSeconds?: number;
}

/** To the others: `clientId` is here, or is here anew if they knew it already. `timestamp` in ms since the epoch. */
export interface PeerJoin {
  type: 'peer_join';
  clientId: string;
  timestamp: number;
  /** What it brought as metadata, if anything. */
  metadata?: unknown;
  /** It has been handed the offer you published ahead: expect its answer, and publish the next. */
  offerTaken?: true;
  /** It polls: offer it a data channel, although it came later. */
  polling?: true;
}

/**
 * `left`: it said goodbye. `timeout`: its connection was lost, or the server had to end it; what peers have between
 * them may well go on.
 */
export type LeaveReason = 'left' | 'timeout';

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

/** The client's last message was refused. `message` is a sentence for people; the other fields depend on `code`. */
export interface ErrorMessage {
  type: 'error';
  code: ErrorCode;
  message: string;
  /** unknown_peer: the id that is nobody's. peer_away: of one that has dropped and may come back. */
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
    case undefined:
      throw new ProtocolError('bad_message', 'A message needs a type: "signal", "broadcast" or "ahead".');
    default:
      throw new ProtocolError(
        'unknown_type',
        'The message has a type this server does not know; it knows "signal", "broadcast" and "ahead".',
      );
  }
}

/** What a peer's signal says. */
export interface ParsedSignal {
  description?: Description;
  candidates: IceCandidate[];
  attempt?: string;
}

/**
 * Reads a peer's `signal`: its description, if it has one, and its candidates, if any. Besides Signal it takes the bare
 * forms `{candidate: …}`, `{sdp: {type, sdp}}` and an RTCIceCandidateInit as it is. Undefined if it is none of these.
 */
export function parseSignal(signal: unknown): ParsedSignal | undefined {
  if (!isObject(signal)) return undefined;
  const description = asDescription(signal) ?? asDescription(signal['sdp']);
  const listed: unknown[] | undefined = Array.isArray(signal['candidates']) ? signal['candidates'] : undefined;
  const bare = typeof signal['candidate'] === 'string' ? signal : signal['candidate'];
  const candidates = (listed ?? [bare]).filter(isIceCandidate);
  if (!description && !listed && candidates.length === 0) return undefined;
  const { attempt } = signal;
  return { candidates, ...(description && { description }), ...(typeof attempt === 'string' && { attempt }) };
}

function asDescription(value: unknown): Description | undefined {
  if (!isObject(value)) return undefined;
  const { type, sdp } = value;
  return (type === 'offer' || type === 'answer') && typeof sdp === 'string' ? { type, sdp } : undefined;
}

/** Whether addIceCandidate would take it without a TypeError. */
function isIceCandidate(value: unknown): value is IceCandidate {
  return (
    isObject(value) &&
    isMaybe(value['candidate'], 'string') &&
    isMaybe(value['sdpMid'], 'string') &&
    isMaybe(value['sdpMLineIndex'], 'number') &&
    isMaybe(value['usernameFragment'], 'string')
  );
}

function isMaybe(value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || value === null || typeof value === type;
}

function parseObject(text: string): Record<string, unknown> {
  const value = parseJson(
    text,
    'The message is not JSON. Send a JSON object such as {"type":"broadcast","data":1}, or the text ping.',
  );
  if (!isObject(value)) throw new ProtocolError('bad_message', 'The message is JSON but not an object with a type.');
  return value;
}

function parseJson(text: string, complaint: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // JSON.parse throws SyntaxError and nothing else; its own words would quote the text back.
    throw new ProtocolError('bad_json', complaint);
  }
}

/**
 * Reads join metadata, any JSON. Throws ProtocolError `bad_json` or, if it is too long, `bad_message`.
 */
export function parseMetadata(text: string): unknown {
  if (utf8Length(text) > MAX_METADATA_BYTES) {
    throw new ProtocolError('bad_message', `The metadata is longer than ${MAX_METADATA_BYTES} UTF-8 bytes of JSON.`);
  }
  return parseJson(text, 'The metadata is not JSON. Use encodeURIComponent(JSON.stringify(metadata)).');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
