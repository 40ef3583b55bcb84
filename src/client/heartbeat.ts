/** Whether the server still answers: a ping every now and then, and a limit on how long its answer may take. */

/** How often to ping, in ms: half as long as the least patient proxies wait. */
const PING_EVERY_MS = 25_000;

/** The shortest such time in which an answer can come, and about the longest that a timer takes, in ms. */
const LEAST_MS = 500;
const MOST_MS = 2e9;

/** How long to wait for any answer of the server, as part of the time between pings: 10 of 25 s. */
const ANSWER_WITHIN = 0.4;

/**
 * How long to wait in doubt, in ms: until TCP has sent a lost packet again (Linux waits 200 ms and more) and four round
 * trips, or this at most; but for two round trips at least, as a slow server would be left again and again.
 */
const DOUBT_MS = 500;
const DOUBT_ROUND_TRIPS = 4;
const MOST_DOUBT_MS = 1_500;
const LEAST_DOUBT_ROUND_TRIPS = 2;

export class Heartbeat {
  readonly #ping: () => void;
  readonly #silent: () => void;
  readonly #everyMs: number;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  /** When that ends. */
  #answerBy = 0;
  /** When the ping was sent that is not answered yet. */
  #pingedAt: number | undefined;
  /** How long the last answer took, in ms. */
  #roundTripMs = MOST_DOUBT_MS / LEAST_DOUBT_ROUND_TRIPS;

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

  /** Pings now, and from now on. This answer has `mostMs` at most, in ms. */
  beat(mostMs?: number): void {
    this.#pingedAt ??= performance.now();
    this.#ping();
    this.expect(mostMs);
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.beat(), this.#everyMs);
  }

  /** Pings now, as the network may have changed: a socket of the former network gets no answer. */
  doubt(): void {
    const doubtMs = Math.min(DOUBT_MS + DOUBT_ROUND_TRIPS * this.#roundTripMs, MOST_DOUBT_MS);
    this.beat(Math.max(doubtMs, LEAST_DOUBT_ROUND_TRIPS * this.#roundTripMs));
  }

  /**
   * A half-open connection says nothing, and its close event may take minutes: waits for an answer from now on, this
   * many ms at most and never longer than for any, unless an answer is due sooner.
   */
  expect(mostMs = Number.POSITIVE_INFINITY): void {
    const withinMs = Math.min(this.#everyMs * ANSWER_WITHIN, mostMs);
    const by = performance.now() + withinMs;
    if (this.#answerTimer !== undefined && this.#answerBy <= by) return;
    clearTimeout(this.#answerTimer);
    this.#answerBy = by;
    this.#answerTimer = setTimeout(() => this.#silent(), withinMs);
  }

  /** The server has answered. */
  heard(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
    if (this.#pingedAt !== undefined) this.#roundTripMs = performance.now() - this.#pingedAt;
    this.#pingedAt = undefined;
  }

  stop(): void {
    clearTimeout(this.#pingTimer);
    this.#pingedAt = undefined;
    this.heard();
  }
}
