/** The room as an app sees it: peers that come, connect, speak and go. P2PCF's API over the WebSocket. */
import { DUPLICATE, TAKEN } from '../protocol/close.ts';
import type { PeerJoin, Peers } from '../protocol/messages.ts';
import { parseSignal, type Signal } from '../protocol/signal.ts';
import { retryDelay } from './backoff.ts';
import { type Data, type Progress, toMessage } from './channel.ts';
import { Emitter } from './events.ts';
import { newIdentity } from './identity.ts';
import { ENVELOPE_BYTES, MAX_ROOM_MESSAGE_BYTES } from './limits.ts';
import { type Member, Members, meetingDelay } from './members.ts';
import { type P2PCFOptions, type RoomSettings, settingsOf } from './options.ts';
import { Page } from './page.ts';
import type { Peer, PeerState } from './peer.ts';
import { randomHex, randomKey } from './random.ts';
import { loadSealed, sealedWebSocket } from './sealed-socket.ts';
import { SignalingClient, type SignalingState } from './signaling.ts';
import { Spare } from './spare.ts';
import { SupervisedPeer } from './supervised-peer.ts';
import { Turns } from './turns.ts';

export interface P2PCFEvents {
  /** A peer is in the room, and it is its turn to be connected; nothing is connected yet. */
  peerjoin: [peer: Peer];
  /** The peer's data channel is open. */
  peerconnect: [peer: Peer];
  /** A peer that was connected, or was about to be, is gone. */
  peerclose: [peer: Peer];
  /** A message from a peer. */
  msg: [peer: Peer, data: ArrayBuffer];
  /** A part of a peer's message over 16,000 bytes is here; the last comes just before the message. */
  progress: [peer: Peer, receivedBytes: number, totalBytes: number];
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

/** A place or a connection that was ours for this long, in ms, was a good one: what follows it has no need to wait. */
const GOOD_AFTER_MS = 10_000;

export class P2PCF extends Emitter<P2PCFEvents> {
  /** A new key for a room, for the option `key`: 128 random bits in base64url. */
  static readonly newKey: () => string = randomKey;

  /**
   * This device's certificate of that name, for the option `identity`: made once, and kept in IndexedDB for a year, so
   * that others know it again by `peer.fingerprint`. Rejects with Error where there is no IndexedDB.
   */
  static identity(name: string): Promise<RTCCertificate> {
    return loadSealed().then(({ identity }) => identity(name));
  }

