import { expect, test } from 'vitest';
import { parseSignal } from './signal.ts';

const candidate = { candidate: 'candidate:1 1 udp 1 127.0.0.1 9 typ host', sdpMid: '0', sdpMLineIndex: 0 };
const offer = { type: 'offer', sdp: 'v=0' };

test.each([
  [offer, { description: offer, candidates: [] }],
  [
    { ...offer, candidates: [candidate] },
    { description: offer, candidates: [candidate] },
  ],
  [{ candidates: [candidate, candidate] }, { candidates: [candidate, candidate] }],
  [{ candidates: [] }, { candidates: [] }],
  [{ candidates: [candidate, 7, null, { candidate: 7 }] }, { candidates: [candidate] }],
  [{ candidate }, { candidates: [candidate] }],
  [{ candidate: { candidate: '' } }, { candidates: [{ candidate: '' }] }],
  [candidate, { candidates: [candidate] }],
  [{ sdp: offer }, { description: offer, candidates: [] }],
  [{ type: 'rollback', sdp: '' }, undefined],
  [{ type: 'offer' }, undefined],
  [{ candidate: null }, undefined],
  [{ renegotiate: true }, { candidates: [], request: { type: 'renegotiate' } }],
  [{ renegotiate: false }, undefined],
  [{ transceiverRequest: { kind: 'audio' } }, { candidates: [], request: { type: 'renegotiate', kind: 'audio' } }],
  [{ transceiverRequest: { kind: 'smell' } }, { candidates: [], request: { type: 'renegotiate' } }],
  [{ restart: true }, { candidates: [], request: { type: 'restart' } }],
  [{ restart: 1 }, undefined],
  ['offer', undefined],
  [null, undefined],
])('the signal %j is read as %j', (signal, read) => {
  expect(parseSignal(signal)).toEqual(read);
});
