/** The protocol, for programs that speak it by themselves: `p2pcf-ws/protocol`. */
export * from './close.ts';
export { type ErrorCode, ProtocolError } from './error.ts';
export type { IceServer, IceServers } from './ice-servers.ts';
export * from './join.ts';
export * from './messages.ts';
export * from './owned-id.ts';
export * from './signal.ts';
