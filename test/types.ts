/** Compiles; each @ts-expect-error is a promise to the library's users. */
import P2PCF, { type Peer } from '../src/client/index.ts';
import { SignalingClient } from '../src/client/signaling.ts';
import type { ClientMessage, ServerMessage } from '../src/protocol/index.ts';

const room = new P2PCF('my name', 'my room', { workerUrl: 'https://example.com', metadata: { any: ['JSON'] } });

room
  .on('peerconnect', (peer: Peer) => peer.client_id satisfies string)
  .on('msg', (peer, data) => peer.id.length + data.byteLength)
  .on('peerstate', (_peer, state, reason) => (state === 'failed' ? reason?.length : 0));
room.peers.get('session')?.on('track', (track, stream) => [track.kind, stream.id]);
room.send(new Map(room.peers).values().next().value ?? raise(), new Uint8Array(1), (sent, total) => sent / total);
room.broadcast('text').then(() => undefined);

// @ts-expect-error: there is no such event
room.on('peer_connect', () => undefined);
// @ts-expect-error: msg brings bytes
room.on('msg', (_peer, data: string) => data);
// @ts-expect-error: an object is not sent
room.broadcast({ hello: 'world' });
// @ts-expect-error: the server has to be named
new P2PCF('my name', 'my room', {});
// @ts-expect-error: and the room
new P2PCF('my name');
// @ts-expect-error: the session id is ours to make
room.sessionId = 'mine';

const signaling = new SignalingClient({ workerUrl: 'https://example.com', roomId: 'room' });
signaling.on('join', ({ clientId, timestamp }) => `${clientId} ${timestamp.toFixed()}`);
// @ts-expect-error: a leave has no metadata
signaling.on('leave', ({ metadata }) => metadata);

({ type: 'signal', targetId: 'bob', signal: null }) satisfies ClientMessage;
({ type: 'peer_leave', clientId: 'bob', timestamp: 0, reason: 'left' }) satisfies ServerMessage;
// @ts-expect-error: the server says who it is from
({ type: 'signal', targetId: 'bob', fromId: 'alice', signal: null }) satisfies ClientMessage;

function raise(): never {
  throw new Error('only compiled');
}
