/** One other in the room: an RTCPeerConnection with perfect negotiation, a data channel, and media. */
import {
  type Description,
  type IceCandidate,
  parseSignal,
  type RestartRequest,
  type Signal,
} from '../protocol/signal.ts';
import { MAX_MESSAGE_BYTES, Reassembly, signalFrames, toFrames, unmarkSignal } from './chunks.ts';
import { Emitter } from './events.ts';

/** Candidates, and the description they belong to, that come within this time share one message, in ms. */
const BATCH_MS = 5;

/** How long the mere news that there are no more candidates waits for a connection to make it needless, in ms. */
const END_ALONE_AFTER_MS = 1_000;

/** How long a connection may take before it is reported and tried again, in ms: the slowest polls every 5 s. */
const CONNECT_WITHIN_MS = 18_000;

/**
 * How long after a signal by way of the room it is sent again if there is no connection yet, in ms: first, then, and
 * after a failure has been reported. The socket that took it may have been a dying one.
 */
const REPEAT_AFTER_MS = 2_000;
const REPEAT_EVERY_MS = 4_000;
const REPEAT_LATER_MS = CONNECT_WITHIN_MS;

/** As long again after each failure, up to this, in ms, with one who polls: its browser may never take our offers. */
const POLLING_RETRY_WITHIN_MS = 300_000;

/** How long to wait for the last candidates of an offer that is published ahead, or is for one who polls, in ms. */
const GATHER_WITHIN_MS = 1_000;

/**
 * ICE restarts of one connection are at least this far apart, in ms. Where Firefox (153) is DTLS client to Chromium
 * (156), one that follows another at once loses the connection now and then (seen 2026-11).
 */
const RESTART_EVERY_MS = 2_000;

/** How long after a restart of ICE signals go by the channel again, in ms. */
const RESTART_SETTLED_AFTER_MS = 5_000;

/** `send` keeps the channel's bufferedAmount at or below this, in bytes. */
const MAX_BUFFERED_BYTES = 1_048_576;

/**
 * `connecting` until the data channel is open, then `connected`; `disconnected` while ICE has lost the other and may
 * find it again; `failed` when a connection did not come about, until the next attempt succeeds; `closed` for good.
 */
export type PeerState = 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** A message to send: bytes, or a string, which arrives as its UTF-8 bytes. */
export type Data = string | ArrayBuffer | ArrayBufferView;

/** Told after each part of a message that has gone into the channel, in bytes. */
export type Progress = (sentBytes: number, totalBytes: number) => void;

export interface PeerEvents {
  /** The data channel is open. */
  connect: [];
  /** A message from the other. */
  data: [bytes: Uint8Array<ArrayBuffer>];
  /** A stream of the other's, when its first track is here. */
  stream: [stream: MediaStream, receiver: RTCRtpReceiver];
  /** A track of the other's, once for each of its streams. */
  track: [track: MediaStreamTrack, stream: MediaStream, receiver: RTCRtpReceiver];
  /** The state has changed; `reason` says why if it is `failed`. */
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
  RTCPeerConnection: new (configuration?: RTCConfiguration) => object;
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
   * It has P2PCF in place of this library, and no socket. So it reads one offer, with all its candidates, of nothing but
   * a data channel, and never offers: it asks for what it needs over the channel.
   */
  polls: boolean;
  /** Carries a signal to the other by way of the room. */
  send: (signal: Signal | RestartRequest) => void;
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
  /** Whether the first offer is ours. */
  initiator = false;
  /** Label of the data channel. */
  channelName: string;
  _pc: RTCPeerConnection;
  _channel: RTCDataChannel | null = null;
  _senderMap = new Map<MediaStreamTrack, Map<MediaStream | undefined, RTCRtpSender>>();

