/** The spare connection: made before it is needed. While we stay in the room its offer is published ahead. */
import type { Signal } from '../protocol/signal.ts';
import type { SupervisedPeer } from './supervised-peer.ts';

/** A connection that has just begun gets the processor to itself for this long before the next offer is made, in ms. */
const AFTER_ANOTHER_MS = 250;

/** How long the join waits for an answer made ahead, in ms. */
export const ANSWER_WITHIN_MS = 100;

/**
 * Longest answer that is sent with the join, in characters of JSON: it travels in a header, for which nginx has 8 KiB
 * by default, beside the metadata.
 */
const MAX_ANSWER_LENGTH = 3_000;

export class Spare {
  readonly #make: () => SupervisedPeer;
  readonly #publish: ((offer: Signal) => void) | undefined;
  #peer: SupervisedPeer | undefined;
  /**
   * What it is for: nothing yet; a joiner that gets its offer; or the resident that gets the answer that came with our
   * join.
   */
  #use: 'any' | 'joiner' | 'resident' = 'any';
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
    if (!peer.negotiator.open()) return; // the browser has no connection to spare
    this.#peer = peer;
    if (!this.#publish) void peer.negotiator.initiate();
  }

  /**
   * Makes an answer, for the peer in the room whose offer we are going to get. Undefined if it is not there in time.
   */
  async answerAhead(): Promise<Signal | undefined> {
    if (this.#peer) return undefined;
    const peer = this.#make();
    if (!peer.negotiator.open()) return undefined;
    this.#peer = peer;
    this.#use = 'resident';
    const answer = await Promise.race([
      peer.negotiator.answerAhead(),
      new Promise<undefined>((resolve) => setTimeout(resolve, ANSWER_WITHIN_MS)),
    ]);
    if (answer && JSON.stringify(answer).length <= MAX_ANSWER_LENGTH) return answer;
    if (peer === this.#peer) {
      this.discard();
      this.prepare();
    }
    return undefined;
  }

  /** Hands over the spare if it is for this: `any` for a peer in the room that is to get an answer or offer of ours. */
  take(use: 'any' | 'joiner' | 'resident'): SupervisedPeer | undefined {
    return this.#use === use ? this.#take() : undefined;
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

  /** Uses the ICE servers there are now: an offer that was made with others is made again. */
  takeIceServers(): void {
    if (!this.#peer?.initiator) {
      this.#peer?.negotiator.takeIceServers();
      return;
    }
    const wasPublished = this.#use === 'joiner';
    this.discard();
    if (wasPublished) this.publish(false);
  }

  async #publishNow(): Promise<void> {
    if (this.#use === 'joiner') return;
    if (this.#use === 'resident') this.discard(); // nobody has got its answer, and as an offer it would be a slow one
    this.prepare();
    const peer = this.#peer;
    if (!peer) return;
    this.#use = 'joiner';
    // node-datachannel (0.33.4) gathers as soon as there is a channel, and may have done so before there is an offer.
    await peer.negotiator.initiate();
    const offer = await peer.negotiator.completeOffer();
    if (offer && peer === this.#peer) this.#publish?.(offer);
  }

  #take(): SupervisedPeer | undefined {
    const peer = this.#peer;
    this.#peer = undefined;
    this.#use = 'any';
    return peer;
  }
}
