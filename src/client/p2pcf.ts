/** The room as an app sees it: peers that come, connect, speak and go. P2PCF's API over the WebSocket. */

import { DUPLICATE, FULL, peersOfFull, REMOVED, TAKEN } from '../protocol/close.ts';
import type { Signal } from '../protocol/signal.ts';
import { retryDelay } from './backoff.ts';
import { SharedCertificate } from './certificate.ts';
import { type Data, type Progress, toMessage } from './channel.ts';
import { type Datagram, toDatagram } from './datagrams.ts';
import { Emitter } from './events.ts';
import { OurIceServers } from './ice-servers.ts';
import { newIdentity } from './identity.ts';
import { Mesh } from './mesh.ts';
import { type P2PCFOptions, type RoomSettings, settingsOf } from './options.ts';
import type { P2PCFEvents } from './p2pcf-events.ts';
import { Page } from './page.ts';
import type { Peer } from './peer.ts';
import { printAs } from './printed-name.ts';
import { randomHex, randomKey } from './random.ts';
import { loadSealed, sealedOptions, sealedWebSocket } from './sealed-socket.ts';
import { SignalingClient } from './signaling.ts';
import type { SignalingState } from './signaling-options.ts';

/** A place that was ours for this long, in ms, was a good one: we need not wait before we take the next. */
const GOOD_AFTER_MS = 10_000;