  readonly #settings: PeerSettings;
  #isPolite = true;
  #polls = false;
  #connectWithinMs = CONNECT_WITHIN_MS;
  /**
   * Our first offer, for one who polls: the room shows us to it by that, and has to be given it again if it has forgotten
   * us. For as long as one whom it is connected to is not shown to it, it polls faster.
   */
  #shown: Signal | undefined;
  #sendByRoom: Introduction['send'] | undefined;
  #isOffering = false;
  /**
   * ICE restarts go by the room: Firefox (153) moves the channel to the new paths at once, and those come about only
   * when the other has the answer. What follows goes by the room too, so as not to overtake the restart.
   */
  #hasRestarted = false;
  #isTheirsFirefox = false;
  #isIgnoring = false;
  /** Our offer has not reached the other, who may offer without its being a collision. */
  #isOfferLost = false;
  #offersAccepted = 0;
  /** Our last answer, for an offer that comes again because the answer was lost. */
  #answered: { description: Description; candidates: IceCandidate[] } | undefined;
  /** We have something to offer as soon as the channel is open. */
  #isOfferDue = false;
  /** The other's last description that we have taken. */
  #theirSdp: string | undefined;
  /** Names this connection in signals: what belongs to one that was given up is dropped. */
  #attempt = newAttempt();
  /** Since it last was connected. */
  #hasStartedOver = false;
  /** Our last description and all its candidates, for as long as it may have to be sent again. */
  #described: { description: Description; candidates: IceCandidate[] } | undefined;
  /** What of that has not been sent yet. */
  #unsent: { description?: Description; candidates: IceCandidate[] } = { candidates: [] };
  #batchTimer: ReturnType<typeof setTimeout> | undefined;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #repeatTimer: ReturnType<typeof setTimeout> | undefined;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #restartedAt = -RESTART_EVERY_MS;
  /** Signals are worked off one after the other: a candidate has to wait for its description. */
  #incoming = Promise.resolve();
  #sending = Promise.resolve();
  #sendsUnderWay = 0;
  #messageId = 0;
  readonly #reassembly = new Reassembly();
  readonly #streams = new Set<string>();

  constructor(settings: PeerSettings) {
    super();
    this.#settings = settings;
    this.channelName = Math.random().toString(36).slice(2);
    this._pc = this.#newConnection();
  }

