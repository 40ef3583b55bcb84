/** Why there is no connection, in a sentence for people: "it hangs and says nothing" helps nobody. */

/** What is known of an attempt that has failed: an RTCPeerConnection has it all but the errors. */
export interface Attempt {
  localDescription: { sdp: string } | null;
  remoteDescription: { sdp: string } | null;
  iceConnectionState: RTCIceConnectionState;
  /** Addresses of the STUN and TURN servers that were to be asked. */
  servers: readonly string[];
  /** What they answered, by `icecandidateerror`, e.g. 401 for a wrong credential. 701: they did not answer. */
  errors: readonly ServerError[];
}

/**
 * A public address of this machine: STUN has nothing to add to it, so browsers leave its answer out (RFC 8445, 5.1.3).
 */
const PUBLIC_HOST =
  String.raw`\S+ \d udp \d+ ` +
  String.raw`(?!(0|10|127|169\.254|172\.(1[6-9]|2\d|3[01])|192\.168|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.)` +
  String.raw`(\d+\.){3}\d+ \d+ typ host`;

export type ServerError = Pick<RTCPeerConnectionIceErrorEvent, 'url' | 'errorCode' | 'errorText'>;

/** Why there is no connection; `polls`: to a peer with P2PCF. */
export function failureReason(attempt: Attempt, polls: boolean): string {
  const { remoteDescription, iceConnectionState } = attempt;
  if (!remoteDescription) return `${['The other has not answered', ...refusals(attempt)].join(', ')}.`;
  if (iceConnectionState === 'connected' || iceConnectionState === 'completed')
    return 'ICE connected, but the data channel did not open.';
  if (polls) return 'No way to the other was found. It polls, as P2PCF does, which not every browser lets connect.';
  return `ICE found no way to the other: ${missing(attempt).join(', ') || 'a firewall may be between'}.`;
}

/** What was missing, each as a part of a sentence. */
function missing(attempt: Attempt): string[] {
  const { localDescription: ours, remoteDescription: theirs, servers } = attempt;
  const isStunAsked = servers.some((url) => /^stun/i.test(url));
  const relays = servers.filter((url) => /^turn/i.test(url));
  const refused = refusals(attempt);
  return [
    ...refused,
    // Firefox (153) has not told why, of credentials that have ended.
    relays.length > 0 && refused.length === 0 && !has(ours, '.* typ relay') && `no relay of ${relays.join(' or ')}`,
    isStunAsked && !has(ours, '.* typ (srflx|relay)') && !has(ours, PUBLIC_HOST) && 'no STUN answer',
    has(ours) && !has(ours, '.* udp ') && 'no UDP',
    fewCandidates(ours, 'ours'),
    fewCandidates(theirs, 'the other'),
    relays.length === 0 && 'no TURN server',
  ].filter((part) => part !== false);
}

/** What TURN servers said that gave us no relay, each once. */
function refusals({ localDescription, errors }: Attempt): string[] {
  if (has(localDescription, '.* typ relay')) return [];
  const parts = errors
    .filter(({ url }) => /^turn/i.test(url))
    .map(({ url, errorCode, errorText }) => `${url} answered ${errorCode} ${errorText}`.trim());
  return [...new Set(parts)];
}

/** A name in place of an address is for mDNS, which does not leave the network of its owner. */
function fewCandidates(description: Attempt['localDescription'], whose: string): string | false {
  if (!has(description)) return `no candidates of ${whose}`;
  return !has(description, String.raw`(\S+ ){4}(?!\S+\.local )`) && `only mDNS candidates of ${whose}`;
}

/** Whether a description has a candidate of a kind. */
function has(description: Attempt['localDescription'], kind = ''): boolean {
  return new RegExp(`^a=candidate:${kind}`, 'im').test(description?.sdp ?? '');
}
