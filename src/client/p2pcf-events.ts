/** What a room tells its app. */
import type { Peer, PeerState } from './peer.ts';
import type { SignalingState } from './signaling-options.ts';

export interface P2PCFEvents {
  /** A peer is in the room, and it is its turn to be connected; nothing is connected yet. */
  peerjoin: [peer: Peer];
  /** The peer's data channel is open. */
  peerconnect: [peer: Peer];
  /** A peer that `peerjoin` has told of is gone. Of others `peerstate` alone says that they are closed. */
  peerclose: [peer: Peer];
  /** A message from a peer. */
  msg: [peer: Peer, data: ArrayBuffer];
  /** A datagram from a peer, by its `sendUnreliable` or `broadcastUnreliable`. */
  datagram: [peer: Peer, data: ArrayBuffer];
  /** A part of a peer's message over 16,000 bytes is here; the last comes just before the message. */
  progress: [peer: Peer, receivedBytes: number, totalBytes: number];
  /**
   * A peer's state has changed; `reason` says why if it is `failed`, or `waiting` because the browser refused. A peer
   * that is `closed` is not in `peers` any more.
   */
  peerstate: [peer: Peer, state: PeerState, reason: string | undefined];
  /**
   * The state of the connection to the server has changed. `reason` says why if it is `closed` for good, or goes on
   * being `connecting`, and of `open`, if that is so, that the server names more members than are met.
   */
  state: [state: SignalingState, reason: string | undefined];
  /** The room has its `max` peers, which is undefined where that is not why: we are not in it, and not coming back. */
  full: [room: { max: number | undefined }];
  /**
   * The room has given our place to somebody else, and we are coming back under a new `sessionId`. All peers have been
   * closed, and are met again.
   */
  sessionchange: [sessionId: string];
}
