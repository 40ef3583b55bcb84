/**
 * What to do about a description, or a needed offer, and by which way it goes: decisions alone, without connection or
 * timers. The rules are perfect negotiation's (https://www.w3.org/TR/webrtc/#perfect-negotiation-example), and those
 * for signals that come late, twice or not at all.
 */
import type { Description } from '../protocol/signal.ts';

/** How a connection stands. */
export interface Situation {
  /** Whether the first offer is ours. */
  isInitiator: boolean;
  /** The other has P2PCF and no socket: see introduction.ts. */
  polls: boolean;
  isOursFirefox: boolean;
  isTheirsFirefox: boolean;
  /** Names our present connection. */
  attempt: string;
  signalingState: RTCSignalingState;
  /** We are making an offer; the signaling state does not show it yet. */
  isMakingOffer: boolean;
  /** An answer of ours was made before its offer was here. */
  hasAnsweredAhead: boolean;
  /** The last description of the other's that the present connection took. */
  theirSdp: string | undefined;
  /** The last offer and the last answer among those. */
  theirOffer: string | undefined;
  theirAnswer: string | undefined;
  /** When both offer at once, the polite one gives way. */
  isPolite: boolean;
  /** Our offer has not reached the other, whose own offer is then no collision. */
  isOfferLost: boolean;
  isConnected: boolean;
  /** Connected, and as far as ICE can tell (it notices within some 5 s) the other still is. */
  isAlive: boolean;
  /** The other's certificate, by the last description that we took, and whether it has been proved by connecting. */
  fingerprint: string | undefined;
  isPinned: boolean;
}

/** How a signal of ours finds the ways to the other. */
export interface Signaling {
  /** The room carries so much. */
  fitsRoom: boolean;
  isConnected: boolean;
  /** See introduction.ts. */
  polls: boolean;
  /** See IceRestarts in ice-restart.ts. */
  isRestarting: boolean;
  state: ReturnType<typeof stateOf>;
}

/**
 * `take` an answer; `answer` an offer; `pair` it with the answer that was made ahead; `renew`: answer it on a new
 * connection; `ignore` an offer, and the candidates that belong to it, for our own offer's sake, and `resend offer`:
 * the same, and send ours again; `resend answer` to an offer that we have answered; `start over` with an offer of ours
 * on a new connection; `drop` what is about none of ours; `refuse` what is not from the other, but from a stranger that
 * has come under its id.
 */
export type Step =
  | 'take'
  | 'answer'
  | 'pair'
  | 'renew'
  | 'ignore'
  | 'resend offer'
  | 'resend answer'
  | 'start over'
  | 'drop'
  | 'refuse';

/** What to do about a description; `attempt` names the connection it is about. */
export function stepFor({ type, sdp }: Description, attempt: string, ours: Situation): Step {
  const [fingerprint, another] = fingerprintsOf(sdp);
  if (another !== undefined || hasOddFingerprint(sdp)) return 'drop'; // no browser makes such a thing
  if (type === 'offer' && ours.hasAnsweredAhead) return 'pair';
  const hasRemote = ours.theirSdp !== undefined;
  const isKnown = ours.fingerprint !== undefined && (hasRemote || ours.isPinned);
  const isStranger = isKnown && fingerprint !== ours.fingerprint;
  if (isStranger && ours.isPinned) return 'refuse';
  const isNew = attempt !== ours.attempt;
  const isOffering = ours.isMakingOffer || ours.signalingState !== 'stable';
  if (type === 'answer') {
    if (sdp === ours.theirAnswer) return 'drop'; // sent again meanwhile: no answer to the offer that is out now
    if (!isNew && !isStranger && ours.signalingState === 'have-local-offer') return 'take';
    // The answer does not fit: one of us has started over, and the other does not know it yet. So our connection is of
    // no use either, unless it lives. Or it is a second answer: our offer was sent twice, and a client without the
    // library has answered it twice, with another SDP.
    const isRepeated = !isNew && ours.theirSdp !== undefined && !restartsIce({ sdp: ours.theirSdp }, { sdp });
    return isOffering || ours.isAlive || isRepeated ? 'drop' : 'start over';
  }
  if (!isNew && sdp === ours.theirSdp) return 'resend answer'; // the other has not got it
  // Sent again, or late, by the room, and overtaken by the channel: it has been answered, or given up for an offer of
  // ours. Answered all the same, an offer that was given up would have the other start over.
  if (!isNew && (sdp === ours.theirOffer || isOlder(sdp, ours.theirSdp))) return 'drop';
  // Signals by the room never end a connection that lives. The other, if it is the other, closes it or lets it fall
  // silent.
  if (isNew && ours.isAlive) return 'drop';
  // An offer for a new connection, where the present one was answered: the other has given that up, and our offer with
  // it.
  const isCollision = isOffering && !ours.isOfferLost && !(isNew && hasRemote);
  // The other would not offer if it had our offer, unless the two have crossed.
  if (isCollision && !givesWay(ours)) return ours.isMakingOffer ? 'ignore' : 'resend offer';
  // Rolling back a first offer does not do: Chromium (156) then refuses the other's data channel, and never offers
  // ours.
  const needsNewConnection = isStranger || (isNew ? isOffering || hasRemote : isOffering && !hasRemote);
  return needsNewConnection ? 'renew' : 'answer';
}

