/**
 * What a peer, or the server, may make of a page. A peer that goes beyond these limits on its own channel is closed
 * with an error that says so; what comes by the room, where anybody may have sent it, is dropped.
 */

/** Longest message, either way, in bytes: the page holds it whole. */
export const MAX_DATA_BYTES = 256 * 1024 * 1024;

/** What may wait to be sent to a peer, in bytes: the page holds all of it. */
export const MAX_WAITING_BYTES = 2 * MAX_DATA_BYTES;

/**
 * A peer that takes nothing for this long, in ms, while ICE is connected, or while it is not and the room can be heard,
 * does not read what it is sent.
 */
export const STALLED_AFTER_MS = 90_000;

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
 * What a description may have most of. m-lines: the channel, and more tracks than a page can show; Chromium takes 1 ms
 * for each. Streams: an app is told of each. Candidates: those of some m-lines that do not share; Chromium (156) takes
 * a second and a half for 2,000.
 */
const COUNTED = [
  ['m-lines', 'm=', 100],
  ['streams', 'a=msid:', 100],
  ['candidates', 'a=candidate:', 4 * MAX_CANDIDATES],
  ['ssrc lines', 'a=ssrc:', 1_000],
] as const;

/**
 * Most work with the lines of its m-lines that a description may make, as `workWith` has it. Chromium (156) compares
 * those about formats with each other, which takes it a quarter of a second for this much; an m-line of a camera has
 * some 5,000. Firefox (153) compares all lines: 7,000 of an m-line take it half a minute, 700 some milliseconds.
 */
const MAX_WORK = 160_000;

/** As much of that work as one m-line more: about a millisecond. */
const WORK_OF_M_LINE = 1_000;

/** So many lines of an m-line are no work; a camera's with every format and many candidates has 250. */
const FREE_LINES = 300;

/**
 * Work of a header extension that the browser does not know, for each m-line: Chromium (156) logs each of all m-lines
 * anew for each of them. An offer of ninety m-lines with fourteen each takes it eleven seconds when it comes again.
 */
const WORK_OF_EXTENSION = 16;

/**
 * Work of an m-line that does not share the others' connection: for each set of ICE credentials browsers open sockets
 * for it, and ask STUN and TURN servers. In Chromium (156) those stay for as long as the connection: twenty offers of
 * 95 such m-lines opened 2,000 at once. All that browsers offer shares one; without that, data, sound and pictures of
 * a camera and of a screen are five.
 */
const WORK_OF_CONNECTION = 40_000;

/**
 * A line that no browser writes. An odd attribute: Firefox (153) takes `a= MSID` for `a=msid`, which is counted above.
 * More than some hundreds of characters: with 20,000 names in a group Chromium (156) takes a second. A name of an
 * m-line, which is repeated in each answer, of more than three digits or so.
 */
const ODD_LINE = /^(?:(?!a=[a-z\d-]+(?::|\r?$))[aA]|.{4097}|a=mid:.{65})/m;

/** Longest name of an attempt, for the same reason; the library's has 22 characters. */
const MAX_ATTEMPT_LENGTH = 128;

/**
 * Most members of a room that are known to a page, many more than it can connect to; and how many may be new to it at
 * once, and then each second. A server of ours lets in 384 at once and then 5 a second.
 */
export const MAX_MEMBERS = 1_000;
export const newMemberAllowance = (): Allowance => new Allowance(MAX_MEMBERS, 50);

/**
 * Longest metadata of a member that is kept, in characters of JSON: four times what a server takes, grown as 1e20 does.
 */
export const MAX_MEMBER_METADATA_LENGTH = 16_384;

/** Lists of ICE servers from the room: all connections are told of each. */
export const newIceServersAllowance = (): Allowance => new Allowance(5, 10_000);

/** Most candidates of an address family from a peer that polls, where anybody may add some in its name. */
export const MAX_POLLED_CANDIDATES = 8;

/** Longest that a server of ours holds a place, in seconds: a timer of more than 24 days fires at once. */
export const MAX_GRACE_SECONDS = 3_600;

/** Most channels that a peer opens beside its own: node-datachannel (0.33.4) keeps each, also when it is closed. */
export const MAX_SURPLUS_CHANNELS = 100;

