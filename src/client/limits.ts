/**
 * What a peer, or the server, may make of a page. A peer that goes beyond it on its own channel is closed with an error that says so;
 * what comes by the room, where anybody may have sent it, is dropped.
 */

/** Longest message, either way, in bytes: the page holds it whole. */
export const MAX_DATA_BYTES = 256 * 1024 * 1024;

/** What all peers together may make the page hold of messages that are not whole yet, in bytes. */
export const MAX_HELD_BYTES = 2 * MAX_DATA_BYTES;

/** Longest description that is read, in characters: twice what a room carries by default. */
export const MAX_SDP_LENGTH = 131_072;

/** Most bytes of a message to the room where the server does not tell, and those of them that are not the signal. */
export const MAX_ROOM_MESSAGE_BYTES = 65_536;
export const ENVELOPE_BYTES = 1_024;

/** Most candidates of one description; browsers with several networks and TURN servers have some thirty. */
export const MAX_CANDIDATES = 100;

/**
 * What a description may have most of. m-lines: the channel, and more tracks than a page can show; Chromium takes 1 ms for
 * each. Streams: an app is told of each. Candidates: those of some m-lines that do not share; Chromium (156) takes a
 * second and a half for 2,000.
 */
const COUNTED = [
  ['m-lines', 'm=', 100],
  ['streams', 'a=msid:', 100],
  ['candidates', 'a=candidate:', 4 * MAX_CANDIDATES],
] as const;

/**
 * Most members of a room that are known to a page, many more than it can connect to; and how many may be new to it at once,
 * and then each second. A server of ours lets in 384 at once and then 5 a second.
 */
export const MAX_MEMBERS = 1_000;
export const newMemberAllowance = (): Allowance => new Allowance(MAX_MEMBERS, 50);

/** Longest metadata of a member that is kept, in characters of JSON: four times what a server takes, grown as 1e20 does. */
export const MAX_METADATA_LENGTH = 16_384;

/** Lists of ICE servers from the room: all connections are told of each. */
export const newIceServersAllowance = (): Allowance => new Allowance(5, 10_000);

/** Most candidates of an address family from a peer that polls, where anybody may add some in its name. */
export const MAX_POLLED_CANDIDATES = 8;

/** Most transceivers that a P2PCF peer may have asked for and not used. */
export const MAX_UNUSED_TRANSCEIVERS = 16;

/** What is wrong with a description's size, as a sentence, or undefined. */
export function sizeFault(sdp: string): string | undefined {
  if (sdp.length > MAX_SDP_LENGTH)
    return `The description has ${sdp.length} characters; ${MAX_SDP_LENGTH} is the most.`;
  for (const [what, mark, most] of COUNTED) {
    const count = sdp.split(`\n${mark}`).length - 1;
    if (count > most) return `The description has ${count} ${what}; ${most} is the most.`;
  }
  return undefined;
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

  /** Whether one more, or one that counts for several, may pass. */
  take(count = 1, now = performance.now()): boolean {
    this.#left = Math.min(this.#most, this.#left + (now - this.#at) / this.#everyMs);
    this.#at = now;
    if (this.#left < count) return false;
    this.#left -= count;
    return true;
  }
}

/** Signals of one peer: a burst is a camera's tracks with every candidate by itself, as P2PCF sends them. */
export const newSignalAllowance = (): Allowance => new Allowance(250, 50);

/**
 * For how many signals a description by way of the room counts: we answer it there, where all that a few members have us
 * send would be more than the room takes from us.
 */
export const DESCRIPTION_COUNTS_FOR = 25;

/** For how many signals one on the channel counts: it takes far longer to be read than to be sent. */
export const signalsIn = (bytes: number): number => Math.max(1, Math.ceil(bytes / 4_096));

/** New connections on the demand of one peer: more is no network that comes and goes. */
export const newConnectionAllowance = (): Allowance => new Allowance(12, 5_000);
