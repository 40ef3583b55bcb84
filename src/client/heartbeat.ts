/** Whether the server still answers: a ping every now and then, and a limit on how long its answer may take. */

/** How often to ping, in ms: half of what the most impatient of proxies wait. */
const PING_EVERY_MS = 25_000;

/** How long to wait for any answer of the server, as part of the time between pings: 10 of 25 s. */
const ANSWER_WITHIN = 0.4;

export class Heartbeat {
  readonly #ping: () => void;
  readonly #silent: () => void;
  readonly #everyMs: number;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;

  /** `ping` asks the server; `silent` is told that it has not answered in time. */
  constructor(ping: () => void, silent: () => void, everyMs = PING_EVERY_MS) {
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

  /** A half-open connection says nothing, and its close event may take minutes: waits for an answer from now on. */
  expect(mostMs = Number.POSITIVE_INFINITY): void {
    clearTimeout(this.#answerTimer);
    const withinMs = Math.min(this.#everyMs * ANSWER_WITHIN, mostMs);
    this.#answerTimer = setTimeout(() => this.#silent(), withinMs);
  }

  /** The server has answered. */
  heard(): void {
    clearTimeout(this.#answerTimer);
  }

  stop(): void {
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#answerTimer);
  }
}
