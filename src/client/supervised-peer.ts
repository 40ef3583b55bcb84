/** A peer as the room has it: introduced, connected, watched over, and connected anew if need be. */
import type { Verified } from '../protocol/messages.ts';
import { type Description, parseSignal, type RestartRequest, type Signal } from '../protocol/signal.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { Channel, type Data, type Message, notConnected, type Progress, toMessage } from './channel.ts';
import { type Datagram, toDatagram } from './datagrams.ts';
import { failureReason } from './ice-failure.ts';
import {
  type Allowance,
  DESCRIPTION_COUNTS_FOR,
  MAX_UNUSED_TRANSCEIVERS,
  newSignalAllowance,
  sizeFault,
} from './limits.ts';
import {
  fingerprintsOf,
  type Situation,
  type Step,
  stateOf,
  stepFor,
  stepForNeededOffer,
  stepForRestart,
} from './negotiation.ts';
import { Outgoing } from './outgoing.ts';
import { Peer, type PeerState } from './peer.ts';
import { Connection, type ConnectionSettings } from './peer-connection.ts';

/** How long a connection may take before it is reported and tried again, in ms: the slowest polls every 5 s. */
const CONNECT_WITHIN_MS = 18_000;

/** What has begun with other ICE servers has this long to do without the new ones, in ms. */
const NEW_SERVERS_AFTER_MS = 1_000;

/** As long again after each failure, up to this, in ms, with a peer that polls: its browser may never take our offers. */
const POLLING_RETRY_WITHIN_MS = 300_000;

/** Who the other is, and the way to it. */
export interface Introduction {
  id: string;
  clientId: string;
  metadata: unknown;
  verified?: Verified | undefined;
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

export class SupervisedPeer extends Peer {
  static override readonly name: string = 'Peer'; // as it is printed, also minified
  readonly #settings: ConnectionSettings;
  readonly #outgoing: Outgoing;
  /** The present connection, once it has been asked for. */
  #current: Connection | undefined;
  #other: Introduction | undefined;
  /** It has been connected, by which the other has shown that the certificate is its own. */
  #isPinned = false;
  /**
   * Our first offer, for a peer that polls: the room shows us to it by that, and has to be given it again if it has
   * forgotten us. As long as the peer is not shown everybody it is connected to, it polls faster.
   */
  #offerForRoom: Signal | undefined;
  /** Since it last was connected. */
  #hasStartedOver = false;
  #hasWarned = false;
  #connectWithinMs = CONNECT_WITHIN_MS;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #signalAllowance = newSignalAllowance();
  /** What comes from the other waits for this. */
  #gate: Promise<unknown> = Promise.resolve();
  /** Signals are worked off one after the other: a candidate has to wait for its description. */
  #incoming: Promise<unknown> = this.#gate;

