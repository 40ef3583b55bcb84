/** The other's tracks and streams: each is told once, and none before the app has heard of the connection. */

/** What the other's tracks lead to. */
export interface MediaEvents {
  /** A stream of the other's, when its first track is here; again when it has lost all its tracks and gets one. */
  stream: [stream: MediaStream, receiver: RTCRtpReceiver];
  /** A track of the other's, once for each of its streams. */
  track: [track: MediaStreamTrack, stream: MediaStream, receiver: RTCRtpReceiver];
}

export interface MediaListener {
  track(...args: MediaEvents['track']): void;
  stream(...args: MediaEvents['stream']): void;
}

/** What is read of an RTCTrackEvent. */
type Arrival = Pick<RTCTrackEvent, 'track' | 'streams' | 'receiver'>;

export class Received {
  readonly #listener: MediaListener;
  /** Tracks that are not told of yet; undefined once they are told of as they come. */
  #held: Arrival[] | undefined = [];
  /** Streams that the app has been told of, and that have a track. */
  readonly #told = new Set<MediaStream>();

  constructor(listener: MediaListener) {
    this.#listener = listener;
  }

  /**
   * There is a connection that the app has not heard of: its tracks wait, and what waited from another is forgotten.
   */
  hold(): void {
    this.#held = [];
    this.#told.clear();
  }

  /** A description of the other's has been taken. Not left to `removetrack`, which may come after the next track. */
  forgetEmpty(): void {
    for (const stream of this.#told) if (stream.getTracks().length === 0) this.#told.delete(stream);
  }

  /** The app has heard of the connection. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const arrival of held) this.take(arrival);
  }

  /** Takes a track that the other sends from now on. */
  take(arrival: Arrival): void {
    if (this.#held) {
      this.#held.push(arrival);
      return;
    }
    const { track, streams, receiver } = arrival;
    for (const stream of streams) {
      if (!stream.getTracks().includes(track)) continue; // it was removed while it waited
      this.#listener.track(track, stream, receiver);
      if (this.#told.has(stream)) continue;
      this.#told.add(stream);
      // After the other tracks that come with it.
      queueMicrotask(() => this.#listener.stream(stream, receiver));
    }
  }
}
