/** One other in the room: simple-peer's face, over an RTCPeerConnection that is watched over and made anew if need be. */
import {
  type Description,
  type IceCandidate,
  parseSignal,
  type RestartRequest,
  type Signal,
} from '../protocol/signal.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { Channel, type Data, notConnected, type Progress, toBytes } from './channel.ts';
import { Emitter } from './events.ts';
import {
  type Allowance,
  MAX_CANDIDATES,
  MAX_POLLED_CANDIDATES,
  MAX_UNUSED_TRANSCEIVERS,
  newSignalAllowance,
  sizeFault,
} from './limits.ts';
import { Media, type MediaEvents } from './media.ts';
import {
  failureReason,
  fingerprintsOf,
  isFirefox,
  restartsIce,
  type Situation,
  type Step,
  stepFor,
  stepForNeededOffer,
  stepForRestart,
} from './negotiation.ts';
import { COMPLETE_WITHIN_MS, Outgoing } from './outgoing.ts';
import { randomHex } from './random.ts';

/** How long a connection may take before it is reported and tried again, in ms: the slowest polls every 5 s. */
const CONNECT_WITHIN_MS = 18_000;

/** As long again after each failure, up to this, in ms, with a peer that polls: its browser may never take our offers. */
const POLLING_RETRY_WITHIN_MS = 300_000;

/**
 * ICE restarts of one connection are at least this far apart, in ms. Where Firefox (153) is DTLS client to Chromium
 * (156), one that follows another at once loses the connection now and then (seen 2026-11).
 */
const RESTART_EVERY_MS = 2_000;

/** How long after a restart of ICE signals go by the channel again, in ms. */
const RESTART_SETTLED_AFTER_MS = 5_000;

/**
 * `waiting` for its turn where the page has as many connections as it should, or as the browser allows; `connecting`
 * until the data channel is open, then `connected`; `disconnected` while ICE has lost the other and may
 * find it again; `failed` when a connection did not come about, until the next attempt succeeds; `closed` for good.
 */
export type PeerState = 'waiting' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

export interface PeerEvents extends MediaEvents {
  /** The data channel is open. */
  connect: [];
  /** A message from the other. */
  data: [bytes: Uint8Array<ArrayBuffer>];
  /** The state has changed; `reason` says why if it is `failed`, or `waiting` because the browser refused. */
  state: [state: PeerState, reason: string | undefined];
  /** A signal for the other, on its way. */
  signal: [signal: Signal];
  /** The connection was closed because of this. */
  error: [error: Error];
  /** The connection is closed for good. */
  close: [];
}

/** What this library uses of a WebRTC implementation. `object`, because each has types of its own for the same thing. */
export interface WebRTC {
  RTCPeerConnection: (new (
    configuration?: RTCConfiguration,
  ) => object) & { generateCertificate?(algorithm: { name: string; namedCurve: string }): Promise<object> };
}

/** How a connection is made. */
export interface PeerSettings extends WebRTC {
  rtcConfiguration: RTCConfiguration;
  /** The second argument some browsers' RTCPeerConnection takes. */
  proprietaryConstraints: object | undefined;
  sdpTransform: (sdp: string) => string;
}

/** Who the other is, and the way to it. */
export interface Introduction {
  id: string;
  clientId: string;
  metadata: unknown;
  /** When both offer at once, the polite one gives way. Exactly one of the two must be. */
  isPolite: boolean;
  /**
   * It has P2PCF in place of this library, and no socket. So it reads one offer, of nothing but a data channel and with
   * all its candidates, and never offers: it asks for what it needs over the channel.
   */
  polls: boolean;
  /** Carries a signal to the other by way of the room. */
  send: (signal: Signal | RestartRequest) => void;
  /** The most bytes of JSON that a signal by way of the room may have. */
  maxSignalBytes: () => number;
  /** How many new connections it may have on the other's demand. */
  connections: Allowance;
  /** Told of a description by which another, with another certificate, goes by the id now. The peer does not take it. */
  onStranger: (signal: unknown) => void;
}

