/** The options of a room: what they are, what they are if the app does not say, and which cannot work. */
import { utf8Length } from '../protocol/utf8.ts';
import type { ConnectionSettings, WebRTC } from './connection.ts';
import type { SignalingOptions, WebSocketClass } from './signaling.ts';

export interface P2PCFOptions {
  /** Address of your server: http, https, ws or wss, with or without a path. There is no default. */
  workerUrl: string;
  /** What the others see of us before any connection: any JSON of at most 2,048 UTF-8 bytes. */
  metadata?: unknown;
  /** STUN servers; the default is Google's and Twilio's public ones. */
  stunIceServers?: RTCIceServer[];
  /** TURN servers; none by default. */
  turnIceServers?: RTCIceServer[];
  /** More of RTCPeerConnection's configuration; `iceServers` in it is used in place of the two lists above. */
  rtcPeerConnectionOptions?: RTCConfiguration;
  /** Second argument of the RTCPeerConnection constructor. */
  rtcPeerConnectionProprietaryConstraints?: object;
  /** Edits each description before it is used; the default leaves it as it is. */
  sdpTransform?: (sdp: string) => string;
  /** Keep a spare connection and publish its offer, so that whoever joins connects in one round trip. Default true. */
  offersAhead?: boolean;
  /** Most connections at a time, to be used by members in turn if there are more; default 100. Browsers allow 500. */
  maxConnections?: number;
  /** How often the server is pinged, in ms; default 25,000. A lost connection to it is noticed within 1.4 times that. */
  pingEveryMs?: number;
  /** WebRTC, for places that have none of their own: Node with `node-datachannel/polyfill`, React Native. */
  wrtc?: WebRTC;
  /** WebSocket, for places without it. */
  WebSocket?: WebSocketClass;
  /** Accepted and without use here, as all that P2PCF has for polling: a socket needs none of it. */
  networkChangePollIntervalMs?: number;
  stateExpirationIntervalMs?: number;
  stateHeartbeatWindowMs?: number;
  fastPollingDurationMs?: number;
  fastPollingRateMs?: number;
  slowPollingRateMs?: number;
  idlePollingAfterMs?: number;
  idlePollingRateMs?: number;
}

/** Longest metadata and client id of an app, in UTF-8 bytes of JSON: both in one object are what the server takes. */
const MAX_APP_METADATA_BYTES = 2048;
const MAX_CLIENT_ID_BYTES = 450;

/** P2PCF's own. */
const STUN_ICE_SERVERS: RTCIceServer[] = [
  { urls: 'stun:stun1.l.google.com:19302' },
  { urls: 'stun:global.stun.twilio.com:3478' },
];

/** How a room goes about its work, by its options. */
export interface RoomSettings {
  connection: ConnectionSettings;
  /** What the room is told, but for who we are in it. */
  signaling: SignalingOptions;
  offersAhead: boolean;
  /** Whether an answer to an offer ahead may be made before that is here: not where others have a hand in descriptions. */
  answersAhead: boolean;
  maxConnections: number;
}

/** Throws Error with a sentence for what cannot work. */
export function settingsOf(clientId: string, roomId: string, options: P2PCFOptions): RoomSettings {
  if (!clientId || clientId.length < 4) throw new Error('Client ID must be at least four characters');
  if (!roomId || roomId.length < 4) throw new Error('Room ID must be at least four characters');
  const {
    workerUrl,
    metadata,
    offersAhead = true,
    maxConnections = 100,
    stunIceServers = STUN_ICE_SERVERS,
    turnIceServers = [],
  } = options ?? {};
  checkLength('The client ID', clientId, MAX_CLIENT_ID_BYTES);
  if (metadata !== undefined) checkLength('The metadata', metadata, MAX_APP_METADATA_BYTES);
  const { RTCPeerConnection }: Partial<WebRTC> = options?.wrtc ?? globalThis;
  if (!RTCPeerConnection) {
    throw new Error('There is no WebRTC here: pass one as the option wrtc, e.g. node-datachannel/polyfill.');
  }
  return {
    connection: {
      rtcConfiguration: { iceServers: [...stunIceServers, ...turnIceServers], ...options.rtcPeerConnectionOptions },
      proprietaryConstraints: options.rtcPeerConnectionProprietaryConstraints,
      RTCPeerConnection,
      sdpTransform: options.sdpTransform ?? ((sdp) => sdp),
    },
    signaling: {
      workerUrl,
      roomId,
      metadata: { client_id: clientId, metadata },
      ahead: offersAhead,
      ...(options.WebSocket && { WebSocket: options.WebSocket }),
      ...(options.pingEveryMs && { pingEveryMs: options.pingEveryMs }),
    },
    offersAhead,
    answersAhead: offersAhead && !options.wrtc && !options.sdpTransform,
    maxConnections,
  };
}

function checkLength(what: string, value: unknown, most: number): void {
  const length = utf8Length(JSON.stringify(value));
  if (length > most) throw new Error(`${what} has ${length} bytes of JSON; ${most} is the most.`);
}
