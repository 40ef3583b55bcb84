/** A peer as the room has it: its state, how long it may take to connect, and when it waits for its turn. */

import { type Data, type Message, notConnected, type Progress, toMessage } from './channel.ts';
import { type Datagram, toDatagram } from './datagrams.ts';
import type { Introduction } from './introduction.ts';
import type { stateOf } from './negotiation.ts';
import { Negotiator } from './negotiator.ts';
import { Peer, type PeerState } from './peer.ts';
import type { ConnectionSettings } from './peer-connection.ts';
import { printAs } from './printed-name.ts';

/** How long a connection may take before it is reported and tried again, in ms: the slowest polls every 5 s. */
const CONNECT_WITHIN_MS = 18_000;

/**
 * As long again after each failure, up to this, in ms: where round trips take seconds, or most packets are lost, one
 * that was given up each time would never come about. With a peer that polls up to more: its browser may never take our
 * offers.
 */
const RETRY_WITHIN_MS = 72_000;
const POLLING_RETRY_WITHIN_MS = 300_000;

export class SupervisedPeer extends Peer {
  static override readonly name: string = 'Peer'; // as it is printed, also minified
  /** What the other signals goes here; what we signal comes from here. */
  readonly negotiator: Negotiator;
  #other: Introduction | undefined;
  #hasWarned = false;
  /** The app has not yet said whether it is met. */
  #isHeld = false;
  #connectWithinMs = CONNECT_WITHIN_MS;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: ConnectionSettings) {
    super();
    this.negotiator = new Negotiator(settings, this, {
      begun: () => this.#expectConnection(),
      renewed: () => this.#renewed(),
      refused: (reason) => this.wait(reason),
      failed: (reason) => this.#setState('failed', reason),
      opened: () => this.#opened(),
      stateChanged: (state) => this.#followConnection(state),
    });
  }

  get _pc(): RTCPeerConnection {
    return this.negotiator.connection.pc;
  }

  protected get presentPc(): RTCPeerConnection | undefined {
    return this.state === 'waiting' ? undefined : this._pc;
  }

  protected get isMakingOffer(): boolean {
    return this.negotiator.current?.situation.isMakingOffer ?? false;
  }

  get _channel(): RTCDataChannel | null {
    return this.negotiator.current?.channel?.rtc ?? null;
  }

  /** Says who the other is. */
  introduce(other: Introduction): void {
    this.#other = other;
    this.id = other.id;
    this.client_id = other.clientId;
    this.metadata = other.metadata;
    this.verified = other.verified;
    this.#expectConnection();
    this.negotiator.introduce(other);
  }

  /** Nothing that the other signals is taken before `gate` is settled, however long that takes. */
  hold(gate: Promise<unknown>): void {
    this.#isHeld = true;
    clearTimeout(this.#connectTimer);
    this.negotiator.hold(gate);
    const release = (): void => {
      this.#isHeld = false;
      if (!this.destroyed && this.state === 'connecting') this.#expectConnection();
    };
    gate.then(release, release);
  }

  /** Gives up the connection for now, or does not make it. */
  wait(reason?: string): void {
    clearTimeout(this.#connectTimer);
    this.negotiator.giveUp();
    this.#setState('waiting', reason);
  }

  /** The turn of a peer that waits has come: resolves when its offer is made. Undefined if it has to go on waiting. */
  begin(): Promise<void> | undefined {
    this.#setState('connecting');
    return this.destroyed ? undefined : this.negotiator.startOver(); // by a listener
  }

  send(data: Data, onProgress?: Progress): Promise<void> {
    const sent = this.sendMessage(toMessage(data), onProgress);
    sent.catch(() => undefined); // the caller may wait for it; P2PCF's apps do not
    return sent;
  }

  sendUnreliable(data: Datagram): void {
    const bytes = toDatagram(data);
    const { channel, datagrams } = this.negotiator.current ?? {};
    const polls = this.#other?.polls;
    if (this.connected && !polls && datagrams) datagrams.send(bytes);
    else if (this.connected && polls && !channel?.rtc.bufferedAmount) this.#sendReliably(bytes);
    else this.datagramsDropped++;
  }

  /** P2PCF has one channel. A datagram goes by it while nothing waits there, so as not to be late. */
  #sendReliably(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#hasWarned)
      console.warn(`P2PCF-WS: ${JSON.stringify(this.client_id)} has P2PCF, without datagrams: they go by its channel.`);
    this.#hasWarned = true;
    void this.send(bytes);
  }

  /** Sends a message that nobody changes any more: see `send`. */
  async sendMessage(message: Message, onProgress?: Progress): Promise<void> {
    const channel = this.negotiator.current?.channel;
    if (!channel) throw notConnected(this.id);
    await channel.send(message, onProgress);
  }

  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.connected = false;
    clearTimeout(this.#connectTimer);
    this.negotiator.stop();
    this.negotiator.current?.close();
    this.#setState('closed');
    if (error) this.emit('error', error);
    this.emit('close');
  }

  #opened(): void {
    clearTimeout(this.#connectTimer);
    this.connected = true;
    this.#connectWithinMs = CONNECT_WITHIN_MS;
    this.#setState('connected');
    if (!this.destroyed) this.emit('connect');
  }

  #renewed(): void {
    if (!this.connected) return;
    this.connected = false;
    this.#setState('connecting');
  }

  #followConnection(state: ReturnType<typeof stateOf>): void {
    if (this.connected && (state === 'connected' || state === 'disconnected')) this.#setState(state);
    if (state !== 'failed') return;
    this.#setState('failed', this.negotiator.failureReason);
    this.negotiator.repair();
  }

  /** Not connected in time: says so, and tries again. */
  #reportFailure(): void {
    this.#setState('failed', this.negotiator.failureReason);
    if (this.destroyed || this.state === 'waiting') return; // a listener has had enough
    const { polls = false, isPolite = true } = this.#other ?? {};
    this.#connectWithinMs = Math.min(this.#connectWithinMs * 2, polls ? POLLING_RETRY_WITHIN_MS : RETRY_WITHIN_MS);
    this.#expectConnection();
    if (!isPolite) this.negotiator.startOver(); // only one of the two, so that their offers do not collide
  }

  #expectConnection(): void {
    clearTimeout(this.#connectTimer);
    if (!this.#isHeld && !this.destroyed)
      this.#connectTimer = setTimeout(() => this.#reportFailure(), this.#connectWithinMs);
  }

  #setState(state: PeerState, reason?: string): void {
    // What is closed says nothing more.
    if (this.state === 'closed' || (state === this.state && reason === undefined)) return;
    this.state = state;
    this.emit('state', state, reason);
  }
}
printAs(SupervisedPeer, 'Peer');
