/**
 * What a peer may make of a page. A peer that goes beyond it on its own channel is closed with an error that says so;
 * what comes by the room, where anybody may have sent it, is dropped.
 */

/** Longest message, either way, in bytes: the page holds it whole. */
export const MAX_DATA_BYTES = 256 * 1024 * 1024;

/** What all peers together may make the page hold of messages that are not whole yet, in bytes. */
export const MAX_HELD_BYTES = 2 * MAX_DATA_BYTES;

/** Longest description that is read, in characters: twice what a room carries by default. */
export const MAX_SDP_LENGTH = 131_072;

/** Most m-lines of a description: the channel, and more tracks than a page can show. Chromium takes 1 ms for each. */
const MAX_MEDIA_SECTIONS = 100;

/** Most bytes of a message to the room where the server does not tell, and those of them that are not the signal. */
export const MAX_ROOM_MESSAGE_BYTES = 65_536;
export const ENVELOPE_BYTES = 1_024;

/** Most candidates of one description; browsers with several networks and TURN servers have some thirty. */
export const MAX_CANDIDATES = 100;

/** Most candidates of an address family from a peer that polls, where anybody may add some in its name. */
export const MAX_POLLED_CANDIDATES = 8;

/** Most transceivers that a P2PCF peer may have asked for and not used. */
export const MAX_UNUSED_TRANSCEIVERS = 16;

/** What is wrong with a description's size, as a sentence, or undefined. */
export function sizeFault(sdp: string): string | undefined {
  if (sdp.length > MAX_SDP_LENGTH)
    return `The description has ${sdp.length} characters; ${MAX_SDP_LENGTH} is the most.`;
  const sections = sdp.split('\nm=').length - 1;
  return sections > MAX_MEDIA_SECTIONS
    ? `The description has ${sections} m-lines; ${MAX_MEDIA_SECTIONS} is the most.`
    : undefined;
}

/** Lets so many pass at once, and one more every so many ms. */
export class Allowance {
  readonly #most: number;
  readonly #everyMs: number;
  #left: number;
  #at = performance.now();

  constructor(most: number, everyMs: number) {
    this.#most = this.#left = most;
    this.#everyMs = everyMs;
  }

  /** Whether one more may pass. */
  take(now = performance.now()): boolean {
    this.#left = Math.min(this.#most, this.#left + (now - this.#at) / this.#everyMs);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

/** Signals of one peer: a burst is a camera's tracks with every candidate by itself, as P2PCF sends them. */
export const newSignalAllowance = (): Allowance => new Allowance(250, 50);

/** New connections on the demand of one peer: more is no network that comes and goes. */
export const newConnectionAllowance = (): Allowance => new Allowance(12, 5_000);
