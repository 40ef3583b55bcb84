/** What is loaded only where a room has a key, or an app asks who somebody is. */
export { identity } from './identity.ts';
export { sas } from './sas.ts';
export { newSealedSockets } from './socket.ts';