  /** The same as `client_id`. */
  get clientId(): string {
    return this.client_id;
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
      const timer = setTimeout(resolve, GATHER_WITHIN_MS);
      const check = (): void => {
        if (pc.iceGatheringState !== 'complete' && !this.destroyed) return;
        clearTimeout(timer);
        resolve();
      };
      pc.addEventListener('icegatheringstatechange', check);
      this.once('close', check);
      check();
    });
    const { description, candidates } = this.#unsent;
    this.#unsent = { candidates: [] };
    return description && { ...description, candidates, attempt: this.#attempt };
  }

  /** Says who the other is. It may have our complete offer already. */
  introduce({ id, clientId, metadata, isPolite, polls, send }: Introduction): void {
    this.id = id;
    this.client_id = clientId;
    this.metadata = metadata;
    this.#isPolite = isPolite;
    this.#polls = polls;
    this.#sendByRoom = send;
    this.#expectConnection();
    this.#repeatAfter(REPEAT_AFTER_MS);
    this.#flush();
  }

  /** Takes a signal from the other. One that makes no sense is dropped. */
  receive(signal: unknown): void {
    const parsed = parseSignal(signal);
    if (!parsed) return;
    const { request, description, candidates } = parsed;
    if (request?.type === 'restart') this.restart();
    this.#incoming = this.#incoming.then(async () => {
      if (request?.type === 'renegotiate' && this.#polls) this.#grant(request.kind);
      // What the room has from one who polls is for connecting; on the channel no attempt is named.
      if (this.#polls && this.connected && parsed.attempt !== undefined) return;
      const { attempt = this.#attempt } = parsed; // within the channel, and from simpler clients, none is named
      if (description) await this.#acceptDescription(description, attempt);
      if (this.#isIgnoring || attempt !== this.#attempt) return;
      for (const candidate of candidates) {
        // One that came too late for its description, or is of a kind this browser has no use for, does no harm.
        await this._pc.addIceCandidate(candidate).catch(() => undefined);
      }
    });
    this.#guard(this.#incoming);
    this.#incoming = this.#incoming.catch(() => undefined);
  }

  /** The room can be heard again, and what was said meanwhile is lost: says it again if there is no connection. */
  heal(): void {
    // Not while a description is being taken.
    this.#incoming = this.#incoming.then(() => {
      if (this.destroyed) return;
      if (this.#isUp) {
        if (this.#shown) this.#sendByRoom?.(this.#shown);
        return;
      }
      if (!this.#described) void this.initiate();
      else this.#sendAgain();
      // Where only the other may restart ICE it has to be asked again.
      if (this._pc.connectionState === 'failed') this.restart();
      this.#repeatAfter(REPEAT_AFTER_MS);
    });
  }

  /** What we last sent has not reached the other: should it offer, then that does not collide with our offer. */
  missed(): void {
    this.#isOfferLost = true;
  }

  /** Gathers new candidates and negotiates again, without a new connection: the network has changed. */
  restart(): void {
    const delayMs = Math.max(0, this.#restartedAt + RESTART_EVERY_MS - performance.now());
    this.#restartTimer ??= setTimeout(() => this.#restart(), delayMs);
  }

  /**
   * Sends a message, in its turn. Resolves when all of it is in the channel, whose buffer it keeps below 1 MiB; rejects
   * with Error if the peer is not connected, or ceases to be on the way, or the message is over 1,047,789,568 bytes.
   */
  send(data: Data, onProgress?: Progress): Promise<void> {
    const sent = this.#send(data, onProgress);
    sent.catch(() => undefined); // for those who wait for it; P2PCF's apps do not
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
    const senders = this._senderMap.get(track) ?? new Map<MediaStream | undefined, RTCRtpSender>();
    this._senderMap.set(track, senders);
    const sender = senders.get(stream) ?? this._pc.addTrack(track, ...(stream ? [stream] : []));
    senders.set(stream, sender);
    return sender;
  }

  /** Stops sending a track. */
  removeTrack(track: MediaStreamTrack, stream?: MediaStream): void {
    const sender = this._senderMap.get(track)?.get(stream);
    if (!sender) return;
    // A sender whose track was replaced is known by each track it has had.
    for (const [each, senders] of this._senderMap) {
      if (senders.get(stream) === sender) senders.delete(stream);
      if (senders.size === 0) this._senderMap.delete(each);
    }
    this._pc.removeTrack(sender);
  }

  /**
   * Sends another track in the place of one, without negotiating. Either may be named from then on. Throws Error if the
   * one to be replaced is not being sent.
   */
  replaceTrack(oldTrack: MediaStreamTrack, newTrack: MediaStreamTrack | null, stream?: MediaStream): Promise<void> {
    const sender = this._senderMap.get(oldTrack)?.get(stream);
    if (!sender) throw new Error('The track to be replaced is not being sent to this peer.');
    if (newTrack) {
      const senders = this._senderMap.get(newTrack) ?? new Map<MediaStream | undefined, RTCRtpSender>();
      this._senderMap.set(newTrack, senders.set(stream, sender));
    }
    return sender.replaceTrack(newTrack);
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
    for (const timer of [this.#batchTimer, this.#connectTimer, this.#repeatTimer, this.#restartTimer])
      clearTimeout(timer);
    this.#close();
    this.#setState('closed');
    if (error) this.emit('error', error);
    this.emit('close');
  }

  /** What P2PCF asks of the one who offers: a transceiver, or to see what it has to answer by now. */
  #grant(kind: 'audio' | 'video' | undefined): void {
    if (kind)
      this._pc.addTransceiver(kind); // and negotiationneeded follows
    else if (this._pc.signalingState === 'stable' && !this.#isOffering) this.#guard(this.#offer());
    // Else our last offer is one that it has yet to answer.
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.#restartedAt = performance.now();
    // It goes on with the ICE credentials of its first answer.
    if (this.#polls) {
      if (this._pc.connectionState === 'failed') this.#startOver();
      return;
    }
    // Only Firefox restarts a connection to Firefox (153). It answers a restart as DTLS client even where it has been the
    // server, which Chromium (156) refuses; and where it has been the client, Chromium's restart often loses the way to it.
    if (this.#isTheirsFirefox && !isFirefox(this._pc.localDescription)) {
      this.#sendByRoom?.({ restart: true });
      return;
    }
    try {
      this._pc.restartIce();
    } catch {
      // Not every WebRTC has it (node-datachannel 0.33.4 has not).
      if (this._pc.connectionState === 'failed') this.#startOver();
    }
  }

  #newConnection(): RTCPeerConnection {
    const { RTCPeerConnection, rtcConfiguration, proprietaryConstraints } = this.#settings;
    const pc: RTCPeerConnection = Reflect.construct(RTCPeerConnection, [rtcConfiguration, proprietaryConstraints]);
    pc.onnegotiationneeded = () => {
      // The first offer is the initiator's alone: it has the data channel. For one who polls, and nothing else. An answer
      // with an offer on its heels would be out of reach for one who has not got it.
      const mayOffer = this.connected || (this.initiator && !this.#polls);
      if (!mayOffer) this.#isOfferDue = true;
      else if (!this.#isOffering) this.#guard(this.#offer());
    };
    pc.onicecandidate = ({ candidate }) => this.#addOwnCandidate(candidate);
    pc.ondatachannel = ({ channel }) => {
      if (!this._channel) this.#use(channel); // one is all there is: another could only take its place
    };
    pc.ontrack = (event) => this.#addTheirTrack(event);
    pc.onconnectionstatechange = () => this.#followConnection();
    return pc;
  }

  get #isUp(): boolean {
    if (!this.connected || this.#polls) return this.connected;
    return this._pc.connectionState === 'connected' && this._pc.signalingState === 'stable';
  }

  /**
   * Starts over with a new connection, e.g. to take the other's first offer in place of our own. Rolling back does not
   * do: Chromium (156) then refuses the other's data channel, and never offers ours again.
   */
  #renew(): void {
    this.#close();
    if (this.connected) {
      this.connected = false;
      this.#setState('connecting');
    }
    this.initiator = this.#isOffering = this.#isOfferDue = this.#isIgnoring = this.#isOfferLost = false;
    this.#hasRestarted = false;
    this.#described = this.#answered = this.#theirSdp = undefined;
    this.#unsent = { candidates: [] };
    this.#attempt = newAttempt();
    this._pc = this.#newConnection();
    const pc = this._pc;
    const senders = this._senderMap;
    this._senderMap = new Map();
    const addTracks = (): void => {
      if (pc !== this._pc || this.destroyed) return;
      for (const [track, streams] of senders) {
        for (const [stream, sender] of streams) if (sender.track === track) this.addTrack(track, stream);
      }
    };
    // One who polls takes no media in a first offer, and Firefox (153) puts into it what is added while it is made.
    if (this.#polls) void this.initiate().then(addTracks);
    else addTracks();
  }

  #close(): void {
    const pc = this._pc;
    pc.onnegotiationneeded = pc.onicecandidate = pc.ondatachannel = pc.ontrack = pc.onconnectionstatechange = null;
    if (this._channel) this._channel.onmessage = this._channel.onclose = this._channel.onopen = null;
    this._channel = null;
    pc.close();
  }

  /** Perfect negotiation's offer: https://www.w3.org/TR/webrtc/#perfect-negotiation-example */
  async #offer(): Promise<void> {
    const pc = this._pc;
    const offersBefore = this.#offersAccepted;
    this.#isOffering = true;
    try {
      const offer = await pc.createOffer();
      // The other's offer came first. When that is done with, the browser asks for ours again if it is still needed.
      if (this.#offersAccepted === offersBefore) await this.#describe('offer', offer.sdp);
    } finally {
      if (pc === this._pc) this.#isOffering = false;
    }
  }

  async #acceptDescription(description: Description, attempt: string): Promise<void> {
    if (this.destroyed) return;
    const isNew = attempt !== this.#attempt;
    this.#isTheirsFirefox = isFirefox(description); // Chromium keeps no such trace in remoteDescription
    const isOffering = this.#isOffering || this._pc.signalingState !== 'stable';
    if (description.type === 'answer') {
      if (isNew || this._pc.signalingState !== 'have-local-offer') {
        // It is about a connection that one of us has given up, unknown to the other.
        if (!isOffering && !this.connected && description.sdp !== this.#theirSdp) this.#startOver();
        return;
      }
      this.#isIgnoring = false;
      this.#theirSdp = description.sdp;
      await this._pc.setRemoteDescription(description);
      return;
    }
    if (!isNew && description.sdp === this.#theirSdp) {
      this.#sendAgain(this.#answered); // it was lost
      return;
    }
    const hasRemote = this._pc.remoteDescription !== null;
    // One who starts over has given up the connection our offer is about.
    const isCollision = isOffering && !this.#isOfferLost && !(isNew && hasRemote);
    this.#isIgnoring = isCollision && !this.#isPolite;
    if (this.#isIgnoring) {
      if (!this.#isOffering) this.#sendAgain(); // the other would not offer if it had ours, unless the two have crossed
      return;
    }
    this.#offersAccepted++;
    if (isNew ? isOffering || hasRemote : isOffering && !hasRemote) this.#renew();
    this.#attempt = attempt;
    this.#theirSdp = description.sdp;
    if (this.#unsent.description?.type === 'offer') this.#unsent = { candidates: [] }; // rolled back
    await this._pc.setRemoteDescription(description);
    const answer = await this._pc.createAnswer();
    await this.#describe('answer', answer.sdp);
  }

  async #describe(type: Description['type'], created: string | undefined): Promise<void> {
    this.#flush(); // an answer that still waits for its candidates, when an offer follows on its heels
    const description = { type, sdp: this.#settings.sdpTransform(created ?? '') };
    const current = this._pc.currentLocalDescription;
    if (current && iceUfrag(current) !== iceUfrag(description)) {
      this.#hasRestarted = true;
      this.#restartedAt = performance.now();
    } else if (type === 'offer' && performance.now() - this.#restartedAt > RESTART_SETTLED_AFTER_MS) {
      this.#hasRestarted = false;
    }
    this.#unsent = { description, candidates: [] };
    this.#described = { description, candidates: [] };
    if (type === 'answer') this.#answered = this.#described;
    await this._pc.setLocalDescription(description);
    this.#schedule();
  }

  #addOwnCandidate(candidate: RTCIceCandidate | null): void {
    // Null ends the candidates; on the wire an empty one does.
    const init = candidate ? candidate.toJSON() : { candidate: '' };
    this.#unsent.candidates.push(init);
    this.#described?.candidates.push(init);
    if (candidate) this.#schedule();
    else this.#flush();
  }

  #schedule(delayMs = this.#polls && !this.connected ? GATHER_WITHIN_MS : BATCH_MS): void {
    this.#batchTimer ??= setTimeout(() => this.#flush(true), delayMs);
  }

  #flush(isDue = false): void {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined;
    const { description, candidates } = this.#unsent;
    if (!this.#sendByRoom || this.destroyed || (!description && candidates.length === 0)) return;
    // That there are no more candidates helps none but one who cannot connect: no message for that alone until then.
    const isEndAlone = !description && candidates.every(({ candidate }) => candidate === '');
    if (isEndAlone && !isDue) this.#schedule(END_ALONE_AFTER_MS);
    if (isEndAlone && (!isDue || this.connected)) return;
    this.#unsent = { candidates: [] };
    this.#signal(description ? { ...description, candidates } : { candidates });
  }

  /** Of what the other has already it takes no harm. */
  #sendAgain(described = this.#described): void {
    if (!described || !this.#sendByRoom) return;
    if (described === this.#described) this.#unsent = { candidates: [] };
    this.#signal({ ...described.description, candidates: described.candidates });
  }

  #repeatAfter(ms: number): void {
    clearTimeout(this.#repeatTimer);
    this.#repeatTimer = setTimeout(() => {
      this.#repeatTimer = undefined;
      // One who polls takes its time, and the room keeps our offer for it.
      if (this.#isUp || this.#polls) return;
      this.#sendAgain();
      this.#repeatAfter(this.state === 'failed' ? REPEAT_LATER_MS : REPEAT_EVERY_MS);
    }, ms);
  }

  /** By the channel if it is up, which costs the server nothing; else by the room. */
  #signal(signal: Signal): void {
    this.emit('signal', signal);
    const isWayOpen = !this.#hasRestarted && this._pc.connectionState === 'connected';
    if (this.connected && (isWayOpen || this.#polls)) {
      const { candidates = [], ...description } = signal;
      const parts = 'type' in description ? [description] : [];
      // P2PCF throws at an end of candidates.
      const ways = candidates.filter(({ candidate }) => candidate !== '').map((candidate) => ({ candidate }));
      for (const part of [...parts, ...ways]) {
        for (const frame of signalFrames(part, this.#nextMessageId())) this._channel?.send(frame);
      }
      return;
    }
    const marked = { ...signal, attempt: this.#attempt };
    if ('type' in signal) {
      this.#isOfferLost = false;
      if (this.#repeatTimer === undefined) this.#repeatAfter(REPEAT_AFTER_MS);
      if (this.#polls) this.#shown = marked;
    }
    this.#sendByRoom?.(marked);
  }

  #use(channel: RTCDataChannel): void {
    this._channel = channel;
    this.channelName = channel.label;
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = MAX_BUFFERED_BYTES / 2;
    channel.onmessage = ({ data }) => this.#receiveData(data);
    channel.onclose = () => this.destroy();
    if (channel.readyState === 'open') queueMicrotask(() => this.#opened(channel));
    else channel.onopen = () => this.#opened(channel);
  }

  #opened(channel: RTCDataChannel): void {
    if (this.destroyed || channel !== this._channel) return;
    clearTimeout(this.#connectTimer);
    this.connected = true;
    this.#hasStartedOver = false;
    this.#connectWithinMs = CONNECT_WITHIN_MS;
    this.#setState('connected');
    this.emit('connect');
    const isOfferDue = this.#polls ? this._pc.getTransceivers().length > 0 : this.#isOfferDue;
    if (isOfferDue && !this.destroyed) this.#guard(this.#offer());
  }

  #receiveData(data: unknown): void {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : asBytes(data);
    const whole = bytes && this.#reassembly.take(bytes);
    if (!whole) return;
    const signal = unmarkSignal(whole);
    if (signal === undefined) {
      this.emit('data', whole.message);
      return;
    }
    this.#hasRestarted = false; // the other finds the channel good enough
    this.receive(signal);
  }

  #addTheirTrack({ track, streams, receiver }: RTCTrackEvent): void {
    for (const stream of streams) {
      this.emit('track', track, stream, receiver);
      if (this.#streams.has(stream.id)) continue;
      this.#streams.add(stream.id);
      // After the other tracks that come with it.
      queueMicrotask(() => this.emit('stream', stream, receiver));
    }
  }

  #followConnection(): void {
    const state = this._pc.connectionState;
    if (state === 'connected' && this.connected) this.#setState('connected');
    if (state === 'disconnected' && this.connected) this.#setState('disconnected');
    if (state === 'failed') {
      this.#setState('failed', 'ICE or DTLS failed: no way to the other was found, or it was lost.');
      // The one time that one who polls reads our offer was in vain: it is left to the connect timer.
      if (this.destroyed || (this.#polls && !this.connected)) return;
      this.restart();
      this.#repeatAfter(REPEAT_AFTER_MS);
    }
  }

  /** Not connected in time: says so, and tries again. */
  #reportFailure(): void {
    const pc = this._pc;
    const reason = !pc.remoteDescription
      ? 'The other has not answered.'
      : pc.iceConnectionState === 'connected' || pc.iceConnectionState === 'completed'
        ? 'ICE connected, but the data channel did not open.'
        : this.#polls
          ? 'No way to the other was found. It polls, as P2PCF does, which not every browser lets connect.'
          : 'ICE found no way to the other: perhaps one of the two needs a TURN server.';
    this.#setState('failed', reason);
    if (this.destroyed) return; // a listener has had enough
    if (this.#polls) this.#connectWithinMs = Math.min(this.#connectWithinMs * 2, POLLING_RETRY_WITHIN_MS);
    this.#expectConnection();
    if (!this.#isPolite) this.#startOver(); // by rule one of the two, so that they do not collide
  }

  #expectConnection(): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = setTimeout(() => this.#reportFailure(), this.#connectWithinMs);
  }

  #startOver(): void {
    // Chromium (156) never settles what was under way on a connection that is closed.
    this.#incoming = Promise.resolve();
    this.#expectConnection();
    this.#renew();
    if (!this.initiator) this.initiate();
  }

  async #send(data: Data, onProgress?: Progress): Promise<void> {
    const message = toBytes(data);
    if (message.length > MAX_MESSAGE_BYTES) {
      throw new Error(`The message has ${message.length} bytes; ${MAX_MESSAGE_BYTES} is the most. Send it in parts.`);
    }
    const isFirst = this.#sendsUnderWay++ === 0;
    // What cannot go into the channel now is copied: the app may use its buffer again.
    const own = isFirst && this.#hasRoom(message) ? message : message.slice();
    if (isFirst) this.#sending = this.#sendFrames(own, onProgress);
    else this.#sending = this.#sending.catch(() => undefined).then(() => this.#sendFrames(own, onProgress));
    await this.#sending;
  }

  async #sendFrames(message: Uint8Array, onProgress: Progress | undefined): Promise<void> {
    try {
      let sent = 0;
      const channel = this._channel;
      for (const frame of toFrames(message, this.#nextMessageId())) {
        if (!this.#hasRoom(frame)) await this.#room(frame);
        if (!this.connected || !channel || channel !== this._channel)
          throw new Error(`The peer ${this.id} is not connected.`);
        channel.send(frame);
        sent = Math.min(sent + frame.length, message.length);
        onProgress?.(sent, message.length);
      }
    } finally {
      this.#sendsUnderWay--;
    }
  }

  #nextMessageId(): number {
    this.#messageId = (this.#messageId + 1) % 65_536;
    return this.#messageId;
  }

  #hasRoom(frame: Uint8Array): boolean {
    return !this._channel || this._channel.bufferedAmount + frame.length <= MAX_BUFFERED_BYTES;
  }

  /** Waits until the frame fits into the channel's buffer, or the channel is gone. */
  async #room(frame: Uint8Array): Promise<void> {
    const channel = this._channel;
    while (channel && channel === this._channel && !this.#hasRoom(frame)) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          channel.removeEventListener('bufferedamountlow', wake);
          this.off('state', wake);
          resolve();
        };
        channel.addEventListener('bufferedamountlow', wake);
        this.on('state', wake); // of one that is closed, or connected anew
      });
    }
  }

  #setState(state: PeerState, reason?: string): void {
    if (state === this.state && reason === undefined) return;
    this.state = state;
    this.emit('state', state, reason);
  }

  /** A negotiation that fails is begun anew, at once the first time. */
  #guard(work: Promise<void>): void {
    const pc = this._pc;
    work.catch((error: unknown) => {
      if (pc !== this._pc || this.destroyed) return;
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

function newAttempt(): string {
  return Math.random().toString(36).slice(2, 8);
}

/** Throws TypeError for what is neither bytes nor a string. */
function toBytes(data: Data): Uint8Array {
  if (typeof data === 'string') return new TextEncoder().encode(data);
  const bytes = asBytes(data);
  if (!bytes) throw new TypeError('Only strings, ArrayBuffers and typed arrays can be sent.');
  return bytes;
}

function asBytes(data: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (!ArrayBuffer.isView(data)) return undefined;
  const { buffer, byteOffset, byteLength } = data;
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, byteLength) : undefined;
}

function isFirefox(description: Description | RTCSessionDescription | null): boolean {
  return description?.sdp.includes('o=mozilla') ?? false;
}

function iceUfrag({ sdp }: { sdp: string }): string | undefined {
  return /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1];
}
