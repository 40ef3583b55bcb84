/**
 * How a poller sees a peer on a socket: its name, its label and its offer, as a package of P2PCF's; and a package back
 * as an answer. SDP, candidates and base64, pure text. Neither peer learns anything new by it.
 */
import { ProtocolError } from '../protocol/error.ts';
import { parseJson } from '../protocol/json.ts';
import { ALIAS_MARK, type Entry, isReactNative, type Package } from '../protocol/poll.ts';
import type { Description, IceCandidate, Signal } from '../protocol/signal.ts';
import type { Listing, Member, Offer, PendingOffer } from './room.ts';

/** Longest candidate, and longest anything else that is kept of an offer, in UTF-16 units; ICE has nothing longer. */
const MAX_UNITS = 512;

/** Longest label that pollers are shown, in UTF-16 units, as P2PCF has it. */
const MAX_LABEL_UNITS = 64;

/**
 * Most candidates of one address family that a poller has for one socket. A browser with three networks and a TURN
 * server has more, its relays last: so the addresses of its hosts, which reach the socket without that, come last here.
 */
const MAX_CANDIDATES_PER_FAMILY = 8;

/**
 * The name under which pollers know a socket: its id, or where p2pcf would take that for p2pcf.rn's, an alias from
 * which the id can be told.
 */
export function toSessionId(socketId: string): string {
  const isPlain = !isReactNative(socketId) && !socketId.startsWith(ALIAS_MARK);
  return isPlain ? socketId : ALIAS_MARK + socketId;
}

/** The id of the socket that pollers know under this name. */
export function toSocketId(sessionId: string): string {
  return sessionId.startsWith(ALIAS_MARK) ? sessionId.slice(ALIAS_MARK.length) : sessionId;
}

/** Reads what a package needs of an offer. Throws ProtocolError for an offer that no poller could answer. */
export function readOffer({ sdp }: Description, attempt: string | undefined): Offer {
  const sections = sdp.match(/^m=\w+/gm);
  const [ufrag, pwd, mid, hash] = ['ice-ufrag', 'ice-pwd', 'mid', 'fingerprint:sha-256'].map(
    (name) => new RegExp(`^a=${name}[: ](\\S+)`, 'im').exec(sdp)?.[1],
  );
  // P2PCF puts them into an SDP of its own, so nothing may stand in them that could end a line.
  const isOdd = ![ufrag, pwd, mid].every((each = '') => /^[!-~]{1,256}$/.test(each)) || (attempt?.length ?? 0) > 128;
  const isHash = hash && /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/i.test(hash);
  if (sections?.join() !== 'm=application' || !ufrag || !pwd || !mid || !isHash || isOdd) {
    throw new ProtocolError(
      'bad_message',
      'A peer that polls can be offered a data channel and nothing else. Add media when that is open, over it.',
    );
  }
  return { ufrag, pwd, mid, fingerprint: toBase64(hash), ...(attempt !== undefined && { attempt }) };
}

/** The candidates that stand in an offer. */
export function candidatesIn({ sdp }: Description): IceCandidate[] {
  return Array.from(sdp.matchAll(/^a=(candidate:.*?)\r?$/gm), ([, candidate = '']) => ({ candidate }));
}

/** The label of a peer, if it brought one where the library has it; else its id. */
function labelOf({ id, metadata }: Pick<Member, 'id' | 'metadata'>): string {
  const { client_id } = Object(metadata);
  return typeof client_id === 'string' && client_id ? client_id.slice(0, MAX_LABEL_UNITS) : id;
}

/** A peer on a socket as its poller is shown it, with its offer. */
export function listingOf(peer: Pick<Member, 'id' | 'metadata'>, pending: PendingOffer): Listing {
  const { fingerprint } = pending.offer;
  const [sessionId, clientId] = [toSessionId(peer.id), labelOf(peer)];
  return {
    // Of two the later takes the package, so a socket has been there since the first of all times.
    entry: { sessionId, clientId, isSymmetric: false, fingerprint, startedAt: 1, reflexiveIps: [] },
    postedAt: pending.offeredAt,
    packages: [packageOf(peer.id, pending)],
  };
}

/** The offer as its poller is handed it. */
export function packageOf(socketId: string, pending: PendingOffer): Package {
  const { pollerId, offer, pollerCredentials, offeredAt, candidates } = pending;
  const { ufrag, pwd, fingerprint } = offer;
  const theirs = pollerCredentials;
  const from = toSessionId(socketId);
  const content = [pollerId, from, ufrag, pwd, fingerprint, theirs.ufrag, theirs.pwd, offeredAt, candidates];
  return { to: pollerId, json: JSON.stringify(content) };
}

/** The poller's answer, with the candidates it has posted by now. */
export function answerOf(
  socketId: string,
  { offer, pollerCredentials }: PendingOffer,
  poller: Entry,
  packages: readonly Package[],
): Signal {
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
    `a=ice-ufrag:${pollerCredentials.ufrag}`,
    `a=ice-pwd:${pollerCredentials.pwd}`,
    `a=fingerprint:sha-256 ${fromBase64(poller.fingerprint)}`,
    // Nobody listens there, but a NAT that has seen a packet to an address lets that address in.
    ...poller.reflexiveIps.map((ip, n) => `a=candidate:0 1 udp ${n + 1} ${ip} 30000 typ srflx raddr 0.0.0.0 rport 0`),
  ];
  const sdp = `${lines.join('\r\n')}\r\n`;
  return { type: 'answer', sdp, candidates: candidatesFor(packages, socketId, offer.mid), ...attemptOf(offer) };
}

/** The candidates that a poller posts for a socket, as a signal; undefined if there are none. */
export function candidatesSignal(
  socketId: string,
  { offer }: PendingOffer,
  packages: readonly Package[],
): Signal | undefined {
  const candidates = candidatesFor(packages, socketId, offer.mid);
  return candidates.length === 0 ? undefined : { candidates, ...attemptOf(offer) };
}

function attemptOf({ attempt }: Offer): { attempt?: string } {
  return attempt === undefined ? {} : { attempt };
}

function candidatesFor(packages: readonly Package[], socketId: string, sdpMid: string): IceCandidate[] {
  const lines = packages
    .filter(({ to }) => to === toSessionId(socketId))
    .flatMap(({ json }): unknown[] => Object(parseJson(json, ''))[8] ?? [])
    .filter(isCandidate)
    .sort((a, b) => Number(isHost(a)) - Number(isHost(b)));
  const isV6 = (line: string): boolean => line.split(' ')[4]?.includes(':') ?? false;
  const families = [lines.filter((line) => !isV6(line)), lines.filter(isV6)];
  return families
    .flatMap((family) => family.slice(0, MAX_CANDIDATES_PER_FAMILY))
    .map((candidate) => ({ candidate, sdpMid, sdpMLineIndex: 0 }));
}

function isHost(line: string): boolean {
  return line.includes(' typ host');
}

/** Whether it is one line that may be a candidate, `candidate:…`: P2PCF puts it into its SDP as it is. */
export function isCandidate(line: unknown): line is string {
  return typeof line === 'string' && line.length <= MAX_UNITS && /^candidate:[ !#-[\]-~]*$/.test(line);
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
