/** The tracks we send to a peer, each as part of a stream: added, muted, replaced, removed, and moved to a new connection. */

/** Something the other is to get: a track, or what takes the place of one that is muted. */
interface Sending {
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
}

/** How a transceiver stood when its connection was given up. */
interface Kept {
  readonly track: MediaStreamTrack | null;
  readonly direction: RTCRtpTransceiverDirection;
  readonly sendEncodings: RTCRtpEncodingParameters[];
}

/** The senders of each track, by the stream it is sent as part of. */
export type Senders = Map<MediaStreamTrack, Map<MediaStream | undefined, RTCRtpSender>>;

export class Media {
  readonly #pc: () => RTCPeerConnection | undefined;
  #sendings: Sending[] = [];
  /** Transceivers whose track was removed. They are used again: what has an m-line has one in every later description. */
  readonly #free = new WeakSet<RTCRtpTransceiver>();

  /** `pc` gives the present connection, if there is one. */
  constructor(pc: () => RTCPeerConnection | undefined) {
    this.#pc = pc;
  }

  get senders(): Senders {
    const senders: Senders = new Map();
    for (const { names, stream, transceiver } of this.#sendings) {
      for (const track of transceiver ? names : []) {
        const ofTrack = senders.get(track) ?? new Map<MediaStream | undefined, RTCRtpSender>();
        senders.set(track, ofTrack);
        if (transceiver && ofTrack.get(stream)?.track !== track) ofTrack.set(stream, transceiver.sender);
      }
    }
    return senders;
  }

