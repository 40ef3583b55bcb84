/**
 * What we and the other tell each other, on one connection after the other. negotiation.ts says what to do about it.
 */
import { type Description, type ParsedSignal, parseSignal, type Signal } from '../protocol/signal.ts';
import { utf8Length } from '../protocol/utf8.ts';
import { Channel } from './channel.ts';
import { failureReason } from './ice-failure.ts';
import { isRestartDue, stepForRestart } from './ice-restart.ts';
import { Incoming } from './incoming-signals.ts';
import type { Introduction } from './introduction.ts';
import { MAX_UNUSED_TRANSCEIVERS, sizeFault } from './limits.ts';
import {
  fingerprintsOf,
  type Situation,
  type Step,
  stateOf,
  stepFor,
  stepForNeededOffer,
  wayFor,
} from './negotiation.ts';
import { Outgoing } from './outgoing-signals.ts';
import type { Peer } from './peer.ts';
import { Connection, type ConnectionSettings } from './peer-connection.ts';

/** What has begun with other ICE servers has this long to do without the new ones, in ms. */
const NEW_SERVERS_AFTER_MS = 1_000;

/**
 * After a negotiation that failed our media waits for the other's, so long at most, in ms, so that offers do not cross
 * again. Chromium (156) keeps its numbers of header extensions where its offer is rolled back, and refuses the other's
 * offer if that has begun with another kind of media.
 */
const MEDIA_AFTER_FAULT_MS = 2_000;

/**
 * How long after an offer on the channel it is repeated, in ms: P2PCF may have lost its answer, and where the library's
 * goes by the room, as ICE is away for a moment, that may be lost with its socket. Not sooner: of two offers that wait
 * for a page that is busy P2PCF answers both, and closes its peer at the second answer; and to the library each counts.
 * And less and less often: a page that a dialog stops for an hour gets all of them at once.
 */
const REPEAT_ON_CHANNEL_AFTER_MS = 15_000;

/** What a negotiator tells of itself. */
export interface NegotiatorListener {
  /** The connection is being made. */
  begun(): void;
  /** The present connection has been given up, and another takes its place. */
  renewed(): void;
  /** The browser has no other connection for us. */
  refused(reason: string): void;
  /** There is no connection, for this reason. */
  failed(reason: string): void;
  /** The data channel is open. */
  opened(): void;
  stateChanged(state: ReturnType<typeof stateOf>): void;
}

export class Negotiator {
  readonly #settings: ConnectionSettings;
  readonly #peer: Peer;
  readonly #listener: NegotiatorListener;
  readonly #incoming = new Incoming();
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
  /** What was wrong with the negotiation on the present connection, as a sentence. */
  #fault: string | undefined;
  /** Runs while our media waits for the other's. */
  #mediaTimer: ReturnType<typeof setTimeout> | undefined;

