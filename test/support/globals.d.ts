// What the test page has as globals, for the functions that run in it.
declare var sha256: typeof import('./sha256.ts').sha256;
declare const P2PCF: typeof import('../../src/client/index.ts').P2PCF;
declare const SignalingClient: typeof import('../../src/client/signaling.ts').SignalingClient;
declare const SupervisedPeer: typeof import('../../src/client/supervised-peer.ts').SupervisedPeer;
declare const newRoomAllowance: typeof import('../../src/client/limits.ts').newRoomAllowance;
declare const newStrangersAllowance: typeof import('../../src/client/limits.ts').newStrangersAllowance;
declare const newConnectionAllowance: typeof import('../../src/client/limits.ts').newConnectionAllowance;
/** Two peers of one page, in peer.test.ts. */
interface Pair {
  a: import('../../src/client/supervised-peer.ts').SupervisedPeer;
  b: import('../../src/client/supervised-peer.ts').SupervisedPeer;
  make(id: 'a' | 'b'): import('../../src/client/supervised-peer.ts').SupervisedPeer;
  introduce(
    peer: import('../../src/client/supervised-peer.ts').SupervisedPeer,
    id: 'a' | 'b',
    other: 'a' | 'b',
    isPolite: boolean,
  ): void;
  /** How many signals have been sent by way of the room. */
  signals: number;
  /** Whose signals are lost. */
  lost: 'a' | 'b' | '';
}
interface Window {
  pair: Pair;
  /** A peer that has been introduced to nobody, but for what is given; in peer.test.ts. */
  newPeer(
    settings?: Partial<import('../../src/client/peer-connection.ts').ConnectionSettings>,
    other?: Partial<import('../../src/client/introduction.ts').Introduction>,
  ): import('../../src/client/supervised-peer.ts').SupervisedPeer;
  tracked: Promise<boolean>;
  room: import('../../src/client/index.ts').P2PCF;
  p2pcf: import('../../src/client/index.ts').P2PCF;
  got: { from: string; length: number; sum: string; text: string }[];
  log: string[];
  watched: Promise<string[]>;
  /** Numbers sent to and got from each peer, by session id; `sent` is how many. */
  counting: { sent: Record<string, number>; got: Record<string, number[]>; stop: () => void };
}

/** P2PCF's own clients, as far as they are used here; ours is used like them. */
interface PollingClient {
  on(event: 'peerconnect' | 'peerclose', listener: (peer: PollingPeer) => void): unknown;
  on(event: 'msg', listener: (peer: PollingPeer, data: ArrayBuffer) => void): unknown;
  start(): Promise<void>;
  broadcast(data: ArrayBuffer): unknown;
  /** Ours alone. */
  broadcastUnreliable?(data: ArrayBuffer): void;
  destroy(): void;
  /** Whom it knows of, connected or not: p2pcf's, and p2pcf.rn's. */
  readonly peers?: ReadonlyMap<string, PollingPeer>;
  getPeers?(): unknown[];
}
interface PollingPeer {
  readonly client_id: string;
  readonly _pc: RTCPeerConnection;
  addStream(stream: MediaStream): void;
  destroy(): void;
}
declare const pollingClients: Record<
  'p2pcf' | 'p2pcf.rn',
  new (
    clientId: string,
    roomId: string,
    options: object,
  ) => PollingClient
>;
interface Window {
  client: PollingClient;
  /** Whom the server's last reply had in it. */
  shown: string[];
}
declare const clients: {
  ours: typeof import('../../src/client/index.ts').P2PCF;
  p2pcf: (typeof pollingClients)['p2pcf'];
};
/** Two peers of two clients in one page, each the way to the other. */
interface Both {
  a: import('../../src/client/index.ts').Peer;
  b: import('../../src/client/index.ts').Peer;
}
/** What media.test.ts has in its page. */
interface MediaPage {
  /** The events of the peers that are listened to, in order, with the names of streams. */
  heard: string[];
  /** A stream of this name with tracks of these kinds. */
  stream(name: string, ...kinds: ('audio' | 'video')[]): MediaStream;
  track(kind: 'audio' | 'video'): MediaStreamTrack;
  enter(
    name: string,
    beforeStart?: (client: import('../../src/client/index.ts').P2PCF) => void,
    options?: object,
  ): Promise<import('../../src/client/index.ts').P2PCF>;
  /** Two that are connected; what `b` tells is heard. */
  meet(): Promise<Both>;
  listen(peer: import('../../src/client/index.ts').Peer): void;
  /** Waits until this has been heard so often. */
  told(what: string, times?: number): Promise<void>;
  until(isTrue: () => boolean): Promise<void>;
  /** What sends and receives video. */
  lines(peer: import('../../src/client/index.ts').Peer): RTCRtpTransceiver[];
  /** How many tracks a peer receives. */
  receives(peer: import('../../src/client/index.ts').Peer): number;
}
interface Window {
  media: MediaPage;
}