  /** Sends a track. Undefined if there is no connection now: then it is sent on the next. */
  add(track: MediaStreamTrack, stream: MediaStream | undefined): RTCRtpSender | undefined {
    const known = this.#sendings.find(
      (each) => each.stream === stream && each.names.has(track) && [track, null].includes(trackOf(each)),
    );
    if (known) {
      void put(known, track); // it may be muted
      return known.transceiver?.sender;
    }
    // Without a stream nobody is told of a track, in P2PCF neither: it gets one of its own.
    const streams = [stream ?? new MediaStream([track])];
    const pc = this.#pc();
    const transceiver = pc && this.#send(pc, track, streams);
    const kept: Kept = { track, direction: 'sendrecv', sendEncodings: [] };
    this.#sendings.push({ kind: track.kind, streams, stream, names: new Set([track]), transceiver, kept });
    return transceiver?.sender;
  }

  /** Adds a transceiver. Undefined if there is no connection now: then it is added to the next. */
  addTransceiver(trackOrKind: MediaStreamTrack | string, init: RTCRtpTransceiverInit): RTCRtpTransceiver | undefined {
    const { direction = 'sendrecv', sendEncodings = [], streams = [] } = init;
    const track = typeof trackOrKind === 'string' ? null : trackOrKind;
    const transceiver = this.#pc()?.addTransceiver(trackOrKind, init);
    this.#sendings.push({
      kind: typeof trackOrKind === 'string' ? trackOrKind : trackOrKind.kind,
      streams,
      stream: streams[0],
      names: new Set(track ? [track] : []),
      transceiver,
      kept: { track, direction, sendEncodings },
    });
    return transceiver;
  }

  /** Stops sending a track, as part of the stream, or of whichever it is sent in. */
  remove(track: MediaStreamTrack, stream: MediaStream | undefined): void {
    this.#drop(this.#named(track, stream));
  }

  /** Stops sending all that was added as part of a stream, whatever tracks the app has since put into that. */
  removeStream(stream: MediaStream): void {
    this.#drop(this.#sendings.filter((each) => each.stream === stream));
  }

  /** Sends another track in the place of one. Null mutes, and stands for one that is muted. */
  replace(
    oldTrack: MediaStreamTrack | null,
    newTrack: MediaStreamTrack | null,
    stream: MediaStream | undefined,
  ): Promise<void> {
    const replaced = oldTrack ? this.#named(oldTrack, stream) : this.#muted(newTrack?.kind, stream);
    if (replaced.length === 0) throw new Error(this.#whyNotSent(oldTrack, stream));
    return Promise.all(replaced.map((each) => put(each, newTrack))).then(() => undefined);
  }

  /** The connection is to be given up: keeps what is to be sent on the next. */
  detach(): void {
    this.#sendings = this.#sendings.filter(({ transceiver }) => transceiver?.direction !== 'stopped');
    for (const each of this.#sendings) {
      const { transceiver } = each;
      if (!transceiver) continue;
      const { sender, direction } = transceiver;
      each.kept = { track: sender.track, direction, sendEncodings: sender.getParameters().encodings };
      each.transceiver = undefined;
    }
  }

  /** Sends on the present connection what is not sent there yet. */
  attach(): void {
    const pc = this.#pc();
    for (const each of this.#sendings) {
      if (!pc || each.transceiver) continue;
      const { kind, streams, kept } = each;
      const { track, direction, sendEncodings } = kept;
      // What addTrack adds shares m-lines with what the other sends.
      if (track && direction === 'sendrecv' && each.names.size > 0) {
        each.transceiver = this.#send(pc, track, streams);
        if (sendEncodings.length > 0) void encode(each.transceiver.sender, sendEncodings);
      } else each.transceiver = pc.addTransceiver(track ?? kind, { direction, sendEncodings, streams });
    }
  }

  /** Those that a track names: that send it, or else that have sent it. */
  #named(track: MediaStreamTrack, stream: MediaStream | undefined): Sending[] {
    const named = this.#sendings.filter((each) => each.names.has(track) && (!stream || each.stream === stream));
    const present = named.filter((each) => trackOf(each) === track);
    return present.length > 0 ? present : named;
  }

  /** The first that is muted. */
  #muted(kind: string | undefined, stream: MediaStream | undefined): Sending[] {
    const isMuted = (each: Sending): boolean => each.names.size > 0 && trackOf(each) === null;
    const isMeant = (each: Sending): boolean => each.kind === kind && (!stream || each.stream === stream);
    return this.#sendings.filter((each) => isMuted(each) && isMeant(each)).slice(0, 1);
  }

  #whyNotSent(track: MediaStreamTrack | null, stream: MediaStream | undefined): string {
    if (!track) return 'No track of this kind is muted that another could take the place of. Use addTrack.';
    return stream && this.#named(track, undefined).length > 0
      ? 'The track to be replaced is being sent to this peer, but not as part of this stream.'
      : 'The track to be replaced is not being sent to this peer. Use addTrack.';
  }

  #drop(dropped: Sending[]): void {
    this.#sendings = this.#sendings.filter((each) => !dropped.includes(each));
    for (const { transceiver } of dropped) {
      if (!transceiver) continue;
      this.#pc()?.removeTrack(transceiver.sender);
      this.#free.add(transceiver);
    }
  }

  #send(pc: RTCPeerConnection, track: MediaStreamTrack, streams: MediaStream[]): RTCRtpTransceiver {
    const free = pc.getTransceivers().find((each) => this.#free.has(each) && canSendAgain(each, track.kind));
    if (free) {
      this.#free.delete(free);
      free.sender.setStreams(...streams);
      void free.sender.replaceTrack(track);
      free.direction = free.direction === 'inactive' ? 'sendonly' : 'sendrecv';
      return free;
    }
    // addTrack takes a track once only, and it takes for free what is muted, or was removed before it was answered: the
    // other would be told the wrong stream.
    const isMuted = (each: RTCRtpTransceiver): boolean =>
      this.#sendings.some(({ transceiver, names }) => transceiver === each && names.size > 0);
    const isInTheWay = (each: RTCRtpTransceiver): boolean =>
      each.sender.track === track ||
      (each.sender.track === null &&
        each.receiver.track.kind === track.kind &&
        (this.#free.has(each) || isMuted(each)));
    const sender = pc.getTransceivers().some(isInTheWay) ? undefined : pc.addTrack(track, ...streams);
    const transceiver = pc.getTransceivers().find((each) => each.sender === sender);
    return transceiver ?? pc.addTransceiver(track, { streams });
  }
}

/**
 * Whether a transceiver that has sent may do so again, and the other is told of a new track. It is not if it has not
 * learned that the old one was removed. Firefox has setStreams since 113; without, the other would be told the old stream.
 */
export function canSendAgain(
  { currentDirection, sender, receiver }: Pick<RTCRtpTransceiver, 'currentDirection' | 'sender' | 'receiver'>,
  kind: string,
): boolean {
  const isRemoved = currentDirection === 'inactive' || currentDirection === 'recvonly';
  return isRemoved && receiver.track.kind === kind && typeof sender.setStreams === 'function';
}

function trackOf({ transceiver, kept }: Sending): MediaStreamTrack | null {
  return transceiver ? transceiver.sender.track : kept.track;
}

/** Sets what an app has set on a sender before: bitrates, scales. A browser that will not have them goes without. */
async function encode(sender: RTCRtpSender, encodings: RTCRtpEncodingParameters[]): Promise<void> {
  await sender.setParameters({ ...sender.getParameters(), encodings }).catch(() => undefined);
}

async function put(sending: Sending, track: MediaStreamTrack | null): Promise<void> {
  if (track) sending.names.add(track);
  if (sending.transceiver) await sending.transceiver.sender.replaceTrack(track);
  else sending.kept = { ...sending.kept, track };
}