  /** Negotiates what `peer` sends and gets. */
  constructor(settings: ConnectionSettings, peer: Peer, listener: NegotiatorListener) {
    this.#settings = settings;
    this.#peer = peer;
    this.#listener = listener;
    this.#outgoing = new Outgoing({
      // What belongs to an answer made ahead can be told apart once its offer is here, which names the attempt.
      canSend: () => this.#other !== undefined && !peer.destroyed && !this.#current?.situation.hasAnsweredAhead,
      isConnected: () => peer.connected,
      needsAllAtOnce: () => this.#polls && !peer.connected,
      // A peer that polls takes its time, and the room keeps our offer for it. Once we are connected it may lose its
      // answer: P2PCF sends nothing for a moment after its channel is open.
      needsRepeats: () => !this.#isIdle && (this.#polls ? this.#isConnectedAndOffering : !this.#isUp),
      hasFailed: () => peer.state === 'failed',
      send: (signal) => this.#signal(signal),
    });
  }

  /**
   * The present connection, made when it is first asked for. Throws what the constructor of RTCPeerConnection throws.
   */
  get connection(): Connection {
    if (this.#current) return this.#current;
    const peer = this.#peer;
    const connection = new Connection(this.#settings, this.#outgoing, {
      negotiationNeeded: () => this.#offerIfNeeded(),
      channel: (channel) => this.#use(channel),
      datagram: (bytes) => peer.connected && peer.emit('datagram', bytes),
      datagramDropped: () => peer.datagramsDropped++,
      exceeded: (reason) => this.#exceed(reason),
      track: (event) => peer.received.take(event),
      stateChanged: () => this.#listener.stateChanged(stateOf(connection.pc)),
    });
    if (peer.destroyed) connection.close();
    this.#current = connection;
    return connection;
  }

  /** The present connection, if there is one. */
  get current(): Connection | undefined {
    return this.#current;
  }

  /** The two are connected, but for the data channel, which is about to open. */
  get isOpening(): boolean {
    return !this.#isIdle && !this.#peer.connected && stateOf(this.connection.pc) === 'connected';
  }

  /** Why there is no connection, as a sentence. */
  get failureReason(): string {
    return this.#fault ?? failureReason(this.connection.evidence, this.#polls);
  }

  /**
   * Makes the data channel, and with it the first offer; resolves when that is made. The other side takes the channel
   * as it comes.
   */
  initiate(): Promise<void> {
    if (this.#peer.destroyed) return Promise.resolve();
    this.#peer.initiator = true;
    const { connection } = this;
    this.#use(connection.pc.createDataChannel(this.#peer.channelName));
    connection.openDatagrams();
    // Not left to negotiationneeded, which comes later and in node-datachannel (0.33.4) never.
    const offered = connection.offer();
    this.#guard(offered);
    return offered.catch(() => undefined);
  }

  /** Our offer with all its candidates, or with those of the first second. For an initiator that is not introduced. */
  async completeOffer(): Promise<Signal | undefined> {
    await this.connection.gathered();
    const offer = this.#outgoing.take();
    return 'type' in offer ? { ...offer, attempt: this.connection.attempt } : undefined;
  }

  /**
   * An answer to an offer that we have not seen, to be sent with the join. Undefined if this WebRTC cannot make one.
   */
  async answerAhead(): Promise<Signal | undefined> {
    try {
      await this.connection.answerAhead();
      return this.#outgoing.take();
    } catch {
      return undefined;
    }
  }

  /** Says who the other is. It may have our complete offer already. */
  introduce(other: Introduction): void {
    this.#other = other;
    this.#outgoing.repeat();
    this.#outgoing.flush();
  }

  /** Takes nothing that the other signals before `gate` is settled, so that there is no connection before that. */
  hold(gate: Promise<unknown>): void {
    this.#incoming.hold(gate);
  }

  /** Makes the connection. False if the browser refuses. */
  open(): boolean {
    try {
      return this.connection !== undefined;
    } catch (error) {
      this.#listener.refused(String(error));
      return false;
    }
  }

  /**
   * Offers a new connection in place of the present one; resolves when the offer is made. Undefined if the browser
   * refuses.
   */
  startOver(): Promise<void> | undefined {
    if (this.#peer.connected && !this.#polls) this.#current?.channel?.renew();
    if (this.#peer.destroyed) return undefined; // it takes no signal
    this.#incoming.startOver();
    this.#listener.begun();
    return this.#renew() ? this.initiate() : undefined;
  }

  /** Gives up the present connection, for now or for good, and all that was about to be sent. */
  giveUp(): void {
    this.stop();
    this.#discard();
  }

  /** Sends nothing by itself any more, and waits for nothing. */
  stop(): void {
    this.#outgoing.stop();
    this.#incoming.startOver();
    clearTimeout(this.#mediaTimer);
    this.#mediaTimer = undefined;
  }

  /** Takes a signal that came by the room. A signal that makes no sense is dropped, and so are too many. */
  receive(signal: unknown): void {
    if (this.#isIdle) return;
    const parsed = parseSignal(signal);
    const strangers = this.#peer.connected ? undefined : this.#settings.strangers;
    const fault = this.#incoming.fault(parsed, true, strangers);
    if (!fault) this.#receive(parsed, signal);
    else if (strangers) this.#listener.failed(fault);
  }

  /** The room can be heard again, and what was sent meanwhile is lost: sends it again if there is no connection. */
  signalAgain(): void {
    // Not while a description is being taken.
    const signaled = this.#incoming.inTurn(() => {
      if (this.#isIdle) return;
      if (this.#isUp) {
        if (this.#offerForRoom) this.#other?.send(this.#offerForRoom);
        return;
      }
      if (this.#outgoing.hasDescribed) this.#outgoing.sendAgain();
      else void this.initiate();
      // Where only the other may restart ICE it has to be asked again.
      if (isRestartDue(stateOf(this.connection.pc), this.#peer.connected)) this.restart();
      this.#outgoing.repeat();
    });
    this.#guard(signaled);
  }

  /** What we last sent has not reached the other: should it offer, then that does not collide with our offer. */
  markOfferLost(): void {
    if (this.#current) this.#current.isOfferLost = true;
  }

  /** Gathers new candidates and negotiates again, without a new connection: the network has changed. */
  restart(): void {
    if (!this.#isIdle) this.connection.restarts.schedule(() => this.#restart());
  }

  /** The connection has failed: looks for another way, for as long as it takes. */
  repair(): void {
    // A peer that polls reads our offer only once, and that did not help. The connect timer is going to start over.
    if (this.#isIdle || (this.#polls && !this.#peer.connected)) return;
    this.restart();
    this.#outgoing.repeat();
  }

  /**
   * Uses the ICE servers there are now. ICE is restarted in two cases: the connection goes by a TURN server, whose
   * allocation ends with the credentials that it was made with; or there is no connection yet.
   */
  takeIceServers(): void {
    const connection = this.#current;
    connection?.takeIceServers();
    // Not asked of localDescription, which is null while candidates of a description that is being set are gathered.
    if (!connection || !this.#outgoing.hasDescribed) return;
    setTimeout(async () => {
      const { connected, initiator } = this.#peer;
      const isNeeded = !connected || (await connection.isRelayed());
      if (!isNeeded || connection !== this.#current || this.#peer.destroyed) return;
      // Until the channel is open only the initiator offers.
      if (connected || initiator) this.restart();
      else this.#other?.send({ restart: true });
    }, NEW_SERVERS_AFTER_MS);
  }

  /**
   * Takes a signal that is within the limits; `signal` is what it was read from, `by` the connection on whose channel
   * it came. When its turn comes, that may have been given up.
   */
  #receive(parsed: ParsedSignal | undefined, signal: unknown, by?: Connection): void {
    if (!parsed || this.#isIdle) return;
    const { request, description, candidates } = parsed;
    if (request?.type === 'restart') this.restart();
    const taken = this.#incoming.inTurn(
      async () => {
        if (this.#isIdle || (by && by !== this.#current)) return;
        if (request?.type === 'renegotiate' && this.#polls) this.#renegotiate(request.kind);
        // What the room has from a peer that polls is for connecting; on the channel no attempt is named.
        if (this.#polls && this.#peer.connected && parsed.attempt !== undefined) return;
        // Within the channel, and from simpler clients, none is named.
        const { attempt = this.connection.attempt } = parsed;
        if (description && (await this.#takeDescription(description, attempt)) === 'refuse') {
          if (!by) this.#other?.onStranger(signal); // there is no stranger on a channel, nor has `trust` been asked
          return;
        }
        if (this.#isIdle) return;
        this.#peer.received.forgetEmpty();
        const { connection } = this;
        if (description && connection.pc.signalingState === 'stable') {
          this.#peer.media.settle();
          if (this.#mediaTimer !== undefined)
            this.#offerMedia(connection); // the other's is there
          else if (connection.isOfferDue && this.#peer.connected) this.#guard(connection.offer());
        }
        if (connection.isIgnoring || attempt !== connection.attempt) return;
        for (const candidate of candidates) await connection.add(candidate, this.#polls);
      },
      description !== undefined,
      by && this.#incoming.waitMs,
    );
    this.#guard(taken);
  }

  async #takeDescription(description: Description, attempt: string): Promise<Step> {
    const step = stepFor(description, attempt, this.#situation);
    switch (step) {
      case 'take': {
        this.#noteFingerprint(description);
        const { connection } = this;
        await connection.setRemote(description);
        if (connection.restarts.isUnderWay) this.#sayNothing(connection);
        break;
      }
      case 'pair':
        this.#noteFingerprint(description);
        await this.#pair(description, attempt);
        break;
      case 'resend answer':
        this.#outgoing.sendAgain('answer');
        break;
      case 'resend offer':
        this.#outgoing.sendAgain();
        this.connection.isIgnoring = true;
        break;
      case 'ignore':
        this.connection.isIgnoring = true;
        break;
      case 'start over':
        if (this.#mayRenew()) this.startOver();
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
    const paired = this.connection.pair(offer, attempt);
    this.#outgoing.flush(); // the candidates that came after the answer
    await paired;
  }

  async #answer(offer: Description, attempt: string, isRenewing: boolean): Promise<void> {
    if (isRenewing && !(this.#mayRenew() && this.#renew())) return;
    this.#noteFingerprint(offer);
    // With an offer of ours, which it may take the place of, Chromium (156) takes back what streams that was to name.
    await this.connection.answer(offer, attempt, () => this.#peer.media.settle());
    // It may always be the other that restarts ICE.
    if (this.#current?.restarts.isUnderWay && this.#isWorn) this.startOver();
  }

  #noteFingerprint({ sdp }: Description): void {
    this.#peer.fingerprint = fingerprintsOf(sdp)[0];
  }

  /** What P2PCF asks of the side that offers: a transceiver, or an offer to which it can add what it has by now. */
  #renegotiate(kind: 'audio' | 'video' | undefined): void {
    const { connection } = this;
    const { pc } = connection;
    if (kind) {
      const unused = pc.getTransceivers().filter(({ currentDirection }) => currentDirection === null);
      if (unused.length >= MAX_UNUSED_TRANSCEIVERS) this.#exceed('It asks for too many transceivers.');
      else this.#peer.media.receive(kind); // and negotiationneeded follows
    } else if (pc.signalingState === 'stable' && !this.#situation.isMakingOffer) this.#guard(connection.offer());
    else connection.isOfferDue = true; // the answer to our last offer may have been made before it had that
  }

  #restart(): void {
    const { connection } = this;
    const hasFailed = stateOf(connection.pc) === 'failed';
    const step = this.#isWorn ? 'start over' : stepForRestart(this.#situation, hasFailed);
    if (step === 'start over') this.startOver();
    if (step === 'ask the other') this.#other?.send({ restart: true });
    if (step !== 'restart ICE') return;
    if (!connection.restartIce() && hasFailed) this.startOver();
  }

  #offerIfNeeded(): void {
    const step = stepForNeededOffer(this.#situation);
    if (step === 'offer') this.#guard(this.connection.offer());
    if (step === 'offer later') this.connection.isOfferDue = true;
  }

  /** By the channel if it is up, which costs the server nothing; else by the room. */
  #signal(signal: Signal): void {
    const { connection } = this;
    this.#peer.emit('signal', signal);
    if (this.#peer.destroyed) return; // by a listener
    const marked = { ...signal, attempt: connection.attempt };
    const bytes = utf8Length(JSON.stringify(marked));
    const most = this.#other?.maxSignalBytes() ?? 0;
    const fault = 'type' in signal ? sizeFault(signal.sdp) : undefined; // what we would not take, the other does not
    connection.restarts.settle();
    const way = wayFor({
      fitsRoom: !fault && bytes <= most,
      isConnected: this.#peer.connected,
      polls: this.#polls,
      isRestarting: connection.restarts.isUnderWay,
      state: stateOf(connection.pc),
    });
    if (way === 'channel' && !fault) {
      connection.channel?.signal(signal, this.#polls);
      if ('type' in signal) this.#outgoing.repeat(Math.max(REPEAT_ON_CHANNEL_AFTER_MS, this.#outgoing.ageMs));
    } else if (way !== 'room') {
      this.#outgoing.reset(); // it would be refused each time
      this.#guard(Promise.reject(new Error(fault ?? `Our description has ${bytes} bytes; the room carries ${most}.`)));
    } else {
      if ('type' in signal) {
        connection.isOfferLost = false;
        if (this.#polls) this.#offerForRoom = marked;
      }
      this.#other?.send(marked);
    }
  }

  /**
   * A restart of ICE has been negotiated. A signal of nothing on the channel arrives as soon as that works, and from
   * then on both say there what they have to say.
   */
  #sayNothing({ pc, channel }: Connection): void {
    if (pc.signalingState !== 'stable' || !this.#peer.connected) return; // it is being negotiated yet, or closed
    channel?.signal({ candidates: [] }, this.#polls); // which for P2PCF is no message
  }

  #use(rtc: RTCDataChannel): void {
    const peer = this.#peer;
    const { connection } = this;
    peer.channelName = rtc.label;
    connection.channel = new Channel(rtc, {
      peerId: () => peer.id,
      opened: () => this.#opened(),
      closed: () => peer.destroy(),
      isReached: () => stateOf(connection.pc) === 'connected' || (this.#other?.hasRoom() ? false : undefined),
      message: (bytes) => peer.emit('data', bytes),
      progress: (...bytes) => peer.emit('progress', ...bytes),
      signal: (signal) => {
        // The other finds the channel good enough. We do not while a restart of Firefox's own is out.
        if (connection.restarts.settle(true)) this.#sayNothing(connection);
        const parsed = parseSignal(signal);
        const fault = this.#incoming.fault(parsed);
        if (fault) this.#exceed(fault);
        else if (parsed?.request?.type === 'renew') this.#expectRenewal();
        else this.#receive(parsed, signal, connection);
      },
      exceeded: (reason) => this.#exceed(reason),
    });
  }

  #opened(): void {
    const peer = this.#peer;
    const waitMs = this.#hasStartedOver ? MEDIA_AFTER_FAULT_MS : 0;
    this.#isPinned = true;
    this.#hasStartedOver = false;
    this.#listener.opened();
    if (peer.destroyed) return; // by a listener
    peer.received.release();
    const { connection } = this;
    if (waitMs === 0) this.#offerMedia(connection);
    else this.#mediaTimer = setTimeout(() => this.#offerMedia(connection), waitMs);
  }

  #offerMedia(connection: Connection): void {
    const peer = this.#peer;
    clearTimeout(this.#mediaTimer);
    this.#mediaTimer = undefined;
    if (connection !== this.#current || peer.destroyed) return;
    peer.media.attach();
    const isOfferDue = this.#polls ? connection.pc.getTransceivers().length > 0 : connection.isOfferDue;
    if (isOfferDue) this.#guard(connection.offer());
  }

  /** On its own channel the other does what no honest peer does. */
  #exceed(reason: string): void {
    this.#peer.destroy(new Error(`The peer ${this.#peer.id} is closed. ${reason}`));
  }

  /** The other gives up the connection, and its offer for a new one follows. */
  #expectRenewal(): void {
    if (this.#polls || !this.#other?.connections.take()) return; // the channel will close, and the peer with it
    this.#incoming.startOver();
    this.#listener.begun();
    this.#renew();
  }

  /**
   * Makes a new connection in place of the present one. What was sent there is sent here when the channel is open: a
   * peer that polls takes no media in a first offer, and a first offer without any fits the room. False if the browser
   * refuses.
   */
  #renew(): boolean {
    this.#discard();
    this.#listener.renewed();
    this.#peer.initiator = false;
    this.#outgoing.reset();
    return !this.#peer.destroyed && this.open(); // else a listener has closed it
  }

  /** Whether the other, by what it says, may have us make another connection. */
  #mayRenew(): boolean {
    const may = this.#other?.connections.take() ?? true;
    if (!may) this.#listener.failed('It starts over too often.');
    return may;
  }

  #discard(): void {
    clearTimeout(this.#mediaTimer);
    this.#mediaTimer = undefined;
    this.#peer.media.detach();
    this.#peer.received.hold();
    this.#current?.close();
    this.#current = undefined;
    this.#fault = undefined;
  }

  get #situation(): Situation {
    const { initiator, connected, fingerprint } = this.#peer;
    const { connection } = this;
    return {
      ...connection.situation,
      isInitiator: initiator,
      polls: this.#polls,
      isPolite: this.#other?.isPolite ?? true,
      isConnected: connected,
      isAlive: connected && stateOf(connection.pc) === 'connected',
      fingerprint,
      isPinned: this.#isPinned,
    };
  }

  /** A new connection is to take the place of the present one, and the room is there, which that needs. */
  get #isWorn(): boolean {
    return this.connection.restarts.tooMany && !!this.#other?.hasRoom();
  }

  get #polls(): boolean {
    return this.#other?.polls ?? false;
  }

  /** There is no connection, and is not to be one now. */
  get #isIdle(): boolean {
    return this.#peer.state === 'waiting' || this.#peer.destroyed;
  }

  get #isConnectedAndOffering(): boolean {
    return this.#peer.connected && this.connection.pc.signalingState !== 'stable';
  }

  get #isUp(): boolean {
    const { connected } = this.#peer;
    if (!connected || this.#polls) return connected;
    const { pc } = this.connection;
    return stateOf(pc) === 'connected' && pc.signalingState === 'stable';
  }

  /** A negotiation that fails is started again, at once the first time. */
  #guard(work: Promise<unknown>): void {
    const connection = this.#current;
    work.catch((error: unknown) => {
      if (connection !== this.#current || this.#peer.destroyed) return;
      if (this.#hasStartedOver || this.#other?.connections.take() === false) {
        this.#fault = `The negotiation failed: ${error}`; // of a spare connection nobody hears before it is used
        this.#listener.begun();
        this.#listener.failed(this.#fault);
        return;
      }
      this.#hasStartedOver = true;
      this.startOver();
    });
  }
}
