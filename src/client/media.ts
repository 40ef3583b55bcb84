/**
 * The tracks we send to a peer, each as part of a stream: added, muted, replaced, removed, and moved to a new
 * connection.
 */
import { isFirefox } from './negotiation.ts';
import { encode, isLive, type Kept, keep, put, type Sending, trackOf } from './sending.ts';

/** The senders of each track, by the stream it is sent as part of. */
export type Senders = Map<MediaStreamTrack, Map<MediaStream | undefined, RTCRtpSender>>;

export class Media {
  readonly #pc: () => RTCPeerConnection | undefined;
  readonly #isMakingOffer: () => boolean;
  #sendings: Sending[] = [];
  /**
   * Transceivers whose track was removed. They are used again: what has an m-line has one in every later description.
   */
  readonly #free = new WeakSet<RTCRtpTransceiver>();
  /** Transceivers of removed tracks that were used again. */
  readonly #reused = new WeakSet<RTCRtpTransceiver>();
  /** Transceivers that P2PCF has asked for. */
  readonly #asked = new WeakSet<RTCRtpTransceiver>();
  /** The m-lines on which the other, by its last offer, takes nothing. */
  #oneWay = new Set<string | undefined>();

  /** `pc` gives the present connection, if there is one; `isMakingOffer`: nobody can tell yet what it has in it. */
  constructor(pc: () => RTCPeerConnection | undefined, isMakingOffer: () => boolean) {
    this.#pc = pc;
    this.#isMakingOffer = isMakingOffer;
  }

  get senders(): Senders {
    const senders: Senders = new Map();
    for (const { names, stream, transceiver } of this.#sendings) {
      for (const track of isLive(transceiver) ? names : []) {
        const ofTrack = senders.get(track) ?? new Map<MediaStream | undefined, RTCRtpSender>();
        senders.set(track, ofTrack);
        if (transceiver && ofTrack.get(stream)?.track !== track) ofTrack.set(stream, transceiver.sender);
      }
    }
    return senders;
  }