/** Most transceivers that a P2PCF peer may have asked for and not used. */
export const MAX_UNUSED_TRANSCEIVERS = 16;

/** What is wrong with a description's size, as a sentence, or undefined. */
export function sizeFault(sdp: string): string | undefined {
  if (sdp.length > MAX_SDP_LENGTH)
    return `The description has ${sdp.length} characters; ${MAX_SDP_LENGTH} is the most.`;
  for (const [what, mark, most] of COUNTED) {
    const count = countOf(mark, sdp);
    if (count > most) return `The description has ${count} ${what}; ${most} is the most.`;
  }
  if (workWith(sdp) > MAX_WORK) return 'The description has too many lines for one m-line.';
  return ODD_LINE.test(sdp) ? 'The description has a line that no browser writes.' : undefined;
}

/** What is wrong with the name of an attempt, as a sentence, or undefined. */
export function attemptFault(attempt = ''): string | undefined {
  return attempt.length > MAX_ATTEMPT_LENGTH ? 'The name of its attempt is too long.' : undefined;
}

/**
 * Work with header extensions that this browser does not know. Those before the first m-line are every m-line's.
 * Firefox passes over what it does not know, four in each m-line of Chromium's. So it is left out: it does not know
 * video-timing.
 */
function workWithExtensions(sdp: string, [session = '', ...mLines]: string[]): number {
  const [, ...named] = sdp.split('\na=extmap:');
  const each = countOf('a=extmap:', session);
  const workWith = (count: number): number => WORK_OF_EXTENSION * mLines.length * (count + mLines.length * each);
  // No more than its m-lines count for, as in nearly all. Chromium takes some ms when it is first asked what it knows.
  if (workWith(named.length) <= WORK_OF_M_LINE * mLines.length) return 0;
  const known = JSON.stringify(['audio', 'video'].map((kind) => globalThis.RTCRtpReceiver?.getCapabilities?.(kind)));
  if (!known.includes('/video-timing"')) return 0;
  // What is between two blanks, as Chromium has it: to that any other space, as of \s, is part of a word.
  const uriIn = (line: string): string | undefined => line.split(/ |\r?(?:\n|$)/, 2)[1];
  const unknown = named.filter((line) => !known.includes(`"uri":${JSON.stringify(uriIn(line))}`));
  return workWith(unknown.length);
}

/** How many m-lines have a connection of their own: all that are used, and not named in the first group that shares. */
function unshared([session = '', ...mLines]: string[]): number {
  const [, group] = /\na=group:BUNDLE( [^\n]*?)\r?(\n|$)/.exec(session) ?? [];
  return mLines.filter((section) => {
    const [, mid = '\n'] = /\na=mid:(\S+)\r?(\n|$)/.exec(section) ?? [];
    const isShared = `${group} `.includes(` ${mid} `) && countOf('a=mid:', section) === 1;
    return !isShared && (!/^\S+ 0 /.test(section) || section.includes('\na=bundle-only'));
  }).length;
}

/**
 * The squares of how many feedback lines each m-line has, one for all formats counting for each, how many format lines,
 * and how many lines that are not free; and what header extensions and connections add.
 */
function workWith(sdp: string): number {
  const sections = sdp.split('\nm=');
  return sections.reduce(
    (sum, section) => {
      const formats = section.slice(0, section.indexOf('\n')).split(' ').length;
      const feedback = countOf('a=rtcp-fb:', section) + countOf('a=rtcp-fb:*', section) * formats;
      const lines = Math.max(0, countOf('', section) - FREE_LINES);
      return sum + feedback ** 2 + countOf('a=fmtp:', section) ** 2 + lines ** 2;
    },
    workWithExtensions(sdp, sections) + WORK_OF_CONNECTION * Math.max(0, unshared(sections) - 1),
  );
}

const countOf = (mark: string, sdp: string): number => sdp.split(`\n${mark}`).length - 1;

/** For how many m-lines a description counts. */
export const mLinesIn = (sdp: string): number => countOf('m=', sdp) + Math.floor(workWith(sdp) / WORK_OF_M_LINE);

