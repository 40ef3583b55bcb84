/** The options of a room: what they are, their defaults, and which cannot work. */
import { joinUrl } from '../protocol/join.ts';
import { utf8Length } from '../protocol/utf8.ts';
import type { Admit } from './admission.ts';
import type { OurIceServers } from './ice-servers.ts';
import { newRoomAllowance, newStrangersAllowance } from './limits.ts';
import { checkIceServers, fault } from './option-faults.ts';
import type { ConnectionSettings, WebRTC } from './peer-connection.ts';
import type { RoomToken } from './room-token.ts';
import type { SealedOptions } from './sealed-options.ts';
import type { SignalingOptions } from './signaling-options.ts';

export interface P2PCFOptions extends SealedOptions {
  /** Address of your server: http, https, ws or wss, with or without a path. There is no default. */
  workerUrl: string;
  /** What the others see of us before any connection: any JSON of at most 2,048 UTF-8 bytes. */
  metadata?: unknown;
  /** STUN servers; the default is Google's and Twilio's public ones. */
  stunIceServers?: RTCIceServer[] | undefined;
  /** TURN servers, `[]` for none; the default is what the room gives us, if your server is set up for it. */
  turnIceServers?: RTCIceServer[] | undefined;
  /** More of RTCPeerConnection's configuration; `iceServers` in it is used in place of the two lists above. */
  rtcPeerConnectionOptions?: RTCConfiguration | undefined;
  /** Second argument of the RTCPeerConnection constructor. */
  rtcPeerConnectionProprietaryConstraints?: object | undefined;
  /** Edits each description before it is used; the default leaves it as it is. */
  sdpTransform?: ((sdp: string) => string) | undefined;
  /** Keep a spare connection and publish its offer, so that whoever joins connects in one round trip. Default true. */
  offersAhead?: boolean | undefined;
  /** Most connections at a time, to be used by members in turn if there are more; default 100. Browsers allow 500. */
  maxConnections?: number | undefined;
  /**
   * Most peers in the room, if we are the first in it; the default is the server's limit. Clients that find it full get
   * `full`.
   */
  maxPeers?: number | undefined;
  /**
   * How often the server is pinged, in ms, 500 or more; default 25,000. A lost connection to it is noticed within 1.4
   * times that.
   */
  pingEveryMs?: number | undefined;
  /** The room token that the server wants, or a function that returns one; see `AUTH_SECRET` in the README. */
  token?: RoomToken | undefined;
  /**
   * Whether to connect to a peer: called with its `id`, `client_id`, `metadata` and `verified`, before anything from it
   * is used. A refused peer is closed, and not met again under its id. If the function throws, the peer is refused,
   * too: `peerstate` says so.
   */
  admit?: Admit | undefined;
  /** WebRTC, for places that have none of their own: Node with `node-datachannel/polyfill`, React Native. */
  wrtc?: WebRTC | undefined;
  /** Our certificate, from `P2PCF.identity()`, by which others know us again; the default is a new one each time. */
  identity?: RTCCertificate | undefined;
  /** Accepted without effect, like all of P2PCF's options for polling: nothing polls here. */
  networkChangePollIntervalMs?: number | undefined;
  stateExpirationIntervalMs?: number | undefined;
  stateHeartbeatWindowMs?: number | undefined;
  fastPollingDurationMs?: number | undefined;
  fastPollingRateMs?: number | undefined;
  slowPollingRateMs?: number | undefined;
  idlePollingAfterMs?: number | undefined;
  idlePollingRateMs?: number | undefined;
}

/** Longest metadata and client id of an app, in UTF-8 bytes of JSON: both in one object are what the server takes. */
const MAX_APP_METADATA_BYTES = 2048;
const MAX_CLIENT_ID_BYTES = 450;

/** How a room goes about its work, by its options. */
export interface RoomSettings {
  connection: ConnectionSettings;
  /** What the room is told, but for who we are in it. */
  signaling: SignalingOptions;
  offersAhead: boolean;
  /**
   * Whether an answer to an offer ahead may be made before that is here: not where others have a hand in descriptions,
   * nor where nothing is gathered before the room has named its TURN servers.
   */
  answersAhead: boolean;
  maxConnections: number;
  admit: Admit | undefined;
}

/** What the browsers take, by the specification (https://www.w3.org/TR/webrtc/#rtcconfiguration-dictionary). */
const POLICIES = {
  iceTransportPolicy: ['all', 'relay'],
  bundlePolicy: ['balanced', 'max-compat', 'max-bundle'],
  rtcpMuxPolicy: ['require', 'negotiate'], // the latter is gone from the specification, and Chromium took it for long
};

/** P2PCF takes these for left out whatever is falsy, as `isOn && servers` may be. */
const MAY_BE_FALSY = ['sdpTransform', 'rtcPeerConnectionOptions'];

/** Options of one kind: `typeof` says a word of these. */
const KINDS = {
  token: 'a string or a function',
  admit: 'a function',
  sdpTransform: 'a function',
  trust: 'a function',
  onUntrusted: 'a function',
  WebSocket: 'a function',
  pingEveryMs: 'a number',
  offersAhead: 'a boolean',
  hideRoom: 'a boolean',
  rtcPeerConnectionOptions: 'an object',
  wrtc: 'an object',
};

