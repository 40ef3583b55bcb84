/**
 * How a peer on a socket and one that polls meet. The first makes an ordinary offer, which the second is shown as a
 * package of P2PCF's; once it has been, the first gets an ordinary answer, made of what the second posts of itself.
 * So neither learns anything new. Pure: the caller brings what is kept of it, random keys and the clock.
 */
import { ProtocolError } from '../protocol/error.ts';
import { type Entry, isReactNative, type Package } from '../protocol/poll.ts';
import { type Description, type IceCandidate, parseSignal, type Signal } from '../protocol/signal.ts';
import type { Posting } from './board.ts';

/** How long an offer that does not say where its candidates end is kept back, in ms: P2PCF reads a package once. */
const GATHER_WITHIN_MS = 1_000;

/** Most candidates of one offer that are passed on; a browser with many networks has some thirty. */
const MAX_CANDIDATES = 64;

/** Longest candidate, and longest anything else that is kept of an offer, in UTF-16 units; ICE has nothing longer. */
const MAX_UNITS = 512;

/** Begins the name of a socket for pollers where it cannot be its id. */
const ALIAS_MARK = '~';

/** What is between two peers of different kinds: the last offer of the one on the socket. */
export interface Crossing {
  readonly socketId: string;
  readonly pollerId: string;
  readonly offer: Offer;
  /** Candidates that came with the offer or after it, as SDP has them: `candidate:…`. */
  readonly candidates: readonly string[];
  /** Whether there are no more to come. */
  readonly isComplete: boolean;
  /** What the poller is to use as its ICE credentials: P2PCF has the offerer make them up. */
  readonly theirs: IceCredentials;
  /** When the offer came, in ms since the epoch; new for each, as by this the poller tells them apart. */
  readonly offeredAt: number;
  /** The poller has been shown it, and the socket has its answer. */
  readonly isTaken: boolean;
}

interface IceCredentials {
  readonly ufrag: string;
  readonly pwd: string;
}

/** What the bridge takes from an offer. */
interface Offer extends IceCredentials {
  /** SHA-256 of the certificate, as P2PCF writes it: base64. */
  readonly fingerprint: string;
  readonly mid: string;
  readonly attempt?: string;
}

/** What a signal comes to: something to `keep`, or a taken offer that was sent again and needs its `answer` again. */
export type Carried = { keep: Crossing } | { answer: Crossing };

/**
 * Takes a signal of a socket for a poller; `known` is what is between them so far. Undefined if it changes nothing.
 * Throws ProtocolError for an offer that no poller could answer.
 */
export function carry(
  signal: unknown,
  { socketId, pollerId }: Pick<Crossing, 'socketId' | 'pollerId'>,
  known: Crossing | undefined,
  makeKey: () => string,
  now: number,
): Carried | undefined {
  const { description, candidates = [], attempt } = parseSignal(signal) ?? {};
  if (description?.type === 'offer') {
    const offer = readOffer(description, attempt);
    if (known && isSame(offer, known.offer)) return known.isTaken ? { answer: known } : extended(known, candidates);
    const crossing: Crossing = {
      socketId,
      pollerId,
      offer,
      candidates: [],
      isComplete: /^a=end-of-candidates/m.test(description.sdp),
      theirs: { ufrag: makeKey().slice(0, 8), pwd: makeKey() },
      offeredAt: Math.max(now, (known?.offeredAt ?? 0) + 1),
      isTaken: false,
    };
    return extended(crossing, [...candidatesIn(description), ...candidates]) ?? { keep: crossing };
  }
  const isCurrent = attempt === undefined || attempt === known?.offer.attempt;
  // A poller reads an offer once: what comes after that is lost on it, and its own candidates have to do.
  return known && isCurrent && !known.isTaken ? extended(known, candidates) : undefined;
}

/**
 * The socket of `crossing` as its poller is shown it, with the offer; undefined when it had better not be, because that
 * is not ready, or because the socket `isAway` and could not be told that it has been seen. A p2pcf that is shown
 * someone with no offer polls every 1.5 s until there is one, and for ever once it misses one it is connected to.
 */
export function posting(crossing: Crossing, clientId: string, isAway: boolean, now: number): Posting | undefined {
  const { socketId, pollerId, offer, theirs, candidates, offeredAt, isComplete, isTaken } = crossing;
  const isReady = isComplete || now - offeredAt >= GATHER_WITHIN_MS;
  if (!isTaken && (isAway || !isReady)) return undefined;
  const sessionId = toSessionId(socketId);
  const { ufrag, pwd, fingerprint } = offer;
  return {
    contextId: '',
    // Of two the one that started later takes the package, so a socket has been there since the first of all times.
    entry: { sessionId, clientId, isSymmetric: false, fingerprint, startedAt: 1, reflexiveIps: [] },
    postedAt: offeredAt,
    packages: [[pollerId, sessionId, ufrag, pwd, fingerprint, theirs.ufrag, theirs.pwd, offeredAt, candidates]],
  };
}