/** Lets so many pass at once, and one more every so many ms. */
export class Allowance {
  readonly #most: number;
  readonly #everyMs: number;
  /** When it is full again, in whole ms: with fractions, what is added one by one may not be what it was to be. */
  #fullAt = 0;

  constructor(most: number, everyMs: number) {
    this.#most = most;
    this.#everyMs = everyMs;
  }

  /** Whether one more may pass, or one that counts for `count`. */
  take(count = 1, now = performance.now()): boolean {
    const ms = Math.floor(now);
    const fullAt = Math.max(ms, this.#fullAt) + count * this.#everyMs;
    if (fullAt > ms + this.#most * this.#everyMs) return false;
    this.#fullAt = fullAt;
    return true;
  }

  /** How long until it lets pass half as many as a new one, in ms. */
  halfFullInMs(now = performance.now()): number {
    return Math.max(0, this.#fullAt - now - (this.#most * this.#everyMs) / 2);
  }

  /** Whether it lets pass as many as a new one. */
  isFull(now = performance.now()): boolean {
    return now >= this.#fullAt;
  }
}

/** Signals of one peer by the room: a burst is a camera's tracks with every candidate by itself, as P2PCF sends them. */
export const newSignalAllowance = (): Allowance => new Allowance(250, 50);

/** Signals of one peer on its channel: more, as descriptions are long, and `newMLineAllowance` lets many of them wait. */
export const newChannelSignalAllowance = (): Allowance => new Allowance(500, 50);

/**
 * For how many signals a description that comes by the room counts. We answer it by the room, too, and a few members
 * could have us send more than the room takes from us. Each m-line counts as well: strangers may come and go, with more
 * of them each time.
 */
export const signalsOfDescription = (mLines: number): number => 25 + 2 * mLines;

/**
 * m-lines in one peer's descriptions, whichever way. A camera's counts for four, and for seven once it has been off and
 * on: twenty offers of eight cameras, one of which is turned off or on each time, are half of these. What comes on the
 * channel beyond that half waits. An honest peer makes no other offer before its last has its answer.
 */
export const newMLineAllowance = (): Allowance => new Allowance(2_000, 50);

/**
 * m-lines that all peers describe together who are not connected, beside a channel, a camera and a microphone in each
 * description: strangers may be many. Sixty offers of a hundred m-lines are six seconds of work for Chromium (156), at
 * once.
 */
export const newStrangersAllowance = (): Allowance => new Allowance(400, 20);
export const FREE_M_LINES = 3;

/**
 * Candidates of one peer that are new since its last description. Chromium (156) keeps each for a minute and compares
 * it with the rest: 2,000, in several descriptions, stop a page for twenty seconds. New credentials count, too: we
 * gather anew for them, which opens sockets that stay for as long as the connection. An honest peer whose network comes
 * and goes every few seconds has more than half of these, with thirty at each restart: on the channel what is more
 * waits.
 */
export const newCandidateAllowance = (): Allowance => new Allowance(10 * MAX_CANDIDATES, 200);
const CANDIDATES_OF_CREDENTIAL = 5;

/** The lines of a text that are for ICE, whole: Chromium (156) takes U+2028 and "\r", where `.` ends, within a word. */
export const iceLinesIn = (text = ''): string[] =>
  text.match(/(candidate|ice-(ufrag|pwd)):[^\n]*?(?=\r?(\n|$))/g) ?? [];

/** For how many candidates a line for ICE counts. */
export const candidatesOf = (line: string): number => (line[0] === 'c' ? 1 : CANDIDATES_OF_CREDENTIAL);

/** For how many signals a signal on the channel counts: it takes far longer to be read than to be sent. */
export const signalsIn = (bytes: number): number => Math.max(1, Math.ceil(bytes / 4_096));

/** New connections on the demand of one peer: a network that comes and goes needs no more. */
export const newConnectionAllowance = (): Allowance => new Allowance(12, 5_000);

/**
 * Connections of a room, whoever demands them: strangers may come and go, each time under a new id. Chromium (156) has
 * 500 for a page, and counts those that are closed until it has collected them; an app that allows more has its
 * reasons.
 */
export const newRoomAllowance = (maxConnections: number): Allowance =>
  new Allowance(Math.max(250, 2 * maxConnections), 250);
