/** One thing the other is to get, on one connection after the other: a track, or the place kept for a muted track. */

/** What is known of it. */
export interface Sending {
  readonly kind: string;
  /** As part of which streams it is sent. */
  readonly streams: MediaStream[];
  /** The stream the app named when it added it. */
  readonly stream: MediaStream | undefined;
  /** The tracks it has had, each of which names it. */
  readonly names: Set<MediaStreamTrack>;
  /** On the present connection, once it is there. */
  transceiver: RTCRtpTransceiver | undefined;
  /** What to make of it on the next one. */
  kept: Kept;
  /** The track it was last asked to send, until the browser does so. */
  asked?: MediaStreamTrack | null | undefined;
}

/** How a transceiver stood when its connection was given up. */
export interface Kept {
  track: MediaStreamTrack | null;
  readonly direction: RTCRtpTransceiverDirection;
  readonly encodings?: RTCRtpEncodingParameters[] | undefined;
  readonly degradationPreference?: RTCDegradationPreference | undefined;
}

/** Whether there is a transceiver that neither side has given up for good: the other may at any time. */
export function isLive(transceiver: RTCRtpTransceiver | undefined): transceiver is RTCRtpTransceiver {
  return !!transceiver && transceiver.direction !== 'stopped' && transceiver.currentDirection !== 'stopped';
}

/** What it sends by now, or is about to send. Null while it is muted. */
export function trackOf({ transceiver, kept, asked }: Sending): MediaStreamTrack | null {
  if (asked !== undefined) return asked;
  return isLive(transceiver) ? transceiver.sender.track : kept.track;
}

/**
 * Sets on a sender what an app has set on another: bitrates, scales. A browser that will not have them goes without.
 * Encodings keep their number and names, which are set for good: of several, for simulcast, the first may be left.
 */
export async function encode(
  sender: RTCRtpSender,
  encodings: RTCRtpEncodingParameters[],
  degradationPreference?: RTCDegradationPreference,
): Promise<void> {
  const parameters = sender.getParameters();
  const { encodings: own = encodings }: Partial<RTCRtpSendParameters> = parameters;
  const settings = { encodings: own.map(({ rid }, n) => ({ ...encodings[n], rid })), degradationPreference };
  await sender.setParameters(Object.assign(parameters, settings)).catch(() => undefined);
}

/**
 * Has a track sent that is not sent yet: a transceiver that is used again gets it in a moment, and by then the
 * connection may have been given up. Not one that is sent: removed in the same moment, the sender would have it again.
 */
export function keep(sending: Sending, track: MediaStreamTrack): void {
  if (trackOf(sending) !== track) put(sending, track).catch(() => undefined);
}

/** Has it send a track, or nothing. Rejects with what the browser says. */
export async function put(sending: Sending, track: MediaStreamTrack | null): Promise<void> {
  if (track && track.kind !== sending.kind) throw new TypeError('The track to be replaced is of another kind.');
  for (const name of [trackOf(sending), track]) if (name) sending.names.add(name);
  sending.kept.track = track;
  const { transceiver } = sending;
  if (!isLive(transceiver)) return;
  sending.asked = track;
  try {
    await transceiver.sender.replaceTrack(track);
  } finally {
    if (sending.asked === track) sending.asked = undefined;
  }
}
