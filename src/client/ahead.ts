/** The spare peer connection: there before it is needed, and while we stay in the room its offer is published ahead. */
import type { Signal } from '../protocol/signal.ts';
import type { Peer } from './peer.ts';

/** A connection that has just begun gets the processor to itself for this long before the next offer is made, in ms. */
const AFTER_ANOTHER_MS = 250;

export class Ahead {
  readonly #make: () => Peer;
  readonly #publish: ((offer: Signal) => void) | undefined;
  #spare: Peer | undefined;
  #isPublished = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * `make` makes a peer that no one has been introduced to; `publish` tells the room of its offer, and is undefined where
   * none are published, nor those of others taken.
   */
  constructor(make: () => Peer, publish: ((offer: Signal) => void) | undefined) {
    this.#make = make;
    this.#publish = publish;
  }

  /**
   * Makes the spare, unless there is one, while the socket opens. Its offer, too, if it is for whom we find in the room.
   * But where others have published theirs it is to answer one, and our own would cost more time than it saves where they
   * have not (bench/connect).
   */
  prepare(): void {
    if (this.#spare) return;
    this.#spare = this.#make();
    if (!this.#publish) void this.#spare.initiate();
  }

  /** Hands over the spare, for one whom we found in the room. Undefined if it is published: then it waits for a joiner. */
  takeUnpublished(): Peer | undefined {
    return this.#isPublished ? undefined : this.#take();
  }

  /** Hands over the spare whose offer a joiner has. */
  takePublished(): Peer | undefined {
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

  /** Gives up the spare: the room that knew its offer is another one now, or the network is. */
  discard(): void {
    clearTimeout(this.#timer);
    this.#take()?.destroy();
  }

  async #publishNow(): Promise<void> {
    if (this.#isPublished) return;
    this.prepare();
    const spare = this.#spare;
    this.#isPublished = true;
    void spare?.initiate();
    const offer = await spare?.completeOffer();
    if (offer && spare === this.#spare) this.#publish?.(offer);
  }

  #take(): Peer | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    this.#isPublished = false;
    return spare;
  }
}
