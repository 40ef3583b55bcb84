/** The tracks we send to a peer, each as part of a stream, and those it sends to us. */

/** What the other's tracks lead to. */
export interface MediaEvents {
  /** A stream of the other's, when its first track is here. */
  stream: [stream: MediaStream, receiver: RTCRtpReceiver];
  /** A track of the other's, once for each of its streams. */
  track: [track: MediaStreamTrack, stream: MediaStream, receiver: RTCRtpReceiver];
}

export interface MediaListener {
  track(...args: MediaEvents['track']): void;
  stream(...args: MediaEvents['stream']): void;
}

/** The senders of a track, by the stream it is sent as part of. */
type Senders = Map<MediaStream | undefined, RTCRtpSender>;

export class Media {
  /** The senders of each track. A sender whose track was replaced is known by each track it has had. */
  senders = new Map<MediaStreamTrack, Senders>();
  readonly #pc: () => RTCPeerConnection;
  readonly #listener: MediaListener;
  /** Ids of the other's streams that the app has been told of. */
  readonly #announced = new Set<string>();

  /** `pc` gives the present connection. */
  constructor(pc: () => RTCPeerConnection, listener: MediaListener) {
    this.#pc = pc;
    this.#listener = listener;
  }

  add(track: MediaStreamTrack, stream: MediaStream | undefined): RTCRtpSender {
    const senders = this.#sendersOf(track);
    const sender = senders.get(stream) ?? this.#pc().addTrack(track, ...(stream ? [stream] : []));
    senders.set(stream, sender);
    return sender;
  }

  remove(track: MediaStreamTrack, stream: MediaStream | undefined): void {
    const sender = this.senders.get(track)?.get(stream);
    if (!sender) return;
    for (const [each, senders] of this.senders) {
      if (senders.get(stream) === sender) senders.delete(stream);
      if (senders.size === 0) this.senders.delete(each);
    }
    this.#pc().removeTrack(sender);
  }

  replace(oldTrack: MediaStreamTrack, newTrack: MediaStreamTrack | null, stream?: MediaStream): Promise<void> {
    const sender = this.senders.get(oldTrack)?.get(stream);
    if (!sender) throw new Error('The track to be replaced is not being sent to this peer.');
    if (newTrack) this.#sendersOf(newTrack).set(stream, sender);
    return sender.replaceTrack(newTrack);
  }

  /** The connection is a new one now. What it returns sends there what was being sent on the one before. */
  move(): () => void {
    const before = this.senders;
    const after: Media['senders'] = new Map();
    this.senders = after;
    return () => {
      if (after !== this.senders) return;
      for (const [track, senders] of before) {
        for (const [stream, sender] of senders) if (sender.track === track) this.add(track, stream);
      }
    };
  }

  /** Tells of a track of the other's. */
  announce({ track, streams, receiver }: RTCTrackEvent): void {
    for (const stream of streams) {
      this.#listener.track(track, stream, receiver);
      if (this.#announced.has(stream.id)) continue;
      this.#announced.add(stream.id);
      // After the other tracks that come with it.
      queueMicrotask(() => this.#listener.stream(stream, receiver));
    }
  }

  #sendersOf(track: MediaStreamTrack): Senders {
    const senders = this.senders.get(track) ?? new Map<MediaStream | undefined, RTCRtpSender>();
    this.senders.set(track, senders);
    return senders;
  }
}