/** What to do when the browser wants to negotiate: offer now, or once the data channel is open, or nothing. */
export function stepForNeededOffer(ours: Situation): 'offer' | 'offer later' | 'drop' {
  // The first offer is the initiator's alone: it has the data channel. A peer that polls gets nothing else in it.
  // And an answer that gets lost can be sent again only as long as no offer of ours has followed it.
  const mayOffer = ours.isConnected || (ours.isInitiator && !ours.polls);
  if (!mayOffer) return 'offer later';
  return ours.isMakingOffer ? 'drop' : 'offer';
}

/**
 * Whether our offer gives way to the other's. Once each knows the other's browser, Firefox gives way to any other: a
 * media offer that Chromium (156) has made binds the ids of its header extensions, even where it is rolled back, and
 * Firefox (153) names others.
 */
function givesWay(ours: Situation): boolean {
  return ours.isConnected && ours.isOursFirefox !== ours.isTheirsFirefox ? ours.isOursFirefox : ours.isPolite;
}

/**
 * By which way a signal of ours goes: by the channel if that is up, which costs the server nothing; else by the room,
 * or by `none` if it does not fit there.
 */
export function wayFor({ fitsRoom, isConnected, polls, isRestarting, state }: Signaling): 'channel' | 'room' | 'none' {
  // Firefox (153) is `connecting` while an offer of its own is out. And what is too large for the room has no other
  // way.
  const isChannelGood = state !== 'failed' && !(fitsRoom && (isRestarting || state === 'disconnected'));
  if (isConnected && (isChannelGood || polls)) return 'channel';
  return fitsRoom ? 'room' : 'none';
}

/** The session of a description, and its version: RFC 8866 section 5.2. */
const ORIGIN = /^o=\S+ (\d+) (\d+) /m;

/** RFC 8122 section 5, with white space as browsers take it. */
const FINGERPRINT_LINE = /^a=fingerprint: *([\w-]+) +((?:[\da-f]{2}:)+[\da-f]{2})[ \t]*\r?$/gim;

/**
 * The certificates a description names, each once, e.g. `sha-256 AB:CD:…`: the hash in small letters, the digits in
 * large ones. A connection comes about only with a holder of one of them.
 */
export function fingerprintsOf(sdp: string): string[] {
  const lines = sdp.matchAll(FINGERPRINT_LINE);
  return [
    ...new Set(Array.from(lines, ([, hash = '', digits = '']) => `${hash.toLowerCase()} ${digits.toUpperCase()}`)),
  ];
}

/**
 * Whether a description has something like a fingerprint that is none: Chromium (156) passes over `A=FINGERPRINT`, and
 * a name of anybody's choice there would be taken for the certificate. Firefox (153) takes `a= fingerprint` for another
 * one, as it does `a=:fingerprint`, and connects to whoever holds either.
 */
function hasOddFingerprint(sdp: string): boolean {
  const count = (line: RegExp): number => sdp.match(line)?.length ?? 0;
  return count(/fingerprint/gi) > count(FINGERPRINT_LINE);
}

/**
 * Whether a description was made before another of the same connection: browsers count theirs in `o=` (RFC 8829 section
 * 5.2.1). node-datachannel (0.33.4) does not, and names another session in each.
 */
function isOlder(sdp: string, than = ''): boolean {
  const [, session, version] = ORIGIN.exec(sdp) ?? [];
  const [, otherSession, otherVersion] = ORIGIN.exec(than) ?? [];
  return session !== undefined && session === otherSession && Number(version) < Number(otherVersion);
}

/** Whether a description is Firefox's. */
export function isFirefox(description: { sdp: string } | null): boolean {
  return description?.sdp.includes('o=mozilla') ?? false;
}

/** Whether a description has other ICE credentials than the one before it. */
export function restartsIce(before: { sdp: string } | null, after: { sdp: string }): boolean {
  return before !== null && iceUfrag(before) !== iceUfrag(after);
}

function iceUfrag({ sdp }: { sdp: string }): string | undefined {
  return /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1];
}

/**
 * A connection's state: that of ICE where the browser knows no other (Firefox before 113). A connection that closes by
 * itself has failed: node-datachannel (0.33.4) closes it where the other's certificate comes before its description.
 */
export function stateOf(pc: {
  connectionState?: RTCPeerConnectionState;
  iceConnectionState: RTCIceConnectionState;
}): RTCPeerConnectionState | RTCIceConnectionState {
  const { connectionState = pc.iceConnectionState } = pc;
  if (connectionState === 'closed') return 'failed';
  return connectionState === 'completed' ? 'connected' : connectionState;
}
