import { expect, test } from 'vitest';
import { Doc } from 'yjs';
import { YjsProvider } from '../yjs/index.ts';
import { P2PCF } from './index.ts';
import { SignalingClient } from './signaling.ts';
import { SupervisedPeer } from './supervised-peer.ts';

test('what an app holds has a name of its own, also minified, and Vue makes no proxy of it', () => {
  const workerUrl = 'https://a.dev';
  const room = new P2PCF('Alice', 'room', { workerUrl, wrtc: { RTCPeerConnection: class {} } });
  const provider = new YjsProvider(room, new Doc());
  const held = [room, new SignalingClient({ workerUrl, roomId: 'room' }), provider, SupervisedPeer.prototype];
  const names = held.map((each) => Object.prototype.toString.call(each).slice(8, -1));
  expect(names).toEqual(['P2PCF', 'SignalingClient', 'YjsProvider', 'Peer']);
  provider.destroy();
});
