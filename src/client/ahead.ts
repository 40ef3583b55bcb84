/** The spare peer connection: made before it is needed, so that its certificate, candidates and offer are there. */
import type { Signal } from '../protocol/messages.ts';
import type { Peer } from './peer.ts';

export class Ahead {
  readonly #make: () => Peer;
  #spare: Peer | undefined;
  #isPublished = false;

  /** `make` makes a peer that no one has been introduced to. */
  constructor(make: () => Peer) {
    this.#make = make;
  }

  /** Makes the spare, unless there is one. */
  prepare(): void {
    if (this.#spare) return;
    this.#isPublished = false;
    this.#spare = this.#make();
    this.#spare.initiate();
  }

  /** Hands over the spare, for one to whom we offer. Undefined if it is published: then it waits for a joiner. */
  takeUnpublished(): Peer | undefined {
    return this.#isPublished ? undefined : this.#take();
  }

  /** Hands over the spare whose offer a joiner has. */
  takePublished(): Peer | undefined {
    return this.#isPublished ? this.#take() : undefined;
  }

  /** Makes a spare if need be, and hands its complete offer to `publish`. */
  async publish(publish: (offer: Signal) => void): Promise<void> {
    this.prepare();
    const spare = this.#spare;
    if (!spare || this.#isPublished) return;
    this.#isPublished = true;
    const offer = await spare.completeOffer();
    if (offer && spare === this.#spare) publish(offer);
  }

  /** Gives up the spare: the room that knew its offer is another one now, or the network is. */
  discard(): void {
    this.#take()?.destroy();
  }

  #take(): Peer | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    this.#isPublished = false;
    return spare;
  }
}
