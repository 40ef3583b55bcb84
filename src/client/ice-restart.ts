/** Whether ICE is restarted, by whom, how soon after the last time, and when that is over. */
import { restartsIce, type Situation, stateOf } from './negotiation.ts';

/**
 * ICE restarts of one connection are at least this far apart, in ms. Where Firefox (153) is DTLS client to Chromium
 * (156), a restart right after another loses the connection now and then (seen 2026-11).
 */
const RESTART_EVERY_MS = 2_000;

/** How long after a restart of ICE signals go by the channel again where nothing is heard on it, in ms. */
const SETTLED_AFTER_MS = 5_000;

/**
 * Chromium (156) keeps the sockets of each restart of ICE, 2 to 10 of them, until the connection is closed. A page may
 * have 3,000; when these are used up, none of its connections finds a candidate.
 */
const MAX_RESTARTS_OF_PAGE = 200;

/** How often ICE has been restarted on the connections that the page has now. */
let restartsOfPage = 0;

/** How long until ICE may be restarted, in ms; the last time was `restartedAt`, undefined for never. */
export function restartDelay(restartedAt: number | undefined, now: number): number {
  return restartedAt === undefined ? 0 : Math.max(0, restartedAt + RESTART_EVERY_MS - now);
}

/**
 * Whether ICE is restarted as soon as the room can be heard again. A client that has lost the room and the other at
 * once has lost its network, and need not wait until ICE has given up.
 */
export function isRestartDue(state: ReturnType<typeof stateOf>, isConnected: boolean): boolean {
  return state === 'failed' || (state === 'disconnected' && isConnected);
}

/** How to find a new way to the other, if the present one `hasFailed` or may still work. */
export function stepForRestart(
  ours: Pick<Situation, 'polls' | 'isOursFirefox' | 'isTheirsFirefox'>,
  hasFailed: boolean,
): 'restart ICE' | 'ask the other' | 'start over' | 'drop' {
  // A peer that polls goes on with the ICE credentials of its first answer.
  if (ours.polls) return hasFailed ? 'start over' : 'drop';
  // Only Firefox restarts a connection to Firefox (153). It answers a restart as DTLS client even where it has been the
  // server, which Chromium (156) refuses; and where it has been the client, Chromium's restart often loses the way to
  // it.
  return ours.isTheirsFirefox && !ours.isOursFirefox ? 'ask the other' : 'restart ICE';
}

/**
 * Whether a restart of ICE at `restartedAt` is over, so that our signals go by the channel again; `isHeard`: the other
 * has said something there; `isOut`: our offer to restart has no answer yet. It is not put off, as by the room the
 * other takes some six descriptions of ten streams at once, and one every 2 s then, and both wait for what it drops.
 */
export function isSettled(
  state: ReturnType<typeof stateOf>,
  isHeard: boolean,
  isOut: boolean,
  restartedAt: number | undefined,
  now: number,
): boolean {
  if (state === 'connected') return isHeard || restartedAt === undefined || now - restartedAt > SETTLED_AFTER_MS;
  // Firefox (153) is `connecting` while any offer of its own is out.
  return state === 'connecting' && isHeard && !isOut;
}

/** An RTCPeerConnection, as far as it matters here. */
type Restarted = Parameters<typeof stateOf>[0] &
  Pick<RTCPeerConnection, 'currentLocalDescription' | 'localDescription'>;

/** The restarts of ICE of one connection. */
export class IceRestarts {
  /**
   * ICE restarts go by the room: Firefox (153) moves the channel to the new paths at once, and those come about only
   * when the other has the answer. What follows goes by the room too, so as not to overtake the restart, until `settle`
   * finds that over.
   */
  isUnderWay = false;
  readonly #pc: Restarted;
  /** When the last one was, or the other was asked for it. */
  #at: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #count = 0;

  constructor(pc: Restarted) {
    this.#pc = pc;
  }

  /** Whether there were too many: another connection is to take the place of this one. */
  get tooMany(): boolean {
    return this.#count > 0 && restartsOfPage >= MAX_RESTARTS_OF_PAGE;
  }

  /** Calls `restart` as soon as ICE may be restarted, or the other asked to. */
  schedule(restart: () => void): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.#at = performance.now();
        restart();
      },
      restartDelay(this.#at, performance.now()),
    );
  }

  /** The connection is closed. */
  stop(): void {
    clearTimeout(this.#timer);
    restartsOfPage -= this.#count;
    this.#count = 0;
  }

  /** A description of ours is about to be taken. */
  describe(description: { sdp: string }): void {
    if (restartsIce(this.#pc.currentLocalDescription, description)) {
      this.isUnderWay = true;
      this.#count++;
      restartsOfPage++;
      this.#at = performance.now();
    } else this.settle(); // not only when it is sent: Firefox (153) is `connecting` while an offer of its own is out
  }

  /** Whether a restart has just come to its end; `isHeard`: the other has said something on the channel. */
  settle(isHeard = false): boolean {
    if (!this.isUnderWay) return false; // as nearly always: the descriptions are not even looked at
    const { currentLocalDescription, localDescription } = this.#pc;
    const isOut = localDescription !== null && restartsIce(currentLocalDescription, localDescription);
    const isOver = isSettled(stateOf(this.#pc), isHeard, isOut, this.#at, performance.now());
    this.isUnderWay = !isOver;
    return isOver;
  }
}
