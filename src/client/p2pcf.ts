/** The room as an app sees it: peers that come, connect, speak and go. P2PCF's API over the WebSocket. */
import type { PeerJoin, Peers } from '../protocol/messages.ts';
import { parseSignal } from '../protocol/signal.ts';
import type { Data, Progress } from './channel.ts';
import { Emitter } from './events.ts';
import { newIdentity } from './identity.ts';
import { Peer, type PeerSettings, type PeerState, type WebRTC } from './peer.ts';
import { randomHex } from './random.ts';
import { SignalingClient, type SignalingState, type WebSocketClass } from './signaling.ts';
import { Spare } from './spare.ts';

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

export interface P2PCFEvents {
  /** A peer is in the room; nothing is connected yet. */
  peerjoin: [peer: Peer];
  /** The peer's data channel is open. */
  peerconnect: [peer: Peer];
  /** A peer that was connected, or was about to be, is gone. */
  peerclose: [peer: Peer];
  /** A message from a peer. */
  msg: [peer: Peer, data: ArrayBuffer];
  /** A peer's state has changed; `reason` says why if it is `failed`. */
  peerstate: [peer: Peer, state: PeerState, reason: string | undefined];
  /** The state of the connection to the server has changed; `reason` says why if it goes on being `connecting`. */
  state: [state: SignalingState, reason: string | undefined];
}

/** Longest metadata and client id of an app, in UTF-8 bytes of JSON: both in one object are what the server takes. */
const MAX_APP_METADATA_BYTES = 2048;
const MAX_CLIENT_ID_BYTES = 450;

/** P2PCF's own. */
const STUN_ICE_SERVERS: RTCIceServer[] = [
  { urls: 'stun:stun1.l.google.com:19302' },
  { urls: 'stun:global.stun.twilio.com:3478' },
];

export class P2PCF extends Emitter<P2PCFEvents> {
  /** What we call ourselves; others in the room may use the same. */
  readonly clientId: string;
  readonly roomId: string;
  /** Our key in the room, new for each instance. */
  readonly sessionId: string;
  /** Session id to peer, from the moment a peer is known to be in the room. */
  readonly peers = new Map<string, Peer>();
  /** P2PCF has one for each browser; here nothing depends on it. */
  readonly contextId: string = randomHex(20);
  /** State of the connection to the server. */
  get state(): SignalingState {
    return this.#signaling.state;
  }
  /** Without use here: some apps stop P2PCF's polling with these two. */
  networkSettingsInterval: unknown = null;
  nextStepTime = 0;
  readonly #signaling: SignalingClient;
  readonly #settings: PeerSettings;
  readonly #spare: Spare;
  /** Session ids of peers that the room no longer lists. An open connection to one of them may well go on. */
  readonly #unlisted = new Set<string>();
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  /** What each peer in the room brought when it joined: it may come back without being announced. */
  readonly #introductions = new Map<string, unknown>();

