/** Whether the server still answers: a ping every now and then, and a limit on how long its answer may take. */

/** How often to ping, in ms: half as long as the least patient proxies wait. */
const PING_EVERY_MS = 25_000;

/** The shortest such time in which an answer can come, and about the longest that a timer takes, in ms. */
const LEAST_MS = 500;
const MOST_MS = 2e9;

/**
 * How long to wait for any answer of the server, as part of the time between pings: 10 of 25 s. Two round trips at
 * least, as a slow server would be left again and again.
 */
const ANSWER_WITHIN = 0.4;
const LEAST_ROUND_TRIPS = 2;

/** Longest round trip that is believed, in ms: a page that was frozen measures that. */
const MOST_ROUND_TRIP_MS = 5_000;

/** How long an answer may be queued behind what else the server says, in ms. */
const QUEUED_FOR_MS = 50_000;

/**
 * How long to wait in doubt, in ms: until TCP has sent a lost packet again (Linux waits 200 ms and more) and four round
 * trips, or this at most; but for two round trips at least, as for any.
 */
const DOUBT_MS = 500;
const DOUBT_ROUND_TRIPS = 4;
const MOST_DOUBT_MS = 1_500;

export class Heartbeat {
  readonly #ping: () => void;
  readonly #silent: () => void;
  readonly #everyMs: number;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  /** When that ends, and how long it is. */
  #answerBy = Number.POSITIVE_INFINITY;
  #withinMs = 0;
  /** When the ping was sent that is not answered yet. */
  #pingedAt: number | undefined;
  /** How long the last answer took, in ms. */
  #roundTripMs = MOST_DOUBT_MS / LEAST_ROUND_TRIPS;

  /**
   * `ping` asks the server; `silent` is told that it has not answered in time. Throws Error for an `everyMs` that
   * cannot work.
   */
  constructor(ping: () => void, silent: () => void, everyMs = PING_EVERY_MS) {
    if (!(everyMs >= LEAST_MS && everyMs <= MOST_MS))
      throw new Error(`pingEveryMs is ${everyMs}: it must be from ${LEAST_MS} to ${MOST_MS}.`);
    this.#ping = ping;
    this.#silent = silent;
    this.#everyMs = everyMs;
  }

  /** Pings now, and from now on. This answer has so many ms. */
  beat(withinMs = Math.max(this.#everyMs * ANSWER_WITHIN, LEAST_ROUND_TRIPS * this.#roundTripMs)): void {
    this.#pingedAt ??= performance.now();
    this.#ping();
    this.expect(withinMs);
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.beat(), this.#everyMs);
  }

  /** Pings now, as the network may have changed: a socket of the former network gets no answer. */
  doubt(): void {
    const doubtMs = Math.min(DOUBT_MS + DOUBT_ROUND_TRIPS * this.#roundTripMs, MOST_DOUBT_MS);
    this.beat(Math.max(doubtMs, LEAST_ROUND_TRIPS * this.#roundTripMs));
  }

  /**
   * A half-open connection says nothing, and its close event may take minutes: waits for an answer from now on, this
   * many ms, unless an answer is due sooner.
   */
  expect(withinMs: number): void {
    const by = performance.now() + withinMs;
    if (this.#answerBy <= by) return;
    clearTimeout(this.#answerTimer);
    this.#answerBy = by;
    this.#withinMs = withinMs;
    this.#answerTimer = setTimeout(() => this.#silent(), withinMs);
  }

  /** The server has answered. */
  heard(): void {
    clearTimeout(this.#answerTimer);
    this.#answerBy = Number.POSITIVE_INFINITY;
    if (this.#pingedAt !== undefined)
      this.#roundTripMs = Math.min(performance.now() - this.#pingedAt, MOST_ROUND_TRIP_MS);
    this.#pingedAt = undefined;
  }

  /**
   * The server has said something else: on a slow network its answer is queued behind such. Waits on, but not for ever,
   * as a proxy may pass one direction alone.
   */
  heardOther(): void {
    if (this.#pingedAt === undefined || performance.now() > this.#pingedAt + QUEUED_FOR_MS) return;
    this.#answerBy = Number.POSITIVE_INFINITY;
    this.expect(this.#withinMs);
  }

  stop(): void {
    clearTimeout(this.#pingTimer);
    this.#pingedAt = undefined;
    this.heard();
  }
}