/**
 * `iceServers` are looked at for each connection. Throws Error with a sentence for what cannot work: which option it
 * is, what was given, and how it should look.
 */
export function settingsOf(
  clientId: string,
  roomId: string,
  options: P2PCFOptions,
  iceServers: Readonly<Pick<OurIceServers, 'stun' | 'turn'>>,
): RoomSettings {
  checkName('clientId', clientId);
  checkName('roomId', roomId);
  const all: Partial<P2PCFOptions> = options ?? {};
  if (typeof all !== 'object') throw fault('options', options, 'an object like { workerUrl }');
  for (const [option, kinds] of Object.entries(KINDS)) {
    const given = Reflect.get(all, option);
    if (!given && (given === undefined || MAY_BE_FALSY.includes(option))) continue;
    if (given === null || !kinds.includes(typeof given)) throw fault(option, given, `${kinds}, or left out`);
  }
  const {
    workerUrl,
    metadata,
    offersAhead = true,
    maxConnections = 100,
    maxPeers,
    stunIceServers,
    turnIceServers,
    rtcPeerConnectionProprietaryConstraints: proprietaryConstraints,
    wrtc = globalThis,
    identity,
  } = all;
  const rtcPeerConnectionOptions = all.rtcPeerConnectionOptions || {};
  joinUrl(workerUrl ?? '', { roomId, maxPeers });
  checkLength('The client ID', clientId, MAX_CLIENT_ID_BYTES);
  const asSent = copyOf(metadata);
  if (metadata !== undefined) checkLength('The metadata', asSent, MAX_APP_METADATA_BYTES);
  checkIceServers('stunIceServers', stunIceServers || []);
  checkIceServers('turnIceServers', turnIceServers || []);
  const { iceServers: ownIceServers, iceCandidatePoolSize } = rtcPeerConnectionOptions;
  if (ownIceServers !== undefined) checkIceServers('rtcPeerConnectionOptions.iceServers', ownIceServers);
  for (const [policy, values] of Object.entries(POLICIES)) {
    const given = Reflect.get(rtcPeerConnectionOptions, policy);
    if (given !== undefined && !values.includes(given))
      throw fault(`rtcPeerConnectionOptions.${policy}`, given, values.join(' or '));
  }
  checkWhole('rtcPeerConnectionOptions.iceCandidatePoolSize', iceCandidatePoolSize ?? 0, 0, 255);
  checkWhole('maxConnections', maxConnections, offersAhead ? 2 : 1, 500); // with the spare connection
  if (identity !== undefined && !(Object(identity).expires > Date.now()))
    throw fault('identity', identity, 'what P2PCF.identity() resolves to, and not expired');
  const { RTCPeerConnection }: Partial<WebRTC> = wrtc;
  if (options.wrtc && typeof RTCPeerConnection !== 'function')
    throw fault('wrtc.RTCPeerConnection', RTCPeerConnection, 'a class');
  if (!RTCPeerConnection) {
    throw new Error(
      'There is no WebRTC here. Construct P2PCF in a page, not in a worker or where a page is rendered on a server; in ' +
        'Node pass the option wrtc, e.g. node-datachannel/polyfill.',
    );
  }
  const isRelayOnly = rtcPeerConnectionOptions.iceTransportPolicy === 'relay';
  return {
    connection: {
      rtcConfiguration: {
        ...rtcPeerConnectionOptions,
        ...(identity && { certificates: [identity] }),
        get iceServers() {
          return ownIceServers ?? [...iceServers.stun, ...iceServers.turn];
        },
      },
      proprietaryConstraints,
      RTCPeerConnection,
      sdpTransform: options.sdpTransform || ((sdp) => sdp),
      allowance: newRoomAllowance(maxConnections),
      strangers: newStrangersAllowance(),
    },
    signaling: {
      workerUrl: workerUrl ?? '',
      roomId,
      metadata: { client_id: clientId, metadata: asSent },
      ahead: offersAhead,
      maxPeers,
      WebSocket: options.WebSocket,
      token: options.token,
      pingEveryMs: options.pingEveryMs,
    },
    offersAhead,
    answersAhead: offersAhead && !options.wrtc && !options.sdpTransform && !isRelayOnly,
    maxConnections,
    admit: options.admit,
  };
}

function checkName(option: string, given: unknown): void {
  if (typeof given !== 'string' || given.length < 4) throw fault(option, given, 'a string of at least four characters');
}

function checkWhole(option: string, given: unknown, least: number, most: number): void {
  if (!(Number.isInteger(given) && Number(given) >= least && Number(given) <= most))
    throw fault(option, given, `a whole number from ${least} to ${most}`);
}

function checkLength(what: string, value: unknown, most: number): void {
  const length = utf8Length(JSON.stringify(value));
  if (length > most) throw new Error(`${what} has ${length} bytes of JSON; ${most} is the most.`);
}

/** Metadata as it is now: the app may change its object, and it is sent again with each connection. */
function copyOf(metadata: unknown): unknown {
  if (metadata === undefined) return undefined;
  try {
    return JSON.parse(JSON.stringify(metadata));
  } catch {
    throw fault('metadata', metadata, 'what JSON can say'); // a BigInt in it, or itself; or nothing, as of a function
  }
}
