/** Types for what has none, as far as it is used here. */

declare module 'p2pcf' {
  export default class P2PCF {
    constructor(
      clientId: string,
      roomId: string,
      options: { workerUrl: string; stunIceServers: RTCIceServer[]; turnIceServers: RTCIceServer[] },
    );
    on(event: 'peerconnect', listener: (peer: Peer) => void): this;
    start(): Promise<void>;
  }
  interface Peer {
    on(event: 'stream', listener: () => void): this;
    addStream(stream: MediaStream): void;
  }
}

declare module 'simple-peer/simplepeer.min.js' {
  import Peer from 'simple-peer';
  export default Peer;
}