/** The poller's answer, with the candidates it has posted by now. */
export function answer({ offer, theirs, socketId }: Crossing, poller: Entry, packages: readonly Package[]): Signal {
  const lines = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    // Without it an offerer whose policy is max-bundle refuses the answer.
    `a=group:BUNDLE ${offer.mid}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    `a=mid:${offer.mid}`,
    'a=sctp-port:5000',
    'a=setup:active',
    'a=ice-options:trickle',
    `a=ice-ufrag:${theirs.ufrag}`,
    `a=ice-pwd:${theirs.pwd}`,
    `a=fingerprint:sha-256 ${fromBase64(poller.fingerprint)}`,
    // Nobody listens there, but a NAT that has seen a packet to an address lets that address in.
    ...poller.reflexiveIps.map((ip, n) => `a=candidate:0 1 udp ${n + 1} ${ip} 30000 typ srflx raddr 0.0.0.0 rport 0`),
  ];
  const sdp = `${lines.join('\r\n')}\r\n`;
  return { type: 'answer', sdp, candidates: candidatesOf(packages, socketId, offer.mid), ...attemptOf(offer) };
}

/** The candidates in packages that a poller posts for the socket of `crossing`, if there are any. */
export function trickle({ offer, socketId }: Crossing, packages: readonly Package[]): Signal | undefined {
  const candidates = candidatesOf(packages, socketId, offer.mid);
  return candidates.length === 0 ? undefined : { candidates, ...attemptOf(offer) };
}

/**
 * The name under which pollers know a socket: its id, or where p2pcf would take that for p2pcf.rn's, an alias from which
 * the id can be told.
 */
export function toSessionId(socketId: string): string {
  const isPlain = !isReactNative(socketId) && !socketId.startsWith(ALIAS_MARK);
  return isPlain ? socketId : ALIAS_MARK + socketId;
}

/** The id of the socket that pollers know under this name. */
export function toSocketId(sessionId: string): string {
  return sessionId.startsWith(ALIAS_MARK) ? sessionId.slice(ALIAS_MARK.length) : sessionId;
}

/** Undefined if that adds nothing. */
function extended(crossing: Crossing, added: readonly IceCandidate[]): Carried | undefined {
  const lines = new Set(crossing.candidates);
  for (const { candidate } of added) {
    // parseSignal lets null pass, as addIceCandidate does.
    if (candidate?.startsWith('candidate:') && candidate.length <= MAX_UNITS) lines.add(candidate);
  }
  const candidates = [...lines].slice(0, MAX_CANDIDATES);
  // An empty candidate is the end of them; some send it as null, which parseSignal does not take for one.
  const isComplete = crossing.isComplete || added.some(({ candidate }) => candidate === '');
  const isUnchanged = candidates.length === crossing.candidates.length && isComplete === crossing.isComplete;
  return isUnchanged ? undefined : { keep: { ...crossing, candidates, isComplete } };
}

function readOffer({ sdp }: Description, attempt: string | undefined): Offer {
  const sections = sdp.match(/^m=\w+/gm);
  const [ufrag, pwd, mid, hash] = ['ice-ufrag', 'ice-pwd', 'mid', 'fingerprint:sha-256'].map(
    (name) => new RegExp(`^a=${name}[: ](\\S+)`, 'im').exec(sdp)?.[1],
  );
  const isLong = [ufrag, pwd, mid, attempt].some((each = '') => each.length > MAX_UNITS);
  const isHash = hash && /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/i.test(hash);
  if (sections?.join() !== 'm=application' || !ufrag || !pwd || !mid || !isHash || isLong) {
    throw new ProtocolError(
      'bad_message',
      'A peer that polls can be offered a data channel and nothing else. Add media when that is open, over it.',
    );
  }
  return { ufrag, pwd, mid, fingerprint: toBase64(hash), ...(attempt !== undefined && { attempt }) };
}

/** The candidates that stand in an offer. */
function candidatesIn({ sdp }: Description): IceCandidate[] {
  return Array.from(sdp.matchAll(/^a=(candidate:.*?)\r?$/gm), ([, candidate = '']) => ({ candidate }));
}

function isSame(a: Offer, b: Offer): boolean {
  return a.ufrag === b.ufrag && a.pwd === b.pwd && a.fingerprint === b.fingerprint && a.attempt === b.attempt;
}

function attemptOf({ attempt }: Offer): { attempt?: string } {
  return attempt === undefined ? {} : { attempt };
}

function candidatesOf(packages: readonly Package[], socketId: string, sdpMid: string): IceCandidate[] {
  return packages
    .filter(([to]) => to === toSessionId(socketId))
    .flatMap((each): unknown => each[8])
    .filter((line) => typeof line === 'string')
    .map((candidate) => ({ candidate, sdpMid, sdpMLineIndex: 0 }));
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** `AB:CD:…`, as SDP has a fingerprint, in base64. */
function toBase64(hash: string): string {
  const bits = hash.replace(/\w\w:?/g, (byte) => Number.parseInt(byte, 16).toString(2).padStart(8, '0'));
  const digits = bits.match(/.{1,6}/g) ?? [];
  const text = digits.map((digit) => BASE64[Number.parseInt(digit.padEnd(6, '0'), 2)]).join('');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** And back. */
function fromBase64(text: string): string {
  const digits = Array.from(text.replace(/=/g, ''), (each) => BASE64.indexOf(each).toString(2).padStart(6, '0'));
  const bytes = digits.join('').match(/.{8}/g) ?? [];
  return bytes.map((byte) => Number.parseInt(byte, 2).toString(16).padStart(2, '0').toUpperCase()).join(':');
}
