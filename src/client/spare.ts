/** The spare connection: made before it is needed. While we stay in the room its offer is published ahead. */
import type { Signal } from '../protocol/signal.ts';
import type { SupervisedPeer } from './supervised-peer.ts';

/** A connection that has just begun gets the processor to itself for this long before the next offer is made, in ms. */
const AFTER_ANOTHER_MS = 250;

export class Spare {
  readonly #make: () => SupervisedPeer;
  readonly #publish: ((offer: Signal) => void) | undefined;
  #peer: SupervisedPeer | undefined;
  #isPublished = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * `make` makes a peer that has not been introduced; `publish` tells the room its offer, and is undefined where offers
   * are not published, and those of others not taken.
   */
  constructor(make: () => SupervisedPeer, publish: ((offer: Signal) => void) | undefined) {
    this.#make = make;
    this.#publish = publish;
  }

  /**
   * Makes the spare while the socket opens, unless there is one. It makes its offer at once only where no offers are
   * published: elsewhere it is to answer the offer of a peer in the room, and an offer of our own would cost more time
   * than it saves where there is none to answer (bench/connect).
   */
  prepare(): void {
    if (this.#peer) return;
    const peer = this.#make();
    if (!peer.open()) return; // the browser has no connection to spare
    this.#peer = peer;
    if (!this.#publish) void peer.initiate();
  }

  /** Hands over the spare, for a peer that we found in the room. Undefined if it is published: a joiner may have it. */
  takeUnpublished(): SupervisedPeer | undefined {
    return this.#isPublished ? undefined : this.#take();
  }

  /** Hands over the spare whose offer a joiner has. */
  takePublished(): SupervisedPeer | undefined {
    return this.#isPublished ? this.#take() : undefined;
  }

  /** Publishes the spare's complete offer; a little later if `isBusy` with another connection. */
  publish(isBusy: boolean): void {
    clearTimeout(this.#timer);
    if (!this.#publish) {
      this.discard(); // nobody has needed it
      return;
    }
    this.#timer = setTimeout(() => void this.#publishNow(), isBusy ? AFTER_ANOTHER_MS : 0);
  }

  /** Gives up the spare: its offer is lost with the socket, or belongs to a network that we have left. */
  discard(): void {
    clearTimeout(this.#timer);
    this.#take()?.destroy();
  }

  /** Uses the ICE servers there are now: an offer that was made with others is made anew. */
  useIceServers(): void {
    if (!this.#peer?.initiator) {
      this.#peer?.useIceServers();
      return;
    }
    const wasPublished = this.#isPublished;
    this.discard();
    if (wasPublished) this.publish(false);
  }

  async #publishNow(): Promise<void> {
    if (this.#isPublished) return;
    this.prepare();
    const peer = this.#peer;
    if (!peer) return;
    this.#isPublished = true;
    void peer.initiate();
    const offer = await peer.completeOffer();
    if (offer && peer === this.#peer) this.#publish?.(offer);
  }

  #take(): SupervisedPeer | undefined {
    const peer = this.#peer;
    this.#peer = undefined;
    this.#isPublished = false;
    return peer;
  }
}
