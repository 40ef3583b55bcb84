/** The room as an app sees it: peers that come, connect, speak and go. P2PCF's API over the WebSocket. */
import { FULL } from '../protocol/close.ts';
import type { PeerJoin, Peers } from '../protocol/messages.ts';
import { parseSignal } from '../protocol/signal.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { retryDelay } from './backoff.ts';
import type { Data, Progress } from './channel.ts';
import { Emitter } from './events.ts';
import { newIdentity } from './identity.ts';
import { type Allowance, ENVELOPE_BYTES, MAX_ROOM_MESSAGE_BYTES, newConnectionAllowance } from './limits.ts';
import { Peer, type PeerSettings, type PeerState, type WebRTC } from './peer.ts';
import { randomHex } from './random.ts';
import { SignalingClient, type SignalingState, type WebSocketClass } from './signaling.ts';
import { Spare } from './spare.ts';
import { Turns } from './turns.ts';

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

export interface P2PCFEvents {
  /** A peer is in the room, and it is its turn to be connected; nothing is connected yet. */
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
  /**
   * The room has given our place to somebody else, and we are coming back under a new `sessionId`. All peers have been
   * closed, and are met again.
   */
  sessionchange: [sessionId: string];
}

/** A place that was ours for this long, in ms, was a good one: the next that is taken from us is replaced at once. */
const GOOD_AFTER_MS = 10_000;

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
  /** Our key in the room, new for each instance, and after `sessionchange`. */
  get sessionId(): string {
    return this.#identity.id;
  }
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
  #identity = newIdentity();
  #signaling: SignalingClient;
  readonly #newSignaling: () => SignalingClient;
  readonly #settings: PeerSettings;
  /** Until we have the certificate that all our connections share: it is made while the socket opens. */
  #certificate: Promise<void> | undefined;
  readonly #spare: Spare;
  /** Session ids of peers that the room no longer lists. An open connection to one of them may well go on. */
  readonly #unlisted = new Set<string>();
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  /** What each peer in the room brought when it joined: it may come back without being announced. */
  readonly #introductions = new Map<string, unknown>();
  /**
   * Session ids of connected peers under which somebody has joined since: true if it has shown another certificate, so
   * that it is somebody else. As long as the connection lives it goes on, as nobody in the room has a say in what was
   * connected before; the stranger is met as another peer when it ends.
   */
  readonly #rejoined = new Map<string, boolean>();
  /** New connections on the demand of each session id: a closed peer has no say in how many come after it. */
  readonly #allowances = new Map<string, Allowance>();
  readonly #turns: Turns;
  #isWanted = false;
  #maxMessageBytes = MAX_ROOM_MESSAGE_BYTES;
  #enteredAt = 0;
  #placesLost = 0;
  #returnTimer: ReturnType<typeof setTimeout> | undefined;

  /**
   * `clientId` and `roomId` have at least 4 characters. Throws Error for these, and for options that cannot work.
   */
  constructor(clientId: string, roomId: string, options: P2PCFOptions) {
    super();
    if (!clientId || clientId.length < 4) throw new Error('Client ID must be at least four characters');
    if (!roomId || roomId.length < 4) throw new Error('Room ID must be at least four characters');
    this.clientId = clientId;
    this.roomId = roomId;
    const {
      metadata,
      offersAhead = true,
      maxConnections = 100,
      stunIceServers = STUN_ICE_SERVERS,
      turnIceServers = [],
    } = options ?? {};
    checkLength('The client ID', clientId, MAX_CLIENT_ID_BYTES);
    if (metadata !== undefined) checkLength('The metadata', metadata, MAX_APP_METADATA_BYTES);
    const wrtc: Partial<WebRTC> = options?.wrtc ?? globalThis;
    const most = offersAhead ? maxConnections - 1 : maxConnections; // beside the spare
    this.#turns = new Turns(() => this.#connections < most);
    this.#newSignaling = () =>
      this.#listenTo(
        new SignalingClient({
          workerUrl: options?.workerUrl,
          roomId,
          clientId: this.#identity.id,
          resumeToken: this.#identity.token,
          metadata: { client_id: clientId, metadata },
          ahead: offersAhead,
          ...(options?.WebSocket && { WebSocket: options.WebSocket }),
          ...(options?.pingEveryMs && { pingEveryMs: options.pingEveryMs }),
        }),
      );
    this.#signaling = this.#newSignaling();
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
    if (!this.#settings.rtcConfiguration.certificates) this.#makeCertificate(wrtc.RTCPeerConnection);
  }

  /** Session ids of the peers that are connected. */
  get connectedSessions(): string[] {
    return [...this.peers.values()].filter((peer) => peer.connected).map((peer) => peer.id);
  }

  /** How many peers have a connection, or are on the way to one. */
  get #connections(): number {
    return [...this.peers.values()].filter(({ state }) => state !== 'waiting').length;
  }

  /** Joins the room. Resolves when the room has answered; rejects with Error if it refuses for good. */
  start(): Promise<void> {
    this.#listen('addEventListener');
    clearTimeout(this.#returnTimer);
    this.#isWanted = true;
    const started = this.#signaling.start();
    this.#withCertificate(() => this.state !== 'closed' && this.#spare.prepare());
    if (!this.#certificate) return started;
    const ready = started.then(() => this.#certificate);
    ready.catch(() => undefined); // whoever waits for start() hears of it there
    return ready;
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

  /** One certificate for all connections: by it others know us again, whatever becomes of our place in the room. */
  #makeCertificate({ generateCertificate }: WebRTC['RTCPeerConnection']): void {
    const { RTCPeerConnection } = this.#settings;
    const made = generateCertificate?.call(RTCPeerConnection, { name: 'ECDSA', namedCurve: 'P-256' });
    this.#certificate = made
      ?.then((certificate) => {
        Object.assign(this.#settings.rtcConfiguration, { certificates: [certificate] });
      })
      .catch(() => undefined) // node-datachannel (0.33.4) has the method, and no certificates
      .then(() => {
        this.#certificate = undefined;
      });
  }

  /** Does something with a certificate, in turn: now, or when that is there. */
  #withCertificate(work: () => unknown): void {
    if (this.#certificate) void this.#certificate.then(work);
    else work();
  }

  #listenTo(signaling: SignalingClient): SignalingClient {
    return signaling
      .on('state', (state, reason) => {
        if (state === 'open') this.#enteredAt = Date.now();
        if (state === 'reconnecting' || state === 'closed') this.#spare.discard(); // its offer is lost with the socket
        this.emit('state', state, reason);
      })
      .on('refused', ({ code }) => {
        if (this.#enteredAt && code !== FULL.code) this.#changeSession(signaling);
        else this.#listen('removeEventListener'); // a start that was refused leaves nothing behind
      })
      .on('peers', (message) => this.#withCertificate(() => this.#meetAll(message)))
      .on('join', (message) => this.#withCertificate(() => this.#meetJoiner(message)))
      .on('leave', ({ clientId, reason }) => this.#withCertificate(() => this.#forget(clientId, reason === 'left')))
      .on('error', ({ targetId, maxBytes }) => {
        if (maxBytes) this.#maxMessageBytes = maxBytes;
        this.peers.get(targetId ?? '')?.markOfferLost();
      })
      .on('signal', (fromId, signal) => this.#withCertificate(() => this.#receive(fromId, signal)));
  }

  /**
   * Our place is somebody else's now. Comes back as a new session: to go on under an id that another holds would leave
   * the others two peers of one id. They meet us anew, so what they had with the old session is closed.
   */
  #changeSession(refused: SignalingClient): void {
    refused.removeAllListeners();
    this.#placesLost = Date.now() - this.#enteredAt < GOOD_AFTER_MS ? this.#placesLost + 1 : 0;
    this.#identity = newIdentity();
    this.#leave();
    if (!this.#isWanted) return; // a listener has left
    this.#signaling = this.#newSignaling();
    const delayMs = this.#placesLost && retryDelay(this.#placesLost, 0, Math.random());
    this.#returnTimer = setTimeout(() => void this.start().catch(() => undefined), delayMs);
    this.emit('sessionchange', this.sessionId);
  }

  /** The room has answered: connects to all in it. The side that came last, or came back last, is to do so. */
  #meetAll({
    peers,
    metadata = {},
    offers = {},
    polling = [],
    resumed,
    graceSeconds = 0,
    maxMessageBytes,
  }: Peers): void {
    this.#maxMessageBytes = maxMessageBytes ?? this.#maxMessageBytes;
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
      if (peer.state === 'waiting') continue;
      if (Object.hasOwn(offers, id)) peer.receive(offers[id]);
      else if (!peer.initiator) void peer.initiate();
    }
    this.#publishSpare(peers.length > 0);
  }

  /** A peer has joined; it offers to us, or answers the offer we published. */
  #meetJoiner({ clientId, metadata, offerTaken, polling }: PeerJoin): void {
    this.#unlisted.delete(clientId);
    this.#introductions.set(clientId, metadata);
    const taken = offerTaken && this.#spare.takePublished();
    if (isLive(this.peers.get(clientId))) {
      if (!this.#rejoined.has(clientId)) this.#rejoined.set(clientId, false);
      if (taken) taken.destroy();
    } else if (taken) {
      // A peer that takes an offer is new here, even if we have not noticed that it was away.
      this.peers.get(clientId)?.destroy();
    }
    const known = this.peers.get(clientId);
    if (!known) this.#peer(clientId, polling === true, taken || undefined);
    // What we sent to its former socket is lost. If the two of us are connected, no more is needed.
    else if (polling) known.signalAgain();
    else known.markOfferLost();
    if (offerTaken) this.#publishSpare(true);
  }

  /** The room no longer has this peer. Unless that said goodbye, an open connection to it goes on. */
  #forget(id: string, hasLeft = false): void {
    const peer = this.peers.get(id);
    this.#introductions.delete(id);
    this.#allowances.delete(id);
    const hasRejoined = this.#rejoined.delete(id); // perhaps as somebody else, whose goodbye is not the peer's
    if (isLive(peer) && (!hasLeft || hasRejoined)) this.#unlisted.add(id);
    else peer?.destroy();
  }

  /** Another has come under the id of a peer, with another certificate. */
  #meetStranger(peer: Peer, polls: boolean, signal: unknown): void {
    const { id } = peer;
    this.#rejoined.set(id, true);
    if (isLive(peer)) return;
    this.#rejoined.delete(id);
    peer.destroy();
    if (this.state !== 'open') return;
    const stranger = this.#peer(id, polls);
    if (parseSignal(signal)?.description?.type === 'offer') stranger.receive(signal);
    else if (!polls && stranger.state !== 'waiting') void stranger.initiate();
  }

  #receive(fromId: string, signal: unknown): void {
    const known = this.peers.get(fromId);
    known?.receive(signal);
    // Candidates that come late, of a connection that is closed, are no reason for another.
    if ((known && known.state !== 'waiting') || parseSignal(signal)?.description?.type !== 'offer') return;
    if (known) this.#turns.prefer(known);
    else if (this.#allowanceOf(fromId).take()) this.#peer(fromId).receive(signal);
  }

  #allowanceOf(id: string): Allowance {
    const allowance = this.#allowances.get(id) ?? newConnectionAllowance();
    this.#allowances.set(id, allowance);
    return allowance;
  }

  /** The peer with this session id, made if it is new. */
  #peer(id: string, polls = false, made = this.peers.get(id)): Peer {
    if (made?.id === id) return made;
    const isTurn = made !== undefined || this.#turns.areFree;
    const peer = made ?? new Peer(this.#settings);
    this.peers.set(id, peer);
    let isAnnounced = false;
    const announce = (): void => {
      if (peer.destroyed || isAnnounced) return;
      isAnnounced = true;
      this.emit('peerjoin', peer);
    };
    const { client_id, metadata } = Object(this.#introductions.get(id));
    peer
      .on('state', (state, reason) => {
        if (state === 'waiting') this.#turns.add(peer, announce);
        this.emit('peerstate', peer, state, reason);
        // Neither ICE nor the room has a way to it.
        const isGivenUp = this.#unlisted.has(id) && this.#graceTimer === undefined;
        if (state === 'failed' && peer.connected && (isGivenUp || this.#rejoined.get(id))) peer.destroy();
        if (state !== 'failed' || peer.connected || peer.destroyed || !this.#turns.someoneWaits) return;
        peer.wait(); // another has not had its turn
        this.#turns.next();
      })
      .on('connect', () => this.emit('peerconnect', peer))
      .on('data', (bytes) => this.emit('msg', peer, toArrayBuffer(bytes)))
      .on('close', () => {
        if (this.peers.get(id) === peer) {
          this.peers.delete(id);
          this.#unlisted.delete(id);
        }
        this.#turns.remove(peer);
        this.emit('peerclose', peer);
        const isStranger = this.#rejoined.get(id);
        this.#rejoined.delete(id);
        if (isStranger && this.state === 'open' && !this.peers.has(id)) {
          const stranger = this.#peer(id, polls);
          if (!polls && stranger.state !== 'waiting') void stranger.initiate();
        }
        if (this.state !== 'closed') this.#turns.next();
        this.#publishSpare(true);
      });
    peer.introduce({
      id,
      clientId: typeof client_id === 'string' ? client_id : id,
      metadata,
      isPolite: !polls && this.sessionId < id,
      polls,
      // What the room cannot hear now is said again by signalAgain().
      send: (signal) => this.state === 'open' && this.#signaling.send(id, signal),
      maxSignalBytes: () => this.#maxMessageBytes - ENVELOPE_BYTES,
      connections: this.#allowanceOf(id),
      onStranger: (signal) => this.#meetStranger(peer, polls, signal),
    });
    if (!isTurn) peer.wait();
    if (!isTurn || !peer.open()) return peer;
    // Tracks that the app adds must not get into the first offer to a peer that polls.
    if (polls) void peer.initiate().then(announce);
    else announce();
    return peer;
  }

  /** Publishes the next offer, if a connection may come of it. */
  #publishSpare(isBusy: boolean): void {
    if (this.state === 'open' && this.#turns.areFree) this.#spare.publish(isBusy);
  }

  #suspend(): void {
    this.#isWanted = false;
    this.#signaling.stop();
    this.#leave();
  }

  #leave(): void {
    this.#enteredAt = 0;
    clearTimeout(this.#returnTimer);
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#introductions.clear();
    this.#rejoined.clear();
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
    this.#publishSpare(true);
  };
}

/** Whether a connection to a peer is open, and has not failed since. */
function isLive(peer: Peer | undefined): boolean {
  return peer?.connected === true && peer.state !== 'failed';
}

function checkLength(what: string, value: unknown, most: number): void {
  const length = utf8Length(JSON.stringify(value));
  if (length > most) throw new Error(`${what} has ${length} bytes of JSON; ${most} is the most.`);
}

function toArrayBuffer({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}
