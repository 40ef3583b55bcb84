/** One other in the room, as an app sees it: simple-peer's face. */
import type { Verified } from '../protocol/messages.ts';
import type { Signal } from '../protocol/signal.ts';
import type { Data, Progress } from './channel.ts';
import type { Datagram } from './datagrams.ts';
import { Emitter } from './events.ts';
import { Media, type Senders } from './media.ts';
import { randomHex } from './random.ts';
import { type MediaEvents, Received } from './received-media.ts';
import type { Sas } from './sealed/sas.ts';
import { loadSealed } from './sealed-socket.ts';

/**
 * `waiting` for its turn where the page has as many connections as it should, or as the browser allows; `connecting`
 * until the data channel is open, then `connected`; `disconnected` while ICE has lost the other and may
 * find it again; `failed` when a connection did not come about, until the next attempt succeeds; `closed` for good.
 */
export type PeerState = 'waiting' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

export interface PeerEvents extends MediaEvents {
  /** The data channel is open. */
  connect: [];
  /** A message from the other. */
  data: [bytes: Uint8Array<ArrayBuffer>];
  /** A datagram from the other. */
  datagram: [bytes: Uint8Array<ArrayBuffer>];
  /** A part of a message over 16,000 bytes is here; the last comes just before the message. */
  progress: [receivedBytes: number, totalBytes: number];
  /** The state has changed; `reason` says why if it is `failed`, or `waiting` because the browser refused. */
  state: [state: PeerState, reason: string | undefined];
  /** A signal for the other, on its way. */
  signal: [signal: Signal];
  /** The connection was closed because of this. */
  error: [error: Error];
  /** The connection is closed for good. */
  close: [];
}

/** What the library does at some of a peer's events. */
type Follower = { readonly [Name in keyof PeerEvents]?: (...args: PeerEvents[Name]) => void };

export abstract class Peer extends Emitter<PeerEvents> {
  /** Session id: the key under which the other is in the room. */
  id = '';
  /** What the other calls itself; several may use the same. */
  client_id = '';
  /** What the other brought as metadata. */
  metadata: unknown;
  /** The subject of the other's room token, by the server's word; undefined if it has none. */
  verified: Verified | undefined;
  state: PeerState = 'connecting';
  connected = false;
  destroyed = false;
  /**
   * The other's DTLS certificate, e.g. `sha-256 AB:CD:…` (hash in small letters, digits in large ones), once a
   * description has named it. From `connect` on it is proved and never changes: another certificate is another Peer.
   */
  fingerprint: string | undefined;
  /** Datagrams to it that were dropped here: it was not connected, or the network took fewer. */
  datagramsDropped = 0;
  /** Whether the first offer is ours. */
  initiator = false;
  /** Label of the data channel. */
  channelName = randomHex(20);

  #follower: Follower = {};

  /** @internal What we send. */
  readonly media = new Media(
    () => this.presentPc,
    () => this.isMakingOffer,
  );
  /** @internal What the other sends. */
  readonly received = new Received({
    track: (...args) => this.destroyed || this.emit('track', ...args), // by a listener of one before it
    stream: (...args) => this.destroyed || this.emit('stream', ...args),
  });

  /** @internal Has the room hear of what happens: before the app, which may remove all its listeners. */
  follow(follower: Follower): void {
    this.#follower = follower;
  }

  /** @internal */
  protected override stops<Name extends keyof PeerEvents>(name: Name, args: PeerEvents[Name]): boolean {
    const { destroyed } = this;
    this.#follower[name]?.(...args);
    return this.destroyed !== destroyed; // then it has been told that it is closed
  }

  /** The same as `client_id`. */
  get clientId(): string {
    return this.client_id;
  }

  /** @internal The connection, if there is one now. */
  protected abstract get presentPc(): RTCPeerConnection | undefined;
  /** @internal */
  protected abstract get isMakingOffer(): boolean;
  /** @internal For P2PCF's apps that reach for it, as for the next two. */
  abstract get _pc(): RTCPeerConnection;
  /** @internal */
  abstract get _channel(): RTCDataChannel | null;