  /**
   * Sends a track. Undefined if there is no connection now: then it is sent on the next. `turnsOn`: also if it is muted.
   */
  add(track: MediaStreamTrack, stream: MediaStream | undefined, turnsOn: boolean): RTCRtpSender | undefined {
    // What the other has stopped cannot be sent there again, but elsewhere.
    this.#sendings = this.#sendings.filter(
      ({ names, transceiver }) => !(names.has(track) && transceiver && !isLive(transceiver)),
    );
    const known = this.#sendings.find(
      (each) => each.stream === stream && each.names.has(track) && [track, null].includes(trackOf(each)),
    );
    if (known) {
      if (turnsOn) keep(known, track);
      return known.transceiver?.sender;
    }
    const streams = orItsOwn(stream ? [stream] : [], track);
    const pc = this.#pc();
    const transceiver = pc && this.#send(pc, track, streams);
    const kept: Kept = { track, direction: 'sendrecv' };
    const sending: Sending = { kind: track.kind, streams, stream, names: new Set([track]), transceiver, kept };
    this.#sendings.push(sending);
    keep(sending, track);
    return transceiver?.sender;
  }

  /** Adds a transceiver. Undefined if there is no connection now: then it is added to the next. */
  addTransceiver(trackOrKind: MediaStreamTrack | string, init: RTCRtpTransceiverInit): RTCRtpTransceiver | undefined {
    const { direction = 'sendrecv', sendEncodings = [], streams: named = [] } = init;
    const track = typeof trackOrKind === 'string' ? null : trackOrKind;
    const streams = orItsOwn(named, track);
    const kind = track?.kind ?? String(trackOrKind);
    const pc = this.#pc();
    if (pc) beginWithAudio(pc, kind);
    const transceiver = pc?.addTransceiver(trackOrKind, { ...init, streams });
    this.#sendings.push({
      kind,
      streams,
      stream: named[0],
      names: new Set(track ? [track] : []),
      transceiver,
      kept: { track, direction, encodings: sendEncodings },
    });
    return transceiver;
  }

  /**
   * Makes a place to receive on. P2PCF asks for one whenever it shows something, and uses none again: the places that
   * it has left are stopped, so that their m-lines are used again. Else descriptions would grow without end.
   */
  receive(kind: string): void {
    const pc = this.#pc();
    for (const each of pc?.getTransceivers() ?? []) {
      const isLeft = each.direction === 'recvonly' && each.currentDirection === 'inactive';
      if (isLeft && this.#asked.has(each) && !this.#free.has(each)) each.stop();
    }
    if (pc) this.#asked.add(pc.addTransceiver(kind, { direction: 'recvonly' }));
  }

  /** Stops sending a track, as part of the stream, or of whichever it is sent in. */
  remove(track: MediaStreamTrack, stream: MediaStream | undefined): void {
    this.#drop(this.#named(track, stream));
  }

  /** Stops sending all that was added as part of a stream, whatever tracks the app has since put into that. */
  removeStream(stream: MediaStream): void {
    this.#drop(this.#sendings.filter((each) => each.stream === stream));
  }

  /**
   * Sends a new track in place of an old one. Null as the new one mutes; null as the old one stands for a muted track.
   */
  replace(
    oldTrack: MediaStreamTrack | null,
    newTrack: MediaStreamTrack | null,
    stream: MediaStream | undefined,
  ): Promise<void> {
    const replaced = oldTrack ? this.#named(oldTrack, stream) : this.#muted(newTrack?.kind, stream);
    if (replaced.length === 0) throw new Error(this.#whyNotSent(oldTrack, stream));
    return Promise.all(replaced.map((each) => put(each, newTrack))).then(() => undefined);
  }

  /**
   * A negotiation is done. Chromium (156) then takes the streams of a sender that is used again for those it had
   * before, and negotiates these by itself: the other would see the new stream for a moment, and be told of the old
   * one.
   */
  settle(): void {
    this.#noteOneWay();
    for (const { transceiver, streams } of this.#sendings) {
      if (isLive(transceiver) && this.#reused.has(transceiver)) transceiver.sender.setStreams(...streams);
    }
  }

  /** The connection is to be given up: keeps what is to be sent on the next. */
  detach(): void {
    this.#sendings = this.#sendings.filter(({ transceiver }) => !transceiver || isLive(transceiver));
    for (const each of this.#sendings) {
      const { transceiver } = each;
      if (!transceiver) continue;
      const { sender, direction } = transceiver;
      const { encodings, degradationPreference }: Partial<RTCRtpSendParameters> & Partial<Kept> =
        sender.getParameters();
      each.kept = { track: trackOf(each), direction, encodings, degradationPreference };
      each.asked = undefined;
      each.transceiver = undefined;
    }
    this.#oneWay.clear();
  }

  /** Sends on the present connection what is not sent there yet. */
  attach(): void {
    const pc = this.#pc();
    for (const each of this.#sendings) {
      if (!pc || each.transceiver) continue;
      const { kind, streams, kept } = each;
      // Firefox has had no encodings where nothing is set, until 110.
      const { track, direction, encodings: sendEncodings = [], degradationPreference } = kept;
      beginWithAudio(pc, kind);
      // What addTrack adds shares m-lines with what the other sends. It has no simulcast.
      each.transceiver =
        track && direction === 'sendrecv' && each.names.size > 0 && sendEncodings.length < 2
          ? this.#send(pc, track, streams)
          : pc.addTransceiver(track ?? kind, { direction, sendEncodings, streams });
      if (track) keep(each, track);
      if (sendEncodings.length > 0) void encode(each.transceiver.sender, sendEncodings, degradationPreference);
    }
  }

  /** What a track stands for: the places that send it, or else that have sent it. */
  #named(track: MediaStreamTrack, stream: MediaStream | undefined): Sending[] {
    const ofStream = this.#sendings.filter((each) => !stream || each.stream === stream);
    const present = ofStream.filter((each) => trackOf(each) === track); // by the app's call of the sender, perhaps
    return present.length > 0 ? present : ofStream.filter(({ names }) => names.has(track));
  }

  /** The first muted place. */
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
    const pc = this.#pc();
    for (const { transceiver } of dropped) {
      if (!isLive(transceiver)) continue;
      const { sender, direction, currentDirection } = transceiver;
      if (sender.track) pc?.removeTrack(sender);
      // removeTrack ignores a muted sender; in Chromium (156) also a sender that is about to be muted and still has its
      // track.
      if (direction.startsWith('send')) transceiver.direction = direction === 'sendrecv' ? 'recvonly' : 'inactive';
      // Without setStreams it can be of no more use: its m-line can, once it is stopped. Not where the other sends on
      // it. Nor where an app has the encoded frames of each sender, which Chromium (156) gives out once.
      if (canChangeStreams(sender) && !Object(pc?.getConfiguration()).encodedInsertableStreams) {
        this.#free.add(transceiver);
        void encode(sender, [{ active: true }]); // what the app had set was for the removed track
      } else if (currentDirection === 'sendonly') transceiver.stop();
    }
  }

  /** A transceiver for a track. If it is used again it does not have the track yet. */
  #send(pc: RTCPeerConnection, track: MediaStreamTrack, streams: MediaStream[]): RTCRtpTransceiver {
    this.#noteOneWay();
    beginWithAudio(pc, track.kind);
    const isOneWay = ({ mid }: RTCRtpTransceiver): boolean => this.#oneWay.has(mid ?? undefined);
    const free = pc
      .getTransceivers()
      .find((each) => this.#free.has(each) && canSendAgain(each, track.kind, this.#isMakingOffer()) && !isOneWay(each));
    if (free) {
      this.#free.delete(free);
      this.#reused.add(free);
      free.sender.setStreams(...streams);
      free.direction = free.direction === 'inactive' ? 'sendonly' : 'sendrecv';
      return free;
    }
    // addTrack takes a track once only, and it takes for free what is muted, or was removed before it was answered: the
    // other would be told the wrong stream. Or what only receives, where the other takes nothing: it would be told of a
    // track that never arrives. What is about to be replaced or muted counts as if it were: Chromium's page (156)
    // crashes.
    const isInTheWay = (each: RTCRtpTransceiver): boolean => {
      const sending = this.#sendings.find(({ transceiver }) => transceiver === each);
      const tracks = [each.sender.track, sending && trackOf(sending)];
      return (
        tracks.includes(track) ||
        (tracks.includes(null) &&
          each.receiver.track.kind === track.kind &&
          (this.#free.has(each) || (sending && sending.names.size > 0) || isOneWay(each)))
      );
    };
    const sender = pc.getTransceivers().some(isInTheWay) ? undefined : pc.addTrack(track, ...streams);
    const transceiver = pc.getTransceivers().find((each) => each.sender === sender);
    return transceiver ?? pc.addTransceiver(track, { streams });
  }

  /** Not by an answer, which says so, too, where it is we that only receive. */
  #noteOneWay(): void {
    const { type, sdp } = this.#pc()?.remoteDescription ?? {};
    if (type === 'offer') this.#oneWay = oneWayIn(sdp);
  }
}

/**
 * The first m-line of media is for audio, which addTrack uses once there is some. Chromium (156) numbers header
 * extensions in the order of the m-lines, and keeps its numbers where its offer is rolled back: if two offered at once,
 * one of them video alone, they would have to connect anew. Firefox (153) has one number for each extension.
 */
function beginWithAudio(pc: RTCPeerConnection, kind: string): void {
  if (kind === 'video' && pc.getTransceivers().length === 0 && !isFirefox(pc.localDescription))
    pc.addTransceiver('audio', { direction: 'recvonly' });
}

/** The m-lines of a description on which its side takes nothing, whether it sends there or has stopped that. */
export function oneWayIn(sdp = ''): Set<string | undefined> {
  const sections = sdp.split('\nm=').filter((section) => /^a=(sendonly|inactive)/m.test(section));
  return new Set(sections.map((section) => /^a=mid:(\S+)/m.exec(section)?.[1]));
}

/**
 * Whether a transceiver that has sent may send again, so that the other is told of a new track. The other is not told
 * if it has not learned that the old track was removed; it need not learn that if no description has named the old
 * track. Stopping the transceiver is no way out: Chromium (156) then negotiates without end. Firefox has setStreams
 * since 113; without it, the other would be told the old stream.
 */
export function canSendAgain(
  {
    mid,
    currentDirection,
    sender,
    receiver,
  }: Pick<RTCRtpTransceiver, 'mid' | 'currentDirection' | 'sender' | 'receiver'>,
  kind: string,
  isMakingOffer: boolean,
): boolean {
  const isRemoved = currentDirection === 'inactive' || currentDirection === 'recvonly';
  const isUnknown = mid === null && currentDirection === null && !isMakingOffer;
  return (isRemoved || isUnknown) && receiver.track.kind === kind && canChangeStreams(sender);
}

function canChangeStreams(sender: RTCRtpSender): boolean {
  return typeof sender.setStreams === 'function';
}

/** Without a stream nobody is told of a track, in P2PCF neither: it gets one of its own. React Native has none. */
function orItsOwn(streams: MediaStream[], track: MediaStreamTrack | null): MediaStream[] {
  return streams[0] || !track || !globalThis.MediaStream ? streams : [new MediaStream([track])];
}
