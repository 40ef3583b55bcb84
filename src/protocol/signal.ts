/** What peers tell each other, through the room or on their data channel. The server carries it unread. */
import { isObject } from './json.ts';

/**
 * What goes into `signal`, by convention between clients: the server never enforces this.
 * A description may bring the candidates known by then; later candidates follow together.
 */
export type Signal = ((Description & { candidates?: IceCandidate[] }) | { candidates: IceCandidate[] }) & {
  /** Names the connection it belongs to: the offerer's choice, repeated in whatever is about that connection. */
  attempt?: string;
};

/** Goes into `signal` too: asks the other to restart ICE, for a browser that should not offer that itself. */
export interface RestartRequest {
  restart: true;
}

/**
 * On the data channel alone: the connection is given up, and an offer for a new one follows by the room. Without this,
 * a channel that closes is a peer that has gone.
 */
export interface RenewRequest {
  renew: true;
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

/**
 * What a peer asks of the other: to restart ICE, or to expect a new connection. A P2PCF client leaves every offer to
 * the other side, and asks it to offer again: with one more transceiver of a kind, if it names one.
 */
export type PeerRequest = { type: 'restart' } | { type: 'renew' } | { type: 'renegotiate'; kind?: 'audio' | 'video' };

/** What a peer's signal says. */
export interface ParsedSignal {
  description?: Description;
  candidates: IceCandidate[];
  attempt?: string;
  request?: PeerRequest;
}

/**
 * Reads a peer's `signal`. Besides Signal and the two requests it takes the bare forms `{candidate: …}`,
 * `{sdp: {type, sdp}}` and an RTCIceCandidateInit as it is, and P2PCF's `{renegotiate: true}` and
 * `{transceiverRequest: {kind}}`. Undefined if it is none of these.
 */
export function parseSignal(signal: unknown): ParsedSignal | undefined {
  if (!isObject(signal)) return undefined;
  const description = asDescription(signal) ?? asDescription(signal['sdp']);
  const listed: unknown[] | undefined = Array.isArray(signal['candidates']) ? signal['candidates'] : undefined;
  const bare = typeof signal['candidate'] === 'string' ? signal : signal['candidate'];
  const candidates = (listed ?? [bare]).filter(isIceCandidate);
  const request = asRequest(signal);
  if (!description && !listed && candidates.length === 0 && !request) return undefined;
  const { attempt } = signal;
  return {
    candidates,
    ...(description && { description }),
    ...(typeof attempt === 'string' && { attempt }),
    ...(request && { request }),
  };
}

function asDescription(value: unknown): Description | undefined {
  if (!isObject(value)) return undefined;
  const { type, sdp } = value;
  return (type === 'offer' || type === 'answer') && typeof sdp === 'string' ? { type, sdp } : undefined;
}

function asRequest(signal: Record<string, unknown>): PeerRequest | undefined {
  const { restart, renew, renegotiate, transceiverRequest } = signal;
  if (restart === true) return { type: 'restart' };
  if (renew === true) return { type: 'renew' };
  if (!renegotiate && !transceiverRequest) return undefined;
  const kind = isObject(transceiverRequest) ? transceiverRequest['kind'] : undefined;
  return { type: 'renegotiate', ...((kind === 'audio' || kind === 'video') && { kind }) };
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