  /**
   * A short authentication string from both certificates: the same on both sides only if nobody sits between them.
   * People read it to each other. Rejects with Error while the two are not connected: before that the other may name a
   * certificate that it does not hold.
   */
  get sas(): Promise<Sas> {
    return loadSealed().then(({ sas }) =>
      this.connected ? sas(this._pc.localDescription?.sdp, this.fingerprint) : sas(undefined, undefined),
    );
  }

  /** @internal */
  get _senderMap(): Senders {
    return this.media.senders;
  }

  /**
   * Sends a message, in its turn. Resolves when all of it is in the channel, whose buffer it keeps below 1 MiB; rejects
   * with Error if the peer is not connected, or ceases to be on the way, or the message is over 256 MiB. Throws
   * TypeError for what cannot be sent.
   */
  abstract send(data: Data, onProgress?: Progress): Promise<void>;

  /**
   * Sends up to 1,100 bytes as a datagram: at once or never, and it may be lost or overtaken. Where the network takes
   * fewer the oldest are dropped, and counted. A peer with P2PCF gets it as a message. Throws RangeError for more
   * bytes, TypeError for what cannot be sent.
   */
  abstract sendUnreliable(data: Datagram): void;

  /** Closes the connection for good. */
  abstract destroy(error?: Error): void;

  /**
   * Sends all tracks of a stream. What is muted stays so: an app may call this whenever the two connect. On a peer that
   * is closed this, and all that follows, has no effect.
   */
  addStream(stream: MediaStream): void {
    if (!this.destroyed) for (const track of stream.getTracks()) this.media.add(track, stream, false);
  }

  /** Stops sending all that was added as part of a stream. */
  removeStream(stream: MediaStream): void {
    if (!this.destroyed) this.media.removeStream(stream);
  }

  /**
   * Sends a track as part of a stream, or of one of its own; what was muted is on again. Undefined if the peer is
   * closed, or the track is not sent yet: without a connection, or at a second `connect`, it is in a moment.
   */
  addTrack(track: MediaStreamTrack, stream?: MediaStream): RTCRtpSender | undefined {
    return this.destroyed ? undefined : this.media.add(track, stream, true);
  }

  /** Stops sending a track, as part of a stream or, where none is given, of all it is sent in. */
  removeTrack(track: MediaStreamTrack, stream?: MediaStream): void {
    if (!this.destroyed) this.media.remove(track, stream);
  }

  /**
   * Sends another track in the place of one, without negotiating. Either may be named from then on. Null as the new one
   * mutes; null as the old one stands for one of the new one's kind that is muted. Throws Error if the track to be
   * replaced is not being sent.
   */
  replaceTrack(
    oldTrack: MediaStreamTrack | null,
    newTrack: MediaStreamTrack | null,
    stream?: MediaStream,
  ): Promise<void> {
    return this.destroyed ? Promise.resolve() : this.media.replace(oldTrack, newTrack, stream);
  }

  /** Adds a transceiver. Undefined in the same cases as with `addTrack`. */
  addTransceiver(
    trackOrKind: MediaStreamTrack | string,
    init: RTCRtpTransceiverInit = {},
  ): RTCRtpTransceiver | undefined {
    return this.destroyed ? undefined : this.media.addTransceiver(trackOrKind, init);
  }

  /**
   * The connection's statistics, none of a peer that waits or is closed; a callback gets them as simple-peer's does, as
   * a list.
   */
  getStats(callback?: (error: Error | null, reports: unknown[]) => void): Promise<RTCStatsReport> {
    const pc = this.destroyed ? undefined : this.presentPc;
    const report = pc?.getStats() ?? Promise.resolve<RTCStatsReport>(new Map());
    if (callback)
      void report.then(
        (entries) => callback(null, [...entries.values()]),
        (error: Error) => callback(error, []),
      );
    return report;
  }
}