  /**
   * `clientId` and `roomId` have at least 4 characters. Throws Error for these, and for options that cannot work.
   */
  constructor(clientId: string, roomId: string, options: P2PCFOptions) {
    super();
    if (!clientId || clientId.length < 4) throw new Error('Client ID must be at least four characters');
    if (!roomId || roomId.length < 4) throw new Error('Room ID must be at least four characters');
    const { id, token } = newIdentity();
    this.clientId = clientId;
    this.roomId = roomId;
    this.sessionId = id;
    const { metadata, offersAhead = true, stunIceServers = STUN_ICE_SERVERS, turnIceServers = [] } = options ?? {};
    checkLength('The client ID', clientId, MAX_CLIENT_ID_BYTES);
    if (metadata !== undefined) checkLength('The metadata', metadata, MAX_APP_METADATA_BYTES);
    const wrtc: Partial<WebRTC> = options?.wrtc ?? globalThis;
    this.#signaling = new SignalingClient({
      workerUrl: options?.workerUrl,
      roomId,
      clientId: id,
      resumeToken: token,
      metadata: { client_id: clientId, metadata },
      ahead: offersAhead,
      ...(options?.WebSocket && { WebSocket: options.WebSocket }),
      ...(options?.pingEveryMs && { pingEveryMs: options.pingEveryMs }),
    });
    if (!wrtc.RTCPeerConnection) {
      throw new Error('There is no WebRTC here: pass one as the option wrtc, e.g. node-datachannel/polyfill.');
    }
    this.#settings = {
      rtcConfiguration: { iceServers: [...stunIceServers, ...turnIceServers], ...options.rtcPeerConnectionOptions },
      proprietaryConstraints: options.rtcPeerConnectionProprietaryConstraints,
      RTCPeerConnection: wrtc.RTCPeerConnection,
      sdpTransform: options.sdpTransform ?? ((sdp) => sdp),
    };
    this.#spare = new Spare(
      () => new Peer(this.#settings),
      offersAhead ? (offer) => this.#signaling.publish(offer) : undefined,
    );
    this.#signaling
      .on('state', (state, reason) => {
        if (state === 'reconnecting' || state === 'closed') this.#spare.discard(); // its offer is lost with the socket
        this.emit('state', state, reason);
      })
      .on('peers', (message) => this.#meetAll(message))
      .on('join', (message) => this.#meetJoiner(message))
      .on('leave', ({ clientId, reason }) => this.#forget(clientId, reason === 'left'))
      .on('error', ({ targetId }) => this.peers.get(targetId ?? '')?.markOfferLost())
      .on('signal', (fromId, signal) => this.#receive(fromId, signal));
  }

  /** Session ids of the peers that are connected. */
  get connectedSessions(): string[] {
    return [...this.peers.values()].filter((peer) => peer.connected).map((peer) => peer.id);
  }

  /** Joins the room. Resolves when the room has answered; rejects with Error if it refuses for good. */
  start(): Promise<void> {
    this.#listen('addEventListener');
    const started = this.#signaling.start();
    this.#spare.prepare();
    return started;
  }

  /** Leaves the room and closes all connections. `start` may be called again. */
  destroy(): void {
    this.#listen('removeEventListener');
    this.#suspend();
  }

  /**
   * Sends to one peer; it gets an ArrayBuffer. Resolves when all of it is in the channel, whose buffer is kept below
   * 1 MiB; rejects with Error if the peer is not connected.
   */
  send(peer: Peer, data: Data, onProgress?: Progress): Promise<void> {
    return peer.send(data, onProgress);
  }

  /** Sends to every peer that is connected. Resolves when all have it in their channels; rejects if one fails. */
  broadcast(data: Data): Promise<void> {
    const sent = Promise.all(this.connectedSessions.map((id) => this.peers.get(id)?.send(data))).then(() => undefined);
    sent.catch(() => undefined); // the caller may wait for it; P2PCF's apps do not
    return sent;
  }

  /** The room has answered: connects to all in it. The side that came last, or came back last, is to do so. */
  #meetAll({ peers, metadata = {}, offers = {}, polling = [], resumed, graceSeconds = 0 }: Peers): void {
    for (const id of [...this.peers.keys()]) {
      if (peers.includes(id)) continue;
      // A room that has forgotten us has forgotten the others, too: they may come back as we did.
      if (resumed) this.#forget(id);
      else this.#unlisted.add(id);
    }
    if (this.state !== 'open') return; // a listener has left
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => {
      this.#graceTimer = undefined;
      for (const id of this.#unlisted) this.#forget(id);
    }, graceSeconds * 1000);
    for (const id of peers) {
      if (this.state !== 'open') return;
      this.#unlisted.delete(id);
      if (Object.hasOwn(metadata, id)) this.#introductions.set(id, metadata[id]);
      const known = this.peers.get(id);
      if (known) {
        known.signalAgain();
        continue;
      }
      const peer = this.#peer(id, polling.includes(id), this.#spare.takeUnpublished());
      if (Object.hasOwn(offers, id)) peer.receive(offers[id]);
      else if (!peer.initiator) void peer.initiate();
    }
    if (this.state === 'open') this.#spare.publish(peers.length > 0);
  }

  /** A peer has joined; it offers to us, or answers the offer we published. */
  #meetJoiner({ clientId, metadata, offerTaken, polling }: PeerJoin): void {
    this.#unlisted.delete(clientId);
    this.#introductions.set(clientId, metadata);
    const taken = offerTaken && this.#spare.takePublished();
    // A peer that takes an offer is new here, even if we have not noticed that it was away.
    if (taken) this.peers.get(clientId)?.destroy();
    const known = this.peers.get(clientId);
    if (!known) this.#peer(clientId, polling === true, taken || undefined);
    // What we sent to its former socket is lost. If the two of us are connected, no more is needed.
    else if (polling) known.signalAgain();
    else known.markOfferLost();
    if (offerTaken) this.#spare.publish(true);
  }

  /** The room no longer has this peer. Unless that said goodbye, an open connection to it goes on. */
  #forget(id: string, hasLeft = false): void {
    const peer = this.peers.get(id);
    this.#introductions.delete(id);
    if (peer?.connected && peer.state !== 'failed' && !hasLeft) this.#unlisted.add(id);
    else peer?.destroy();
  }

  #receive(fromId: string, signal: unknown): void {
    const known = this.peers.get(fromId);
    if (known) known.receive(signal);
    // Candidates that come late, of a connection that is closed, are no reason for another.
    else if (parseSignal(signal)?.description?.type === 'offer') this.#peer(fromId).receive(signal);
  }

  /** The peer with this session id, made if it is new. */
  #peer(id: string, polls = false, made = this.peers.get(id)): Peer {
    if (made?.id === id) return made;
    const peer = made ?? new Peer(this.#settings);
    this.peers.set(id, peer);
    const { client_id, metadata } = Object(this.#introductions.get(id));
    peer
      .on('state', (state, reason) => {
        this.emit('peerstate', peer, state, reason);
        // Neither ICE nor the room has a way to it.
        const isGivenUp = this.#unlisted.has(id) && this.#graceTimer === undefined;
        if (state === 'failed' && peer.connected && isGivenUp) peer.destroy();
      })
      .on('connect', () => this.emit('peerconnect', peer))
      .on('data', (bytes) => this.emit('msg', peer, toArrayBuffer(bytes)))
      .on('close', () => {
        if (this.peers.get(id) === peer) {
          this.peers.delete(id);
          this.#unlisted.delete(id);
        }
        this.emit('peerclose', peer);
      });
    peer.introduce({
      id,
      clientId: typeof client_id === 'string' ? client_id : id,
      metadata,
      isPolite: !polls && this.sessionId < id,
      polls,
      // What the room cannot hear now is said again by signalAgain().
      send: (signal) => this.state === 'open' && this.#signaling.send(id, signal),
    });
    const announce = (): unknown => !peer.destroyed && this.emit('peerjoin', peer);
    // Tracks that the app adds must not get into the first offer to a peer that polls.
    if (polls) void peer.initiate().then(announce);
    else announce();
    return peer;
  }

  #suspend(): void {
    this.#signaling.stop();
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#introductions.clear();
    this.#spare.discard();
    for (const peer of [...this.peers.values()]) peer.destroy();
  }

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    globalThis[how]?.('pagehide', this.#onPageHide);
    globalThis[how]?.('pageshow', this.#onPageShow);
    globalThis[how]?.('online', this.#onNetworkChange);
  }

  /** The page is going, perhaps into the back-forward cache: say goodbye while that is possible. */
  readonly #onPageHide = (): void => this.#suspend();

  /** Back from the back-forward cache. */
  readonly #onPageShow = (event: Event): void => {
    if ('persisted' in event && event.persisted) this.start().catch(() => undefined); // the state tells
  };

  readonly #onNetworkChange = (): void => {
    for (const peer of this.peers.values()) peer.restart();
    this.#spare.discard();
    if (this.state === 'open') this.#spare.publish(true);
  };
}

function checkLength(what: string, value: unknown, most: number): void {
  const length = new TextEncoder().encode(JSON.stringify(value)).length;
  if (length > most) throw new Error(`${what} has ${length} bytes of JSON; ${most} is the most.`);
}

function toArrayBuffer({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}
