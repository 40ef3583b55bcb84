/**
 * A stream of messages that stops: the first sign of a network change that no browser is told of. ICE says so after 6 s
 * (Chromium 156, 2026-11).
 */

/** So many messages, each soon after the last, are a stream: if it stops, that is not just a pause in a chat. */
const STREAM_OF = 5;

/** How long a stream may pause, in ms. A network that loses 2 % of its packets pauses it for shorter. */
const SILENT_AFTER_MS = 1_500;

/** How much later the server is asked, in ms: what is sent in a pause of 2 s is late itself. */
const ASK_AFTER_MS = 750;

/** How often to look whether the other answers, in ms. */
const LOOK_EVERY_MS = 250;

/**
 * How many looks at least: a network that pauses for 2 s is back by then, and the other is heard, if by its own checks.
 */
const LEAST_LOOKS = 5;

/** So many checks in a row are not lost by chance: while all is well ICE sends one in 2.5 s. */
const UNANSWERED = 2;

/** What has gone by the present path, in all. */
export interface Traffic {
  /** ICE's checks of it. */
  checks: number;
  /** Answers to those, checks of the other's, and packets with data. */
  heard: number;
}

/** A peer, as far as it matters here. */
export interface Heard {
  readonly connected: boolean;
  readonly negotiator: {
    readonly current: { traffic(): Promise<Traffic | undefined> } | undefined;
    /** Restarts ICE. */
    restart(): void;
  };
}

export class Silence {
  readonly #peers: ReadonlyMap<string, Heard>;
  readonly #begun: () => void;
  #last: Heard | undefined;
  #count = 0;
  #heardAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isSilent = false;

  /** `begun` is called when all of `peers` have become silent. ICE is restarted with each peer that answers nothing. */
  constructor(peers: ReadonlyMap<string, Heard>, begun: () => void) {
    this.#peers = peers;
    this.#begun = begun;
  }

  /** A message has come from a peer. There may be thousands a second, so none has a timer of its own. */
  heard(peer: Heard): void {
    this.#last = peer;
    if (this.#isSilent) this.#stop();
    this.#count++;
    this.#heardAt = performance.now();
    this.#timer ??= setTimeout(this.#look, SILENT_AFTER_MS);
  }

  /** A peer is gone: its silence means nothing. */
  forget(peer: Heard): void {
    if (this.#last !== peer) return;
    this.#last = undefined;
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#count = 0;
    this.#isSilent = false;
  }

  readonly #look = (): void => {
    const remainingMs = this.#heardAt + SILENT_AFTER_MS - performance.now();
    this.#timer = remainingMs > 0 ? setTimeout(this.#look, remainingMs) : undefined;
    if (this.#timer !== undefined) return;
    this.#isSilent = this.#count >= STREAM_OF;
    this.#count = 0;
    if (!this.#isSilent) return;
    this.#timer = setTimeout(this.#begun, ASK_AFTER_MS);
    void this.#restartAll();
  };

  async #restartAll(): Promise<void> {
    const last = this.#last;
    if (!last || !(await this.#restart(last))) return;
    // It may be the other's network, or its will. So each of the others has to be silent itself.
    for (const peer of this.#peers.values()) if (peer !== last) void this.#restart(peer);
  }

  /** Restarts ICE with a peer if that does not answer, which is seen within seconds. */
  async #restart(peer: Heard): Promise<boolean> {
    const traffic = async (): Promise<Traffic | undefined> => peer.negotiator.current?.traffic();
    const isDue = await isDeaf(traffic, () => this.#isSilent && peer.connected);
    if (isDue) peer.negotiator.restart();
    return isDue;
  }
}

/** Whether nothing is heard of the other, whatever ICE asks, seen for as long as that takes while `isSilent`. */
async function isDeaf(traffic: () => Promise<Traffic | undefined>, isSilent: () => boolean): Promise<boolean> {
  const before = await traffic();
  for (let looks = 1; before && isSilent(); looks++) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const now = await traffic();
    if (!now || now.heard > before.heard) return false;
    if (looks >= LEAST_LOOKS && now.checks >= before.checks + UNANSWERED) return isSilent();
  }
  return false;
}