  constructor(settings: ConnectionSettings) {
    super();
    this.#settings = settings;
    this.#outgoing = new Outgoing({
      // What belongs to an answer made ahead can be told apart once its offer is here, which names the attempt.
      canSend: () => this.#other !== undefined && !this.destroyed && !this.#current?.situation.hasAnsweredAhead,
      isConnected: () => this.connected,
      needsAllAtOnce: () => this.#polls && !this.connected,
      // A peer that polls takes its time, and the room keeps our offer for it.
      needsRepeats: () => !this.#isUp && !this.#polls,
      hasFailed: () => this.state === 'failed',
      send: (signal) => this.#signal(signal),
    });
  }

  get _pc(): RTCPeerConnection {
    return this.#connection.pc;
  }

  protected get presentPc(): RTCPeerConnection | undefined {
    return this.#isWaiting ? undefined : this._pc;
  }

  get _channel(): RTCDataChannel | null {
    return this.#current?.channel?.rtc ?? null;
  }

  /** Made when it is first asked for. Throws what the constructor of RTCPeerConnection throws. */
  get #connection(): Connection {
    if (this.#current) return this.#current;
    const connection = new Connection(this.#settings, this.#outgoing, {
      negotiationNeeded: () => this.#offerIfNeeded(),
      channel: (channel) => this.#use(channel),
      datagram: (bytes) => this.connected && this.emit('datagram', bytes),
      datagramDropped: () => this.datagramsDropped++,
      track: (event) => this.received.take(event),
      stateChanged: () => this.#followConnection(),
    });
    if (this.destroyed) connection.close();
    this.#current = connection;
    return connection;
  }

  /**
   * Makes the data channel, and with it the first offer; resolves when that is made. The other side takes the channel as
   * it comes.
   */
  initiate(): Promise<void> {
    if (this.destroyed) return Promise.resolve();
    this.initiator = true;
    this.#use(this._pc.createDataChannel(this.channelName));
    this.#connection.openDatagrams();
    // Not left to negotiationneeded, which comes later and in node-datachannel (0.33.4) never.
    const offered = this.#connection.offer();
    this.#guard(offered);
    return offered.catch(() => undefined);
  }

  /** Our offer with all its candidates, or with those of the first second. For an initiator that is not introduced. */
  async completeOffer(): Promise<Signal | undefined> {
    await this.#connection.gathered();
    const offer = this.#outgoing.take();
    return 'type' in offer ? { ...offer, attempt: this.#connection.attempt } : undefined;
  }

  /** An answer to an offer that we have not seen, to be sent with the join. Undefined if this WebRTC cannot make one. */
  async answerAhead(): Promise<Signal | undefined> {
    try {
      await this.#connection.answerAhead();
      return this.#outgoing.take();
    } catch {
      return undefined;
    }
  }

  /** Says who the other is. It may have our complete offer already. */
  introduce(other: Introduction): void {
    this.#other = other;
    this.id = other.id;
    this.client_id = other.clientId;
    this.metadata = other.metadata;
    this.verified = other.verified;
    this.#expectConnection();
    this.#outgoing.repeat();
    this.#outgoing.flush();
  }

  /** Takes nothing that the other signals before `gate` is settled, so that there is no connection before that. */
  hold(gate: Promise<unknown>): void {
    this.#gate = gate;
    this.#incoming = gate;
  }

  /** Makes the connection. False if the browser refuses: then it waits. */
  open(): boolean {
    try {
      return this.#connection !== undefined;
    } catch (error) {
      this.wait(String(error));
      return false;
    }
  }

  /** Gives up the connection for now, or does not make it. */
  wait(reason?: string): void {
    this.#stopTimers();
    this.#giveUp();
    this.#setState('waiting', reason);
  }

  /** The turn of a peer that waits has come: resolves when its offer is made. Undefined if it has to go on waiting. */
  begin(): Promise<void> | undefined {
    this.#setState('connecting');
    return this.destroyed ? undefined : this.#startOver(); // by a listener
  }

  /** Takes a signal that came by the room. One that makes no sense, or too many, are dropped. */
  receive(signal: unknown): void {
    if (this.#isWaiting) return;
    const exceed = (reason: string): void => {
      if (!this.connected) this.#setState('failed', reason);
    };
    const count = parseSignal(signal)?.description ? DESCRIPTION_COUNTS_FOR : 1;
    if (this.#signalAllowance.take(count)) this.#receive(signal, exceed);
    else exceed('It sends too many signals.');
  }

  /** Takes a signal; `exceed` does what is to be done about one that is beyond the limits. */
  #receive(signal: unknown, exceed: (reason: string) => void): void {
    const parsed = parseSignal(signal);
    if (!parsed || this.#isWaiting) return;
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
      const { attempt = this.#connection.attempt } = parsed; // within the channel, and from simpler clients, none is named
      if (description && (await this.#takeDescription(description, attempt)) === 'refuse') {
        this.#other?.onStranger(signal);
        return;
      }
      this.received.forgetEmpty();
      const connection = this.#connection;
      if (connection.isIgnoring || attempt !== connection.attempt) return;
      for (const candidate of candidates) await connection.add(candidate, this.#polls);
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
        if (this.#offerForRoom) this.#other?.send(this.#offerForRoom);
        return;
      }
      if (this.#outgoing.hasDescribed) this.#outgoing.sendAgain();
      else void this.initiate();
      // Where only the other may restart ICE it has to be asked again.
      if (stateOf(this._pc) === 'failed') this.restart();
      this.#outgoing.repeat();
    });
  }

  /** What we last sent has not reached the other: should it offer, then that does not collide with our offer. */
  markOfferLost(): void {
    if (this.#current) this.#current.isOfferLost = true;
  }

  /** Gathers new candidates and negotiates again, without a new connection: the network has changed. */
  restart(): void {
    if (this.#isWaiting) return;
    this.#restartTimer ??= setTimeout(() => this.#restart(), this.#connection.restartDelayMs);
  }

  /**
   * Uses the ICE servers there are now. ICE is restarted for a way by a TURN server, whose allocation ends with the
   * credentials that it was made with, and where no way has been found.
   */
  takeIceServers(): void {
    const connection = this.#current;
    connection?.takeIceServers();
    if (!connection?.pc.localDescription) return;
    setTimeout(async () => {
      const isNeeded = !this.connected || (await connection.isRelayed());
      if (!isNeeded || connection !== this.#current || this.destroyed) return;
      // Until the channel is open only the initiator offers.
      if (this.connected || this.initiator) this.restart();
      else this.#other?.send({ restart: true });
    }, NEW_SERVERS_AFTER_MS);
  }

  send(data: Data, onProgress?: Progress): Promise<void> {
    const sent = this.#send(toMessage(data), onProgress);
    sent.catch(() => undefined); // the caller may wait for it; P2PCF's apps do not
    return sent;
  }

  sendUnreliable(data: Datagram): void {
    const bytes = toDatagram(data);
    const { channel, datagrams } = this.#current ?? {};
    if (this.connected && !this.#polls && datagrams) datagrams.send(bytes);
    else if (this.connected && this.#polls && !channel?.rtc.bufferedAmount) this.#sendReliably(bytes);
    else this.datagramsDropped++;
  }

  /** P2PCF has one channel. A datagram goes by it while nothing waits there, so as not to be late. */
  #sendReliably(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#hasWarned)
      console.warn(`P2PCF-WS: ${this.client_id} has P2PCF, without datagrams: they go by its channel.`);
    this.#hasWarned = true;
    void this.send(bytes);
  }

  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.connected = false;
    this.#stopTimers();
    this.#current?.close();
    this.#setState('closed');
    if (error) this.emit('error', error);
    this.emit('close');
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
    } else if (this._pc.signalingState === 'stable' && !this.#situation.isMakingOffer)
      this.#guard(this.#connection.offer());
    // Else our last offer is one that it has yet to answer.
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.#connection.markRestart();
    const hasFailed = stateOf(this._pc) === 'failed';
    const step = stepForRestart(this.#situation, hasFailed);
    if (step === 'start over') this.#startOver();
    if (step === 'ask the other') this.#other?.send({ restart: true });
    if (step !== 'restart ICE') return;
    if (!this.#connection.restartIce() && hasFailed) this.#startOver();
  }

  #stopTimers(): void {
    this.#outgoing.stop();
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#restartTimer);
    this.#restartTimer = undefined;
  }

  get #situation(): Situation {
    return {
      ...this.#connection.situation,
      isInitiator: this.initiator,
      polls: this.#polls,
      isPolite: this.#isPolite,
      isConnected: this.connected,
      isAlive: this.connected && stateOf(this._pc) === 'connected',
      fingerprint: this.fingerprint,
      isPinned: this.#isPinned,
    };
  }

  get #isPolite(): boolean {
    return this.#other?.isPolite ?? true;
  }

  get #polls(): boolean {
    return this.#other?.polls ?? false;
  }

  get #isWaiting(): boolean {
    return this.state === 'waiting';
  }

  get #isUp(): boolean {
    if (!this.connected || this.#polls) return this.connected;
    return stateOf(this._pc) === 'connected' && this._pc.signalingState === 'stable';
  }

  /**
   * Makes a new connection in place of the present one. What was sent there is sent here when the channel is open: a peer
   * that polls takes no media in a first offer, and a first offer without any fits the room. False if the browser
   * refuses: then it waits.
   */
  #renew(): boolean {
    this.#giveUp();
    if (this.connected) {
      this.connected = false;
      this.#setState('connecting');
    }
    this.initiator = false;
    this.#outgoing.reset();
    return this.open();
  }

  #giveUp(): void {
    this.media.detach();
    this.received.hold();
    this.#current?.close();
    this.#current = undefined;
  }

  #offerIfNeeded(): void {
    const step = stepForNeededOffer(this.#situation);
    if (step === 'offer') this.#guard(this.#connection.offer());
    if (step === 'offer later') this.#connection.isOfferDue = true;
  }

  async #takeDescription(description: Description, attempt: string): Promise<Step> {
    if (this.destroyed) return 'drop';
    const step = stepFor(description, attempt, this.#situation);
    switch (step) {
      case 'take':
        this.fingerprint = fingerprintsOf(description.sdp)[0];
        await this.#connection.setRemote(description);
        break;
      case 'pair':
        this.fingerprint = fingerprintsOf(description.sdp)[0];
        await this.#pair(description, attempt);
        break;
      case 'resend answer':
        this.#outgoing.sendAgain('answer');
        break;
      case 'resend offer':
        this.#outgoing.sendAgain();
        this.#connection.isIgnoring = true;
        break;
      case 'ignore':
        this.#connection.isIgnoring = true;
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

  async #pair(offer: Description, attempt: string): Promise<void> {
    const paired = this.#connection.pair(offer, attempt);
    this.#outgoing.flush(); // the candidates that came after the answer
    await paired;
  }

  async #answer(offer: Description, attempt: string, isRenewing: boolean): Promise<void> {
    if (isRenewing && !this.#other?.connections.take()) {
      this.#setState('failed', 'It starts over too often.');
      return;
    }
    if (isRenewing && !this.#renew()) return;
    this.fingerprint = fingerprintsOf(offer.sdp)[0];
    await this.#connection.answer(offer, attempt);
  }

  /** By the channel if it is up, which costs the server nothing; else by the room. */
  #signal(signal: Signal): void {
    this.emit('signal', signal);
    const connection = this.#connection;
    const marked = { ...signal, attempt: connection.attempt };
    const bytes = utf8Length(JSON.stringify(marked));
    const most = this.#other?.maxSignalBytes() ?? 0;
    const fitsRoom = bytes <= most;
    const state = stateOf(connection.pc);
    // What is too large for the room has no other way, whether or not we have been told by now that ICE is connected.
    const isWayOpen = fitsRoom ? !connection.hasRestarted && state === 'connected' : state !== 'failed';
    if (this.connected && (isWayOpen || this.#polls)) {
      connection.channel?.signal(signal);
      return;
    }
    if (!fitsRoom) {
      this.#outgoing.reset(); // the room would refuse it each time
      this.#guard(Promise.reject(new Error(`Our description has ${bytes} bytes; the room carries ${most}.`)));
      return;
    }
    if ('type' in signal) {
      connection.isOfferLost = false;
      this.#outgoing.repeat(false);
      if (this.#polls) this.#offerForRoom = marked;
    }
    this.#other?.send(marked);
  }

  #use(rtc: RTCDataChannel): void {
    this.channelName = rtc.label;
    const connection = this.#connection;
    connection.channel = new Channel(rtc, {
      peerId: () => this.id,
      opened: () => this.#opened(),
      closed: () => this.destroy(),
      message: (bytes) => this.emit('data', bytes),
      progress: (...bytes) => this.emit('progress', ...bytes),
      signal: (signal) => {
        connection.hasRestarted = false; // the other finds the channel good enough
        if (parseSignal(signal)?.request?.type === 'renew') this.#expectRenewal();
        else this.#receive(signal, (reason) => this.#exceed(reason));
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
    if (!this.destroyed) this.emit('connect');
    if (this.destroyed) return; // by a listener
    this.received.release();
    this.media.attach();
    const isOfferDue = this.#polls ? this._pc.getTransceivers().length > 0 : this.#connection.isOfferDue;
    if (isOfferDue && !this.destroyed) this.#guard(this.#connection.offer());
  }

  #followConnection(): void {
    const state = stateOf(this._pc);
    if (state === 'connected' && this.connected) this.#setState('connected');
    if (state === 'disconnected' && this.connected) this.#setState('disconnected');
    if (state === 'failed') {
      this.#setState('failed', failureReason(this.#connection.evidence, this.#polls));
      // The one time that a peer that polls reads our offer was in vain: it is left to the connect timer.
      if (this.destroyed || this.#isWaiting || (this.#polls && !this.connected)) return;
      this.restart();
      this.#outgoing.repeat();
    }
  }

  /** Not connected in time: says so, and tries again. */
  #reportFailure(): void {
    this.#setState('failed', failureReason(this.#connection.evidence, this.#polls));
    if (this.destroyed || this.#isWaiting) return; // a listener has had enough
    if (this.#polls) this.#connectWithinMs = Math.min(this.#connectWithinMs * 2, POLLING_RETRY_WITHIN_MS);
    this.#expectConnection();
    if (!this.#isPolite) this.#startOver(); // by rule one of the two, so that they do not collide
  }

  #expectConnection(): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = setTimeout(() => this.#reportFailure(), this.#connectWithinMs);
  }

  /** The other gives up the connection, and its offer for a new one follows. */
  #expectRenewal(): void {
    if (this.#polls || !this.#other?.connections.take()) return; // the channel will close, and the peer with it
    this.#incoming = this.#gate;
    this.#expectConnection();
    this.#renew();
  }

  #startOver(): Promise<void> | undefined {
    if (this.connected && !this.#polls) this.#current?.channel?.renew();
    // Chromium (156) never settles what was under way on a connection that is closed.
    this.#incoming = this.#gate;
    this.#expectConnection();
    return this.#renew() ? this.initiate() : undefined;
  }

  async #send(message: Message, onProgress?: Progress): Promise<void> {
    const channel = this.#current?.channel;
    if (!channel) throw notConnected(this.id);
    await channel.send(message, onProgress);
  }

  #setState(state: PeerState, reason?: string): void {
    if (state === this.state && reason === undefined) return;
    this.state = state;
    this.emit('state', state, reason);
  }

  /** A negotiation that fails is begun anew, at once the first time. */
  #guard(work: Promise<unknown>): void {
    const connection = this.#current;
    work.catch((error: unknown) => {
      if (connection !== this.#current || this.destroyed) return;
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
