/** WebRTC rooms with the API of the npm package `p2pcf`, over a P2PCF-WS server. */
export type { Data, Progress } from './channel.ts';
export type { Datagram } from './datagrams.ts';
export type { P2PCFOptions } from './options.ts';
export { P2PCF, P2PCF as default } from './p2pcf.ts';
export type { P2PCFEvents } from './p2pcf-events.ts';
export type { Peer, PeerEvents, PeerState } from './peer.ts';
export type { WebRTC } from './peer-connection.ts';
export type { Sas } from './sealed/sas.ts';
export type { Claimed } from './sealed-options.ts';
export type { SignalingState } from './signaling-options.ts';
