/** Whether the server still answers: a ping every now and then, and a limit on how long its answer may take. */

/** How often to ping, in ms: half as long as the least patient proxies wait. */
const PING_EVERY_MS = 25_000;

/** The shortest such time in which an answer can come, and about the longest that a timer takes, in ms. */
const LEAST_MS = 500;
const MOST_MS = 2e9;

/** How long to wait for any answer of the server, as part of the time between pings: 10 of 25 s. */
const ANSWER_WITHIN = 0.4;

export class Heartbeat {
  readonly #ping: () => void;
  readonly #silent: () => void;
  readonly #everyMs: number;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  /** When that ends. */
  #answerBy = 0;

  /**
   * `ping` asks the server; `silent` is told that it has not answered in time. Throws Error for an `everyMs` that cannot
   * work.
   */
  constructor(ping: () => void, silent: () => void, everyMs = PING_EVERY_MS) {
    if (!(everyMs >= LEAST_MS && everyMs <= MOST_MS))
      throw new Error(`pingEveryMs is ${everyMs}: it must be from ${LEAST_MS} to ${MOST_MS}.`);
    this.#ping = ping;
    this.#silent = silent;
    this.#everyMs = everyMs;
  }

  /** Pings now, and from now on. The answer has this many ms at most, and never longer than any. */
  beat(answerWithinMs?: number): void {
    this.#ping();
    this.expect(answerWithinMs);
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.beat(), this.#everyMs);
  }

  /**
   * A half-open connection says nothing, and its close event may take minutes: waits for an answer from now on, unless
   * an answer is due sooner.
   */
  expect(mostMs = Number.POSITIVE_INFINITY): void {
    const withinMs = Math.min(this.#everyMs * ANSWER_WITHIN, mostMs);
    const by = performance.now() + withinMs;
    if (this.#answerTimer !== undefined && this.#answerBy <= by) return;
    this.heard();
    this.#answerBy = by;
    this.#answerTimer = setTimeout(() => this.#silent(), withinMs);
  }

  /** The server has answered. */
  heard(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }

  stop(): void {
    clearTimeout(this.#pingTimer);
    this.heard();
  }
}