export class Peer extends Emitter<PeerEvents> {
  /** Session id: the key under which the other is in the room. */
  id = '';
  /** What the other calls itself; several may use the same. */
  client_id = '';
  /** What the other brought as metadata. */
  metadata: unknown;
  state: PeerState = 'connecting';
  connected = false;
  destroyed = false;
  /**
   * The other's DTLS certificate, e.g. `sha-256 AB:CD:…` (hash in small letters, digits in large ones), once a
   * description has named it. From `connect` on it is proved and never changes: another certificate is another Peer.
   */
  fingerprint: string | undefined;
  /** Whether the first offer is ours. */
  initiator = false;
  /** Label of the data channel. */
  channelName = randomHex(20);

  readonly #settings: PeerSettings;
  readonly #media: Media;
  readonly #outgoing: Outgoing;
  #pc: RTCPeerConnection | undefined;
  #channel: Channel | undefined;
  #isPolite = true;
  #polls = false;
  #sendByRoom: Introduction['send'] | undefined;
  #maxSignalBytes: Introduction['maxSignalBytes'] = () => Number.POSITIVE_INFINITY;
  #onStranger: Introduction['onStranger'] | undefined;
  /** It has been connected, by which the other has shown that the certificate is its own. */
  #isPinned = false;
  /**
   * Our first offer, for a peer that polls: the room shows us to it by that, and has to be given it again if it has
   * forgotten us. As long as the peer is not shown everybody it is connected to, it polls faster.
   */
  #offerForRoom: Signal | undefined;
  /** Names this connection in signals: what belongs to one that was given up is dropped. */
  #attempt = randomHex(8);
  #isMakingOffer = false;
  /** We have something to offer as soon as the channel is open. */
  #isOfferDue = false;
  /** See Situation in negotiation.ts. */
  #isOfferLost = false;
  #theirSdp: string | undefined;
  #isTheirsFirefox = false;
  /** The other's last offer was ignored, and its candidates are. */
  #isIgnoring = false;
  #offersAccepted = 0;
  /**
   * ICE restarts go by the room: Firefox (153) moves the channel to the new paths at once, and those come about only
   * when the other has the answer. What follows goes by the room too, so as not to overtake the restart.
   */
  #hasRestarted = false;
  #restartedAt = -RESTART_EVERY_MS;
  /** Since it last was connected. */
  #hasStartedOver = false;
  #connectWithinMs = CONNECT_WITHIN_MS;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  /** How many candidates have come for the other's present description, by kind. */
  readonly #candidates = new Map<string, number>();
  readonly #signalAllowance = newSignalAllowance();
  #connectionAllowance: Allowance | undefined;
  /** Signals are worked off one after the other: a candidate has to wait for its description. */
  #incoming = Promise.resolve();

