/** Our descriptions and candidates on their way: sent in batches, and sent again while there is no connection. */
import type { Description, IceCandidate, Signal } from '../protocol/signal.ts';

/** Candidates, and the description they belong to, that come within this time share one message, in ms. */
const BATCH_MS = 5;

/** How long to wait for the last candidates of a description whose reader takes no later ones, in ms. */
export const COMPLETE_WITHIN_MS = 1_000;

/** How long the mere news that there are no more candidates waits for a connection to make it needless, in ms. */
const END_ALONE_AFTER_MS = 1_000;

/**
 * How long after a signal through the room it is sent again if there is no connection yet, in ms: the first time,
 * later, and after a failure has been reported. The socket that took it may have been lost by then.
 */
const REPEAT_AFTER_MS = 2_000;
const REPEAT_EVERY_MS = 4_000;
const REPEAT_LATER_MS = 18_000;

/** A description and all its candidates so far. */
export interface Described {
  readonly description: Description;
  readonly candidates: IceCandidate[];
}

/** The peer, as far as it matters here. */
export interface Sender {
  /** Whether the other is known, so that there is a way to it. */
  canSend(): boolean;
  isConnected(): boolean;
  /** Whether the other reads no candidates but those that come with the description. */
  needsAllAtOnce(): boolean;
  /** Whether there is no connection yet, and saying it again may help. */
  needsRepeats(): boolean;
  hasFailed(): boolean;
  send(signal: Signal): void;
}

export class Outgoing {
  readonly #sender: Sender;
  /** Our last description, for as long as it may have to be sent again; and our last answer. */
  #last: Described | undefined;
  #lastAnswer: Described | undefined;
  #describedAt = 0;
  #unsent: { description?: Description; candidates: IceCandidate[] } = { candidates: [] };
  #batchTimer: ReturnType<typeof setTimeout> | undefined;
  #repeatTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Takes a description. What waits is sent first: an answer whose offer is followed by ours at once. */
  describe(description: Description): void {
    // node-datachannel (0.33.4) gathers before there is an offer, and in Deno (2) we hear of it before, too.
    const early = this.#last ? [] : this.#unsent.candidates;
    this.flush();
    clearTimeout(this.#batchTimer); // the end of the former candidates need not be told, nor keep this from being sent
    this.#batchTimer = undefined;
    this.#unsent = { description, candidates: early };
    this.#last = { description, candidates: [...early] };
    this.#describedAt = performance.now();
    if (description.type === 'answer') this.#lastAnswer = this.#last;
  }

  /** Takes a candidate of the last description, or with null the news that there are no more. */
  addCandidate(candidate: RTCIceCandidate | null): void {
    const init = candidate ? candidate.toJSON() : { candidate: '' }; // on the wire an empty one ends them
    this.#unsent.candidates.push(init);
    this.#last?.candidates.push(init);
    if (candidate) this.schedule();
    else this.flush();
  }

  /** Sends what is there in a moment, together with what else has come by then. */
  schedule(delayMs = this.#sender.needsAllAtOnce() ? COMPLETE_WITHIN_MS : BATCH_MS): void {
    this.#batchTimer ??= setTimeout(() => this.flush(true), delayMs);
  }

  /** Sends what has not been sent. */
  flush(isDue = false): void {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined;
    const { description, candidates } = this.#unsent;
    if (!this.#last || !this.#sender.canSend() || (!description && candidates.length === 0)) return;
    // That there are no more candidates helps only a peer that cannot connect: no message for that alone until then.
    const isEndAlone = !description && candidates.every(({ candidate }) => candidate === '');
    if (isEndAlone && !isDue) this.schedule(END_ALONE_AFTER_MS);
    if (isEndAlone && (!isDue || this.#sender.isConnected())) return;
    if (description) this.repeat();
    this.#sender.send(this.take());
  }

  /** Hands over what has not been sent. */
  take(): Signal {
    const { description, candidates } = this.#unsent;
    this.#unsent = { candidates: [] };
    return description ? { ...description, candidates } : { candidates };
  }

  /** Our offer has been rolled back: it is not sent if it has not been. */
  withdrawOffer(): void {
    if (this.#unsent.description?.type === 'offer') this.take();
  }

  /** Sends the last description again, or the last answer. It does no harm where it has arrived already. */
  sendAgain(type?: 'answer'): void {
    const described = type ? this.#lastAnswer : this.#last;
    if (!described || !this.#sender.canSend()) return;
    if (described === this.#last) this.take();
    this.#sender.send({ ...described.description, candidates: described.candidates });
  }

  /** How old our last description is, in ms. */
  get ageMs(): number {
    return performance.now() - this.#describedAt;
  }

  /** Whether there is a description to send again. */
  get hasDescribed(): boolean {
    return this.#last !== undefined;
  }

  /**
   * Sends our last offer again for as long as it is needed, counted from now, as whoever sends it may put it off. An
   * answer is sent again to an offer that comes again, and only then: a client that is not the library has one use for
   * it, and throws at a second.
   */
  repeat(ms = REPEAT_AFTER_MS): void {
    clearTimeout(this.#repeatTimer);
    this.#repeatTimer = setTimeout(() => {
      if (!this.#sender.needsRepeats()) return;
      this.repeat(this.#sender.hasFailed() ? REPEAT_LATER_MS : REPEAT_EVERY_MS);
      if (this.#last?.description.type === 'offer') this.sendAgain();
    }, ms);
  }

  /** Forgets everything: the connection it was about has been given up. */
  reset(): void {
    this.#last = this.#lastAnswer = undefined;
    this.take();
  }

  /** Stops all timers. */
  stop(): void {
    clearTimeout(this.#repeatTimer);
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined; // a peer that waits for its turn goes on later
  }
}
