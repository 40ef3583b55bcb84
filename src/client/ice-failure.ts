/** Why there is no connection, in a sentence for people: "it hangs and says nothing" helps nobody. */

/** What is known of an attempt that has failed: an RTCPeerConnection has it all but the errors. */
export interface Attempt {
  localDescription: { sdp: string } | null;
  remoteDescription: { sdp: string } | null;
  iceConnectionState: RTCIceConnectionState;
  /** Addresses of the STUN and TURN servers that were to be asked. */
  servers: readonly string[];
  /** What they answered, by `icecandidateerror`: 300 to 699 is a refusal of theirs, 701 that there was no answer. */
  errors: readonly ServerError[];
}

export type ServerError = Pick<RTCPeerConnectionIceErrorEvent, 'url' | 'errorCode' | 'errorText'>;

/** Why there is no connection; `polls`: to a peer with P2PCF. */
export function failureReason(attempt: Attempt, polls: boolean): string {
  const { remoteDescription, iceConnectionState } = attempt;
  if (!remoteDescription) return `${['The other has not answered', ...refusals(attempt)].join('; ')}.`;
  if (iceConnectionState === 'connected' || iceConnectionState === 'completed')
    return 'ICE connected, but the data channel did not open.';
  if (polls) return 'No way to the other was found. It polls, as P2PCF does, which not every browser lets connect.';
  return `ICE found no way to the other: ${missing(attempt).join('; ') || 'a firewall may be between the two'}.`;
}

/** What was missing, each as a part of a sentence. */
function missing(attempt: Attempt): string[] {
  const ours = candidatesOf(attempt.localDescription);
  const theirs = candidatesOf(attempt.remoteDescription);
  const has = (what: RegExp): boolean => ours.some((line) => what.test(line));
  const serves = (scheme: RegExp): boolean => attempt.servers.some((url) => scheme.test(url));
  return [
    ...refusals(attempt),
    serves(/^stun/i) && !has(/ typ (srflx|relay)/) && 'no STUN server has answered',
    ours.length > 0 && !has(/ udp /i) && 'there is no UDP here',
    fewCandidates('we have', ours),
    fewCandidates('the other has', theirs),
    !serves(/^turn/i) && 'we have no TURN server (turnIceServers)',
  ].filter((part) => part !== false);
}

function fewCandidates(who: string, candidates: string[]): string | false {
  if (candidates.length === 0) return `${who} no candidates`;
  const areMdns = candidates.every((line) => /\.local \d+ typ host/i.test(line));
  return areMdns && `${who} only mDNS candidates, which other networks cannot use`;
}

/** Which TURN servers did not serve us, each once. */
function refusals({ localDescription, errors }: Attempt): string[] {
  const isRelayed = candidatesOf(localDescription).some((line) => / typ relay/.test(line));
  const parts = errors
    .filter(({ url, errorCode }) => /^turn/i.test(url) && (errorCode < 700 || !isRelayed))
    .map(({ url, errorCode, errorText }) =>
      errorCode < 700 ? `${url} refused us: ${errorCode} ${errorText}`.trim() : `${url} does not answer`,
    );
  return [...new Set(parts)];
}

function candidatesOf(description: { sdp: string } | null): string[] {
  return description?.sdp.match(/^a=candidate:.*/gm) ?? [];
}