  constructor(settings: PeerSettings) {
    super();
    this.#settings = settings;
    this.#media = new Media(() => this._pc, {
      track: (...args) => this.emit('track', ...args),
      stream: (...args) => this.emit('stream', ...args),
    });
    this.#outgoing = new Outgoing({
      canSend: () => this.#sendByRoom !== undefined && !this.destroyed,
      isConnected: () => this.connected,
      needsAllAtOnce: () => this.#polls && !this.connected,
      // A peer that polls takes its time, and the room keeps our offer for it.
      needsRepeats: () => !this.#isUp && !this.#polls,
      hasFailed: () => this.state === 'failed',
      send: (signal) => this.#signal(signal),
    });
  }

  /** The same as `client_id`. */
  get clientId(): string {
    return this.client_id;
  }

  /** Made when it is first asked for. Throws what the constructor of RTCPeerConnection throws. */
  get _pc(): RTCPeerConnection {
    this.#pc ??= this.#newConnection();
    return this.#pc;
  }

  get _channel(): RTCDataChannel | null {
    return this.#channel?.rtc ?? null;
  }

  get _senderMap(): Media['senders'] {
    return this.#media.senders;
  }

  /**
   * Makes the data channel, and with it the first offer; resolves when that is made. The other side takes the channel as
   * it comes.
   */
  initiate(): Promise<void> {
    if (this.destroyed) return Promise.resolve();
    this.initiator = true;
    this.#use(this._pc.createDataChannel(this.channelName));
    // Not left to negotiationneeded, which comes later and in node-datachannel (0.33.4) never.
    const offered = this.#offer();
    this.#guard(offered);
    return offered.catch(() => undefined);
  }

  /** Our offer with all its candidates, or with those of the first second. For an initiator that is not introduced. */
  async completeOffer(): Promise<Signal | undefined> {
    const pc = this._pc;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, COMPLETE_WITHIN_MS);
      const check = (): void => {
        if (pc.iceGatheringState !== 'complete' && !this.destroyed) return;
        clearTimeout(timer);
        resolve();
      };
      pc.addEventListener('icegatheringstatechange', check);
      this.once('close', check);
      check();
    });
    const offer = this.#outgoing.take();
    return 'type' in offer ? { ...offer, attempt: this.#attempt } : undefined;
  }

  /** Says who the other is. It may have our complete offer already. */
  introduce({
    id,
    clientId,
    metadata,
    isPolite,
    polls,
    send,
    maxSignalBytes,
    connections,
    onStranger,
  }: Introduction): void {
    this.id = id;
    this.client_id = clientId;
    this.metadata = metadata;
    this.#isPolite = isPolite;
    this.#polls = polls;
    this.#sendByRoom = send;
    this.#maxSignalBytes = maxSignalBytes;
    this.#connectionAllowance = connections;
    this.#onStranger = onStranger;
    this.#expectConnection();
    this.#outgoing.repeat();
    this.#outgoing.flush();
  }

  /** Makes the connection. False if the browser refuses: then it waits. */
  open(): boolean {
    try {
      return this._pc !== undefined;
    } catch (error) {
      this.wait(String(error));
      return false;
    }
  }

  /** Gives up the connection for now, or does not make it. */
  wait(reason?: string): void {
    this.#stopTimers();
    this.#closeConnection();
    this.#pc = undefined;
    this.#setState('waiting', reason);
  }

  /** The turn of a peer that waits has come: resolves when its offer is made. Undefined if it has to go on waiting. */
  begin(): Promise<void> | undefined {
    this.#setState('connecting');
    return this.#startOver();
  }

  /** Takes a signal that came by the room. One that makes no sense, or too many, are dropped. */
  receive(signal: unknown): void {
    this.#receive(signal, (reason) => {
      if (!this.connected) this.#setState('failed', reason);
    });
  }

  /** Takes a signal; `exceed` does what is to be done about one that is beyond the limits. */
  #receive(signal: unknown, exceed: (reason: string) => void): void {
    const parsed = parseSignal(signal);
    if (!parsed || this.#isWaiting) return;
    if (!this.#signalAllowance.take()) {
      exceed('It sends too many signals.');
      return;
    }
    const fault = parsed.description && sizeFault(parsed.description.sdp);
    if (fault) {
      exceed(fault);
      return;
    }
    const { request, description, candidates } = parsed;
    if (request?.type === 'restart') this.restart();
    this.#incoming = this.#incoming.then(async () => {
      if (request?.type === 'renegotiate' && this.#polls) this.#renegotiate(request.kind);
      // What the room has from a peer that polls is for connecting; on the channel no attempt is named.
      if (this.#polls && this.connected && parsed.attempt !== undefined) return;
      const { attempt = this.#attempt } = parsed; // within the channel, and from simpler clients, none is named
      if (description && (await this.#takeDescription(description, attempt)) === 'refuse') {
        this.#onStranger?.(signal);
        return;
      }
      if (this.#isIgnoring || attempt !== this.#attempt) return;
      for (const candidate of candidates) {
        if (!this.#mayAdd(candidate)) continue;
        // A candidate that is too late for its description, or of a kind this browser has no use for, does no harm.
        await this._pc.addIceCandidate(candidate).catch(() => undefined);
      }
    });
    this.#guard(this.#incoming);
    this.#incoming = this.#incoming.catch(() => undefined);
  }

  /** The room can be heard again, and what was sent meanwhile is lost: sends it again if there is no connection. */
  signalAgain(): void {
    // Not while a description is being taken.
    this.#incoming = this.#incoming.then(() => {
      if (this.destroyed || this.#isWaiting) return;
      if (this.#isUp) {
        if (this.#offerForRoom) this.#sendByRoom?.(this.#offerForRoom);
        return;
      }
      if (this.#outgoing.hasDescribed) this.#outgoing.sendAgain();
      else void this.initiate();
      // Where only the other may restart ICE it has to be asked again.
      if (this._pc.connectionState === 'failed') this.restart();
      this.#outgoing.repeat();
    });
  }

  /** What we last sent has not reached the other: should it offer, then that does not collide with our offer. */
  markOfferLost(): void {
    this.#isOfferLost = true;
  }

  /** Gathers new candidates and negotiates again, without a new connection: the network has changed. */
  restart(): void {
    if (this.#isWaiting) return;
    const delayMs = Math.max(0, this.#restartedAt + RESTART_EVERY_MS - performance.now());
    this.#restartTimer ??= setTimeout(() => this.#restart(), delayMs);
  }

  /**
   * Sends a message, in its turn. Resolves when all of it is in the channel, whose buffer it keeps below 1 MiB; rejects
   * with Error if the peer is not connected, or ceases to be on the way, or the message is over 256 MiB.
   */
  send(data: Data, onProgress?: Progress): Promise<void> {
    const sent = this.#send(data, onProgress);
    sent.catch(() => undefined); // the caller may wait for it; P2PCF's apps do not
    return sent;
  }

  /** Sends all tracks of a stream. */
  addStream(stream: MediaStream): void {
    for (const track of stream.getTracks()) this.addTrack(track, stream);
  }

  /** Stops sending the tracks of a stream. */
  removeStream(stream: MediaStream): void {
    for (const track of stream.getTracks()) this.removeTrack(track, stream);
  }

  /** Sends a track as part of a stream. */
  addTrack(track: MediaStreamTrack, stream?: MediaStream): RTCRtpSender {
    return this.#media.add(track, stream);
  }

  /** Stops sending a track. */
  removeTrack(track: MediaStreamTrack, stream?: MediaStream): void {
    this.#media.remove(track, stream);
  }

  /**
   * Sends another track in the place of one, without negotiating. Either may be named from then on. Throws Error if the
   * track to be replaced is not being sent.
   */
  replaceTrack(oldTrack: MediaStreamTrack, newTrack: MediaStreamTrack | null, stream?: MediaStream): Promise<void> {
    return this.#media.replace(oldTrack, newTrack, stream);
  }

  /** Adds a transceiver. */
  addTransceiver(trackOrKind: MediaStreamTrack | string, init?: RTCRtpTransceiverInit): RTCRtpTransceiver {
    return this._pc.addTransceiver(trackOrKind, init);
  }

  /** The connection's statistics; a callback gets them as simple-peer's does, as a list. */
  getStats(callback?: (error: Error | null, reports: unknown[]) => void): Promise<RTCStatsReport> {
    const report = this._pc.getStats();
    if (callback)
      report.then((entries) => callback(null, [...entries.values()])).catch((error: Error) => callback(error, []));
    return report;
  }

  /** Closes the connection for good. */
  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.connected = false;
    this.#stopTimers();
    this.#closeConnection();
    this.#setState('closed');
    if (error) this.emit('error', error);
    this.emit('close');
  }

  /** Whether there have not been too many candidates for the other's description. */
  #mayAdd({ candidate = '' }: IceCandidate): boolean {
    // From a peer that polls, some for each family of addresses.
    const family = this.#polls ? (/^(?:\S+ ){4}\S*:/.test(candidate) ? 'IPv6' : 'IPv4') : '';
    const count = (this.#candidates.get(family) ?? 0) + 1;
    this.#candidates.set(family, count);
    return count <= (this.#polls ? MAX_POLLED_CANDIDATES : MAX_CANDIDATES);
  }

  /** The other does what no honest one does, on its own channel. */
  #exceed(reason: string): void {
    this.destroy(new Error(`The peer ${this.id} is closed. ${reason}`));
  }

  /** What P2PCF asks of the side that offers: a transceiver, or an offer to which it can add what it has by now. */
  #renegotiate(kind: 'audio' | 'video' | undefined): void {
    if (kind) {
      const unused = this._pc.getTransceivers().filter(({ currentDirection }) => currentDirection === null);
      if (unused.length >= MAX_UNUSED_TRANSCEIVERS) this.#exceed('It asks for too many transceivers.');
      else this._pc.addTransceiver(kind); // and negotiationneeded follows
    } else if (this._pc.signalingState === 'stable' && !this.#isMakingOffer) this.#guard(this.#offer());
    // Else our last offer is one that it has yet to answer.
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.#restartedAt = performance.now();
    const hasFailed = this._pc.connectionState === 'failed';
    const step = stepForRestart(this.#situation, isFirefox(this._pc.localDescription), hasFailed);
    if (step === 'start over') this.#startOver();
    if (step === 'ask the other') this.#sendByRoom?.({ restart: true });
    if (step !== 'restart ICE') return;
    try {
      this._pc.restartIce();
    } catch {
      // Not every WebRTC has it (node-datachannel 0.33.4 has not).
      if (hasFailed) this.#startOver();
    }
  }

  #stopTimers(): void {
    this.#outgoing.stop();
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#restartTimer);
    this.#restartTimer = undefined;
  }

  #newConnection(): RTCPeerConnection {
    const { RTCPeerConnection, rtcConfiguration, proprietaryConstraints } = this.#settings;
    const pc: RTCPeerConnection = Reflect.construct(RTCPeerConnection, [rtcConfiguration, proprietaryConstraints]);
    pc.onnegotiationneeded = () => {
      const step = stepForNeededOffer(this.#situation);
      if (step === 'offer') this.#guard(this.#offer());
      if (step === 'offer later') this.#isOfferDue = true;
    };
    pc.onicecandidate = ({ candidate }) => this.#outgoing.addCandidate(candidate);
    pc.ondatachannel = ({ channel }) => {
      if (!this.#channel) this.#use(channel); // one is all there is: another could only take its place
    };
    pc.ontrack = (event) => this.#media.announce(event);
    pc.onconnectionstatechange = () => this.#followConnection();
    if (this.destroyed) pc.close();
    return pc;
  }

  get #situation(): Situation {
    return {
      attempt: this.#attempt,
      isInitiator: this.initiator,
      polls: this.#polls,
      isTheirsFirefox: this.#isTheirsFirefox,
      signalingState: this._pc.signalingState,
      isMakingOffer: this.#isMakingOffer,
      hasRemote: this._pc.remoteDescription !== null,
      theirSdp: this.#theirSdp,
      isPolite: this.#isPolite,
      isOfferLost: this.#isOfferLost,
      isConnected: this.connected,
      isAlive: this.connected && this._pc.connectionState === 'connected',
      fingerprint: this.fingerprint,
      isPinned: this.#isPinned,
    };
  }

  get #isWaiting(): boolean {
    return this.state === 'waiting';
  }

  get #isUp(): boolean {
    if (!this.connected || this.#polls) return this.connected;
    return this._pc.connectionState === 'connected' && this._pc.signalingState === 'stable';
  }

  /**
   * Makes a new connection in place of the present one. What it returns sends the same tracks there; undefined if the
   * browser refuses: then it waits.
   */
  #renew(): (() => void) | undefined {
    this.#closeConnection();
    if (this.connected) {
      this.connected = false;
      this.#setState('connecting');
    }
    this.initiator = this.#isMakingOffer = this.#isOfferDue = this.#isIgnoring = this.#isOfferLost = false;
    this.#hasRestarted = false;
    this.#theirSdp = undefined;
    this.#outgoing.reset();
    this.#attempt = randomHex(8);
    this.#pc = undefined;
    return this.open() ? this.#media.move() : undefined;
  }

  #closeConnection(): void {
    this.#channel?.release();
    this.#channel = undefined;
    const pc = this.#pc;
    if (!pc) return;
    pc.onnegotiationneeded = pc.onicecandidate = pc.ondatachannel = pc.ontrack = pc.onconnectionstatechange = null;
    pc.close();
  }

  async #offer(): Promise<void> {
    const pc = this._pc;
    const offersBefore = this.#offersAccepted;
    this.#isMakingOffer = true;
    try {
      const offer = await pc.createOffer();
      // The other's offer came first. When that is done with, the browser asks for ours again if it is still needed.
      if (this.#offersAccepted === offersBefore) await this.#describe('offer', offer.sdp);
    } finally {
      if (pc === this.#pc) this.#isMakingOffer = false;
    }
  }

  async #takeDescription(description: Description, attempt: string): Promise<Step> {
    if (this.destroyed) return 'drop';
    const step = stepFor(description, attempt, this.#situation);
    switch (step) {
      case 'take':
        this.#isIgnoring = false;
        await this.#setRemote(description);
        break;
      case 'resend answer':
        this.#outgoing.sendAgain('answer');
        break;
      case 'resend offer':
        this.#outgoing.sendAgain();
        this.#isIgnoring = true;
        break;
      case 'ignore':
        this.#isIgnoring = true;
        break;
      case 'start over':
        this.#startOver();
        break;
      case 'renew':
      case 'answer':
        await this.#answer(description, attempt, step === 'renew');
        break;
      case 'drop':
      case 'refuse':
        break;
      default:
        step satisfies never;
    }
    return step;
  }

  async #answer(offer: Description, attempt: string, isRenewing: boolean): Promise<void> {
    if (isRenewing && !this.#connectionAllowance?.take()) {
      this.#setState('failed', 'It starts over too often.');
      return;
    }
    this.#isIgnoring = false;
    this.#offersAccepted++;
    if (isRenewing) {
      const sendTracks = this.#renew();
      if (!sendTracks) return;
      sendTracks();
    }
    this.#attempt = attempt;
    this.#outgoing.withdrawOffer();
    await this.#setRemote(offer);
    const answer = await this._pc.createAnswer();
    await this.#describe('answer', answer.sdp);
  }

  async #setRemote(description: Description): Promise<void> {
    this.#theirSdp = description.sdp;
    this.#isTheirsFirefox = isFirefox(description); // Chromium keeps no such trace in remoteDescription
    this.fingerprint = fingerprintsOf(description.sdp)[0];
    this.#candidates.clear();
    await this._pc.setRemoteDescription(description);
  }

  async #describe(type: Description['type'], created: string | undefined): Promise<void> {
    const description = { type, sdp: this.#settings.sdpTransform(created ?? '') };
    this.#outgoing.describe(description);
    if (restartsIce(this._pc.currentLocalDescription, description)) {
      this.#hasRestarted = true;
      this.#restartedAt = performance.now();
    } else if (type === 'offer' && performance.now() - this.#restartedAt > RESTART_SETTLED_AFTER_MS) {
      this.#hasRestarted = false;
    }
    await this._pc.setLocalDescription(description);
    this.#outgoing.schedule();
  }

  /** By the channel if it is up, which costs the server nothing; else by the room. */
  #signal(signal: Signal): void {
    this.emit('signal', signal);
    const marked = { ...signal, attempt: this.#attempt };
    const bytes = utf8Length(JSON.stringify(marked));
    const fitsRoom = bytes <= this.#maxSignalBytes();
    const isWayOpen = (!this.#hasRestarted || !fitsRoom) && this._pc.connectionState === 'connected';
    if (this.connected && (isWayOpen || this.#polls)) {
      this.#channel?.signal(signal);
      return;
    }
    if (!fitsRoom) {
      this.#outgoing.reset(); // the room would refuse it each time
      this.#setState('failed', `Our description has ${bytes} bytes; the room carries ${this.#maxSignalBytes()}.`);
      return;
    }
    if ('type' in signal) {
      this.#isOfferLost = false;
      this.#outgoing.repeat(false);
      if (this.#polls) this.#offerForRoom = marked;
    }
    this.#sendByRoom?.(marked);
  }

  #use(rtc: RTCDataChannel): void {
    this.channelName = rtc.label;
    this.#channel = new Channel(rtc, {
      peerId: () => this.id,
      opened: () => this.#opened(),
      closed: () => this.destroy(),
      message: (bytes) => this.emit('data', bytes),
      signal: (signal) => {
        this.#hasRestarted = false; // the other finds the channel good enough
        this.#receive(signal, (reason) => this.#exceed(reason));
      },
      exceeded: (reason) => this.#exceed(reason),
    });
  }

  #opened(): void {
    clearTimeout(this.#connectTimer);
    this.connected = this.#isPinned = true;
    this.#hasStartedOver = false;
    this.#connectWithinMs = CONNECT_WITHIN_MS;
    this.#setState('connected');
    this.emit('connect');
    const isOfferDue = this.#polls ? this._pc.getTransceivers().length > 0 : this.#isOfferDue;
    if (isOfferDue && !this.destroyed) this.#guard(this.#offer());
  }

  #followConnection(): void {
    const state = this._pc.connectionState;
    if (state === 'connected' && this.connected) this.#setState('connected');
    if (state === 'disconnected' && this.connected) this.#setState('disconnected');
    if (state === 'failed') {
      this.#setState('failed', 'ICE or DTLS failed: no way to the other was found, or it was lost.');
      // The one time that a peer that polls reads our offer was in vain: it is left to the connect timer.
      if (this.destroyed || this.#isWaiting || (this.#polls && !this.connected)) return;
      this.restart();
      this.#outgoing.repeat();
    }
  }

  /** Not connected in time: says so, and tries again. */
  #reportFailure(): void {
    this.#setState('failed', failureReason(this._pc, this.#polls));
    if (this.destroyed || this.#isWaiting) return; // a listener has had enough
    if (this.#polls) this.#connectWithinMs = Math.min(this.#connectWithinMs * 2, POLLING_RETRY_WITHIN_MS);
    this.#expectConnection();
    if (!this.#isPolite) this.#startOver(); // by rule one of the two, so that they do not collide
  }

  #expectConnection(): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = setTimeout(() => this.#reportFailure(), this.#connectWithinMs);
  }

  #startOver(): Promise<void> | undefined {
    // Chromium (156) never settles what was under way on a connection that is closed.
    this.#incoming = Promise.resolve();
    this.#expectConnection();
    const sendTracks = this.#renew();
    if (!sendTracks) return undefined;
    if (!this.#polls) sendTracks();
    const offered = this.initiate();
    // A peer that polls takes no media in a first offer, and Firefox (153) puts into it what is added while it is made.
    if (this.#polls) void offered.then(() => !this.destroyed && sendTracks());
    return offered;
  }

  async #send(data: Data, onProgress?: Progress): Promise<void> {
    const message = toBytes(data);
    if (!this.#channel) throw notConnected(this.id);
    await this.#channel.send(message, onProgress);
  }

  #setState(state: PeerState, reason?: string): void {
    if (state === this.state && reason === undefined) return;
    this.state = state;
    this.emit('state', state, reason);
  }

  /** A negotiation that fails is begun anew, at once the first time. */
  #guard(work: Promise<void>): void {
    const pc = this.#pc;
    work.catch((error: unknown) => {
      if (pc !== this.#pc || this.destroyed) return;
      if (this.#hasStartedOver) {
        this.#expectConnection();
        this.#setState('failed', `The negotiation failed: ${error}`);
        return;
      }
      this.#hasStartedOver = true;
      this.#startOver();
    });
  }
}