export class P2PCF extends Emitter<P2PCFEvents> {
  /** @internal As a minified class would else be printed by another name. */
  static override readonly name: string = 'P2PCF';

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
  readonly #mesh: Mesh;
  readonly #settings: RoomSettings;
  readonly #page: Page;
  readonly #iceServers: OurIceServers;
  #identity = newIdentity();
  #signaling: SignalingClient;
  readonly #certificate: SharedCertificate;
  #isWanted = false;
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
    this.#iceServers = new OurIceServers(
      options?.stunIceServers,
      options?.turnIceServers,
      () => this.#mesh.takeIceServers(),
      () => this.#signaling.renewIceServers(),
    );
    this.#settings = settingsOf(clientId, roomId, options, this.#iceServers);
    const sealed = sealedOptions(options);
    if (sealed) {
      this.#settings.signaling.WebSocket = sealedWebSocket(
        roomId,
        sealed,
        (id, reason) => this.#mesh.refuse(id, reason),
        () => this.#mesh.republish(),
        (error) => {
          this.#signaling.stop(error);
          this.destroy();
        },
      );
    }
    this.#signaling = this.#newSignaling();
    this.#mesh = new Mesh(this.#settings, {
      state: () => this.state,
      sessionId: () => this.sessionId,
      signal: (id, signal) => this.#signaling.send(id, signal),
      publish: (offer) => this.#signaling.publish(offer),
      doubt: () => this.#signaling.doubt(),
      emit: (...event) => this.emit(...event),
    });
    this.peers = this.#mesh.peers;
    this.#page = new Page({
      hidden: () => this.#suspend(), // says goodbye while that is possible
      restored: () => this.start().catch(() => undefined), // the state tells
      networkChanged: () => {
        this.#signaling.doubt();
        this.#mesh.findNewWays();
      },
    });
    this.#certificate = new SharedCertificate(this.#settings.connection);
  }

  /**
   * STUN servers. They may be set at any time: new connections use the new ones, present connections from the next
   * gathering on.
   */
  get stunIceServers(): RTCIceServer[] {
    return this.#iceServers.stun;
  }

  set stunIceServers(servers: RTCIceServer[]) {
    this.#iceServers.stun = servers;
  }

  /**
   * TURN servers, the app's or the room's. They may be set at any time, as above; connections that go by a TURN server
   * move to a new one.
   */
  get turnIceServers(): RTCIceServer[] {
    return this.#iceServers.turn;
  }

  set turnIceServers(servers: RTCIceServer[]) {
    this.#iceServers.turn = servers;
  }

  /** Session ids of the peers that are connected. */
  get connectedSessions(): string[] {
    return [...this.peers.values()].filter((peer) => peer.connected).map((peer) => peer.id);
  }

  /** Joins the room. Resolves when the room has answered; rejects with Error if it refuses for good. */
  start(): Promise<void> {
    this.#page.watch();
    clearTimeout(this.#returnTimer);
    this.#isWanted = true;
    const started = this.#signaling.start().then(() => this.#certificate.pending);
    started.catch(() => undefined); // whoever waits for start() hears of it there
    if (!this.#settings.answersAhead)
      this.#certificate.use(() => this.state === 'connecting' && this.#mesh.spare.prepare());
    return started;
  }

  /** Leaves the room and closes all connections. `start` may be called again. */
  destroy(): void {
    this.#page.unwatch();
    this.#isWanted = false;
    this.#signaling.stop();
    this.#leave(); // last, as a listener may start again
  }

  /**
   * Sends to one peer; it gets an ArrayBuffer. Resolves when all of it is in the channel, whose buffer is kept below
   * 1 MiB; rejects with Error if the peer is not connected. Throws TypeError for what cannot be sent.
   */
  send(peer: Peer, data: Data, onProgress?: Progress): Promise<void> {
    checkPeer('send', peer);
    return peer.send(data, onProgress);
  }

  /**
   * Sends to every peer that is connected. Resolves when all have it in their channels; rejects if one fails. Throws
   * TypeError for what cannot be sent.
   */
  broadcast(data: Data): Promise<void> {
    const message = toMessage(data);
    const sent = Promise.all(this.connectedSessions.map((id) => this.#mesh.peers.get(id)?.sendMessage(message))).then(
      () => undefined,
    );
    sent.catch(() => undefined); // the caller may wait for it; P2PCF's apps do not
    return sent;
  }

  /**
   * Removes a peer from the room until its room token expires. Our own token has to say `host`: else the console says
   * that we may not. Throws TypeError for what is no peer.
   */
  remove(peer: Peer): void {
    checkPeer('remove', peer);
    this.#signaling.remove(peer.id);
  }

  /**
   * Sends up to 1,100 bytes to one peer as a datagram, which gets an ArrayBuffer by `datagram`: at once or never, and
   * it may be lost or overtaken. Throws RangeError for more bytes, TypeError for what cannot be sent.
   */
  sendUnreliable(peer: Peer, data: Datagram): void {
    checkPeer('sendUnreliable', peer);
    peer.sendUnreliable(data);
  }

  /** Sends a datagram to every peer that is connected. Throws as `sendUnreliable` does. */
  broadcastUnreliable(data: Datagram): void {
    const bytes = toDatagram(data);
    for (const id of this.connectedSessions) this.peers.get(id)?.sendUnreliable(bytes);
  }

  /** Takes what the room says, unless we have left it by the time there is a certificate. */
  #heed(work: () => unknown): void {
    this.#certificate.use(() => this.state === 'open' && work());
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
        if (state === 'reconnecting' || state === 'closed') this.#mesh.spare.discard(); // its offer is lost with the socket
        this.emit('state', state, reason);
      })
      .on('refused', ({ code, reason }) => {
        if (this.#enteredAt && (code === DUPLICATE.code || code === TAKEN.code)) this.#changeSession(signaling);
        else this.#page.unwatch(); // a start that was refused leaves nothing behind
        if (reason === REMOVED.reason) this.#leave(); // members that are without the room do not hear of it
        if (code === FULL.code) this.emit('full', { max: peersOfFull({ code, reason }) }); // whose listener may start anew
      })
      .on('peers', (message) => {
        this.#iceServers.take(message);
        this.#heed(() => this.#mesh.meetAll(message));
      })
      .on('iceservers', (given) => this.#iceServers.take(given))
      .on('join', (message) => this.#heed(() => this.#mesh.meetJoiner(message)))
      .on('leave', ({ clientId, reason }) => this.#heed(() => this.#mesh.forget(clientId, reason)))
      .on('error', (message) => this.#mesh.takeError(message))
      .on('signal', (fromId, signal) => this.#heed(() => this.#mesh.receive(fromId, signal)));
  }

  async #answerAhead(): Promise<Signal | undefined> {
    await this.#certificate.pending;
    return this.state === 'closed' ? undefined : this.#mesh.spare.answerAhead();
  }

  /**
   * Our place is somebody else's now. Comes back as a new session: if we went on under an id that another holds, the
   * others would have two peers of one id. They meet us as a new peer, so the connections of the old session are
   * closed.
   */
  #changeSession(refused: SignalingClient): void {
    refused.removeAllListeners();
    this.#placesLost = Date.now() - this.#enteredAt < GOOD_AFTER_MS ? this.#placesLost + 1 : 0;
    this.#identity = newIdentity();
    this.#signaling = this.#newSignaling(); // before the peers close, as a listener may start again
    this.#leave();
    if (!this.#isWanted) return; // a listener has left
    const delayMs = this.#placesLost && retryDelay(this.#placesLost, 0, Math.random());
    this.#returnTimer = setTimeout(() => void this.start().catch(() => undefined), delayMs);
    this.emit('sessionchange', this.sessionId);
  }

  #suspend(): void {
    this.#isWanted = false;
    this.#signaling.pause();
    this.#leave();
  }

  #leave(): void {
    this.#enteredAt = 0;
    clearTimeout(this.#returnTimer);
    this.#iceServers.forget();
    this.#mesh.leave();
  }
}

/** An app may have only the peer's id, or nobody. */
function checkPeer(method: string, peer: unknown): void {
  if (typeof Object(peer).send !== 'function') throw new TypeError(`${method}() takes a peer, as room.peers has them.`);
}

printAs(P2PCF, 'P2PCF');