  /** What we call ourselves; others in the room may use the same. */
  readonly clientId: string;
  readonly roomId: string;
  /** Our key in the room, new for each instance, and after `sessionchange`. */
  get sessionId(): string {
    return this.#identity.id;
  }
  /** Session id to peer, from the moment a peer is known to be in the room. */
  readonly peers: Map<string, Peer>;
  /** P2PCF has one for each browser; here nothing depends on it. */
  readonly contextId: string = randomHex(20);
  /** State of the connection to the server. */
  get state(): SignalingState {
    return this.#signaling.state;
  }
  /** Without use here: some apps stop P2PCF's polling with these two. */
  networkSettingsInterval: unknown = null;
  nextStepTime = 0;
  readonly #peers = new Map<string, SupervisedPeer>();
  readonly #members = new Members();
  readonly #settings: RoomSettings;
  readonly #page: Page;
  readonly #spare: Spare;
  readonly #turns: Turns;
  #identity = newIdentity();
  #signaling: SignalingClient;
  /** Until we have the certificate that all our connections share: it is made while the socket opens. */
  #certificate: Promise<void> | undefined;
  /** Runs while members that the room does not list may come back. */
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
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
    this.clientId = clientId;
    this.roomId = roomId;
    this.peers = this.#peers;
    this.#settings = settingsOf(clientId, roomId, options);
    const { connection, offersAhead, maxConnections } = this.#settings;
    const most = offersAhead ? maxConnections - 1 : maxConnections; // beside the spare
    this.#turns = new Turns(() => this.#connections < most);
    const { key, password, hideRoom, trust } = options;
    if (key ?? password ?? hideRoom ?? trust) {
      this.#settings.signaling.WebSocket = sealedWebSocket(
        roomId,
        options,
        (id, reason) => this.#refuse(id, reason),
        (error) => {
          this.#signaling.stop(error);
          this.destroy();
        },
      );
    }
    this.#signaling = this.#newSignaling();
    this.#spare = new Spare(
      () => new SupervisedPeer(connection),
      offersAhead ? (offer) => this.#signaling.publish(offer) : undefined,
    );
    this.#page = new Page({
      hidden: () => this.#suspend(), // says goodbye while that is possible
      restored: () => this.start().catch(() => undefined), // the state tells
      networkChanged: () => this.#findNewWays(),
    });
    if (!connection.rtcConfiguration.certificates) this.#makeCertificate();
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
    this.#page.watch();
    clearTimeout(this.#returnTimer);
    this.#isWanted = true;
    const started = this.#signaling.start();
    if (!this.#settings.answersAhead) this.#withCertificate(() => this.state !== 'closed' && this.#spare.prepare());
    if (!this.#certificate) return started;
    const ready = started.then(() => this.#certificate);
    ready.catch(() => undefined); // whoever waits for start() hears of it there
    return ready;
  }

  /** Leaves the room and closes all connections. `start` may be called again. */
  destroy(): void {
    this.#page.unwatch();
    this.#suspend();
    this.#signaling.stop();
  }

  /**
   * Sends to one peer; it gets an ArrayBuffer. Resolves when all of it is in the channel, whose buffer is kept below
   * 1 MiB; rejects with Error if the peer is not connected. Throws TypeError for what cannot be sent.
   */
  send(peer: Peer, data: Data, onProgress?: Progress): Promise<void> {
    return peer.send(data, onProgress);
  }

  /**
   * Sends to every peer that is connected. Resolves when all have it in their channels; rejects if one fails. Throws
   * TypeError for what cannot be sent.
   */
  broadcast(data: Data): Promise<void> {
    const message = toMessage(data);
    const sent = Promise.all(this.connectedSessions.map((id) => this.peers.get(id)?.send(message))).then(
      () => undefined,
    );
    sent.catch(() => undefined); // the caller may wait for it; P2PCF's apps do not
    return sent;
  }

  /** One certificate for all connections: by it others know us again, whatever becomes of our place in the room. */
  #makeCertificate(): void {
    const { RTCPeerConnection, rtcConfiguration } = this.#settings.connection;
    const made = RTCPeerConnection.generateCertificate?.({ name: 'ECDSA', namedCurve: 'P-256' });
    this.#certificate = made
      ?.then((certificate) => {
        Object.assign(rtcConfiguration, { certificates: [certificate] });
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

  #newSignaling(): SignalingClient {
    const { id, token } = this.#identity;
    const signaling = new SignalingClient({
      ...this.#settings.signaling,
      clientId: id,
      resumeToken: token,
      ...(this.#settings.answersAhead && { prepare: () => this.#answerAhead() }),
    });
    return signaling
      .on('state', (state, reason) => {
        if (state === 'open') this.#enteredAt = Date.now();
        if (state === 'reconnecting' || state === 'closed') this.#spare.discard(); // its offer is lost with the socket
        this.emit('state', state, reason);
      })
      .on('refused', ({ code }) => {
        if (this.#enteredAt && (code === DUPLICATE.code || code === TAKEN.code)) this.#changeSession(signaling);
        else this.#page.unwatch(); // a start that was refused leaves nothing behind
      })
      .on('peers', (message) => this.#withCertificate(() => this.#meetAll(message)))
      .on('join', (message) => this.#withCertificate(() => this.#meetJoiner(message)))
      .on('leave', ({ clientId, reason }) => this.#withCertificate(() => this.#forget(clientId, reason === 'left')))
      .on('error', ({ targetId, maxBytes }) => {
        if (maxBytes) this.#maxMessageBytes = maxBytes;
        this.#peers.get(targetId ?? '')?.markOfferLost();
      })
      .on('signal', (fromId, signal) => this.#withCertificate(() => this.#receive(fromId, signal)));
  }

  async #answerAhead(): Promise<Signal | undefined> {
    await this.#certificate;
    return this.state === 'closed' ? undefined : this.#spare.answerAhead();
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
    answered,
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
      else this.#members.note(id).isListed = false;
    }
    if (this.state !== 'open') return; // a listener has left
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => {
      this.#graceTimer = undefined;
      for (const [id, { isListed }] of [...this.#members]) if (!isListed) this.#forget(id);
    }, graceSeconds * 1000);
    for (const id of peers) {
      if (this.state !== 'open') return;
      const member = this.#members.note(id);
      member.isListed = true;
      if (Object.hasOwn(metadata, id)) member.brought = metadata[id];
      const known = this.#peers.get(id);
      if (known) {
        known.signalAgain();
        continue;
      }
      const peer = this.#peer(id, polling.includes(id), this.#spare.take(id === answered ? 'resident' : 'any'));
      if (peer.state === 'waiting') continue;
      if (Object.hasOwn(offers, id)) peer.receive(offers[id]);
      else if (!peer.initiator) void peer.initiate();
    }
    this.#publishSpare(peers.length > 0);
  }

  /** A peer has joined; it offers to us, or answers the offer we published. */
  #meetJoiner({ clientId, metadata, offerTaken, polling }: PeerJoin): void {
    const member = this.#members.note(clientId);
    member.isListed = true;
    member.brought = metadata;
    const taken = offerTaken && this.#spare.take('joiner');
    if (isLive(this.#peers.get(clientId))) {
      member.rejoined ??= 'perhaps itself';
      if (taken) taken.destroy();
    } else if (taken) {
      // A peer that takes an offer is new here, even if we have not noticed that it was away.
      this.#peers.get(clientId)?.destroy();
    }
    const known = this.#peers.get(clientId);
    if (!known) this.#peer(clientId, polling === true, taken || undefined);
    // What we sent to its former socket is lost. If the two of us are connected, no more is needed.
    else if (polling) known.signalAgain();
    else known.markOfferLost();
    if (offerTaken) this.#publishSpare(true);
  }

  /** The room no longer has this peer. Unless that said goodbye, an open connection to it goes on. */
  #forget(id: string, hasLeft = false): void {
    const peer = this.#peers.get(id);
    const hasRejoined = this.#members.get(id)?.rejoined; // perhaps as somebody else, whose goodbye is not the peer's
    this.#members.delete(id);
    if (isLive(peer) && (!hasLeft || hasRejoined)) this.#members.note(id).isListed = false;
    else peer?.destroy();
  }

  /** Another has come under the id of a peer, with another certificate. */
  #meetStranger(peer: Peer, polls: boolean, signal: unknown): void {
    const member = this.#members.note(peer.id);
    member.rejoined = 'a stranger';
    if (isLive(peer)) return;
    member.rejoined = undefined;
    peer.destroy();
    if (this.state !== 'open') return;
    if (parseSignal(signal)?.description?.type === 'offer') this.#peer(peer.id, polls).receive(signal);
    else this.#meet(peer.id, polls);
  }

  /** Offers a connection to a member. */
  #meet(id: string, polls: boolean): void {
    const peer = this.#peer(id, polls);
    if (!polls && peer.state !== 'waiting') void peer.initiate(); // one that polls has its offer
  }

  /** The connection to a member has ended, whoever ended it, and the room still lists it. */
  #meetAgain(id: string, member: Member, polls: boolean, wasGood: boolean): void {
    clearTimeout(member.meetTimer);
    const delayMs = meetingDelay(member, wasGood, this.#isPoliteTo(id, polls), Date.now(), Math.random());
    member.meetTimer = setTimeout(() => {
      // A room that has been lost is met as a whole when it is back.
      const isThere = this.state === 'open' && this.#members.get(id) === member && member.isListed;
      if (isThere && !this.#peers.has(id)) this.#meet(id, polls);
    }, delayMs);
  }

  #isPoliteTo(id: string, polls: boolean): boolean {
    return !polls && this.sessionId < id;
  }

  #receive(fromId: string, signal: unknown): void {
    const known = this.#peers.get(fromId);
    known?.receive(signal);
    // Candidates that come late, of a connection that is closed, are no reason for another.
    if ((known && known.state !== 'waiting') || parseSignal(signal)?.description?.type !== 'offer') return;
    if (known) this.#turns.prefer(known);
    else if (this.#members.note(fromId).connections.take()) this.#peer(fromId).receive(signal);
  }

  /** A member is not met, or a signal that is said to be its own is not taken. */
  #refuse(id: string, reason: string): void {
    const peer =
      this.#peers.get(id) ?? Object.assign(new SupervisedPeer(this.#settings.connection), { id, client_id: id });
    if (peer.connected) return;
    peer.state = 'failed';
    this.emit('peerstate', peer, 'failed', reason);
  }

  /** The peer with this session id, made if it is new. */
  #peer(id: string, polls = false, made = this.#peers.get(id)): SupervisedPeer {
    if (made?.id === id) return made;
    const isTurn = made !== undefined || this.#turns.areFree;
    const peer = made ?? new SupervisedPeer(this.#settings.connection);
    const member = this.#members.note(id);
    this.#peers.set(id, peer);
    let isAnnounced = false;
    let connectedAt = Number.POSITIVE_INFINITY;
    const announce = (): void => {
      if (peer.destroyed || isAnnounced) return;
      isAnnounced = true;
      this.emit('peerjoin', peer);
    };
    const { client_id, metadata } = Object(member.brought);
    peer
      .on('state', (state, reason) => {
        if (state === 'waiting') this.#turns.add(peer, announce);
        this.emit('peerstate', peer, state, reason);
        // Neither ICE nor the room has a way to it.
        const { isListed = false, rejoined } = this.#members.get(id) ?? {};
        const isGivenUp = !isListed && this.#graceTimer === undefined;
        if (state === 'failed' && peer.connected && (isGivenUp || rejoined === 'a stranger')) peer.destroy();
        if (state !== 'failed' || peer.connected || peer.destroyed || !this.#turns.someoneWaits) return;
        peer.wait(); // another has not had its turn
        this.#turns.next();
      })
      .on('connect', () => {
        connectedAt = Date.now();
        this.emit('peerconnect', peer);
      })
      .on('progress', (...bytes) => this.emit('progress', peer, ...bytes))
      .on('data', (bytes) => this.emit('msg', peer, toArrayBuffer(bytes)))
      .on('close', () => {
        const member = this.#members.get(id);
        const isStranger = member?.rejoined === 'a stranger';
        if (member) member.rejoined = undefined;
        if (this.#peers.get(id) === peer) {
          this.#peers.delete(id);
          if (!member?.isListed) this.#members.delete(id);
        }
        this.#turns.remove(peer);
        this.emit('peerclose', peer);
        if (isStranger && this.state === 'open' && !this.#peers.has(id)) this.#meet(id, polls);
        else if (member?.isListed) this.#meetAgain(id, member, polls, Date.now() - connectedAt > GOOD_AFTER_MS);
        if (this.state !== 'closed') this.#turns.next();
        this.#publishSpare(true);
      });
    peer.introduce({
      id,
      clientId: typeof client_id === 'string' ? client_id : id,
      metadata,
      isPolite: this.#isPoliteTo(id, polls),
      polls,
      // What the room cannot hear now is said again by signalAgain().
      send: (signal) => this.state === 'open' && this.#signaling.send(id, signal),
      maxSignalBytes: () => this.#maxMessageBytes - ENVELOPE_BYTES,
      connections: member.connections,
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
    this.#signaling.pause();
    this.#leave();
  }

  #leave(): void {
    this.#enteredAt = 0;
    clearTimeout(this.#returnTimer);
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#members.clear();
    this.#spare.discard();
    for (const peer of [...this.peers.values()]) peer.destroy();
  }

  /** The network has changed. */
  #findNewWays(): void {
    for (const peer of this.#peers.values()) peer.restart();
    this.#spare.discard();
    this.#publishSpare(true);
  }
}

/** Whether a connection to a peer is open, and has not failed since. */
function isLive(peer: Peer | undefined): boolean {
  return peer?.connected === true && peer.state !== 'failed';
}

function toArrayBuffer({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}
