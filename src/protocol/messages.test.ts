import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from './error.ts';
import { parseClientMessage, parseSignal } from './messages.ts';

const codeOf = (text: string): string => {
  try {
    return `parsed as ${parseClientMessage(text).type}`;
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
};

test('what a client means comes through unchanged, and nothing else does', () => {
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue()), (targetId, payload, extra) => {
      const signal = { ...extra, type: 'signal', targetId, signal: payload };
      expect(parseClientMessage(JSON.stringify(signal))).toEqual(
        JSON.parse(JSON.stringify({ type: 'signal', targetId, signal: payload })),
      );
      const broadcast = { ...extra, type: 'broadcast', data: payload };
      expect(parseClientMessage(JSON.stringify(broadcast))).toEqual(
        JSON.parse(JSON.stringify({ type: 'broadcast', data: payload })),
      );
    }),
  );
});

test('any text is a message or a ProtocolError, and never quoted back', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
      expect(codeOf(text)).toMatch(/^(bad_json|bad_message|unknown_type)$/);
    }),
  );
});

test.each([
  ['{', 'bad_json'],
  ['[]', 'bad_message'],
  ['{"targetId":"bob","signal":1}', 'bad_message'],
  ['{"type":"signal","targetId":1,"signal":1}', 'bad_message'],
  ['{"type":"signal","targetId":"bob"}', 'bad_message'],
  ['{"type":"signal","targetId":"bob","signal":null}', 'parsed as signal'],
  ['{"type":"broadcast"}', 'bad_message'],
  ['{"type":"broadcast","data":false}', 'parsed as broadcast'],
  ['{"type":"toString"}', 'unknown_type'],
])('%s: %s', (text, code) => {
  expect(codeOf(text)).toBe(code);
});

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
  [{ renegotiate: true }, undefined],
  ['offer', undefined],
  [null, undefined],
])('the signal %j is read as %j', (signal, read) => {
  expect(parseSignal(signal)).toEqual(read);
});
