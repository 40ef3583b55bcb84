import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from './error.ts';
import { parseClientMessage, parseServerMessage, type ServerMessage } from './messages.ts';

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

test.each([
  '{',
  'null',
  '7',
  '[]',
  '{}',
  '{"type":"toString"}',
  '{"type":"peers"}',
  '{"type":"peers","peers":"ab","yourId":"me"}',
  '{"type":"peers","peers":[7],"yourId":"me"}',
  '{"type":"peers","peers":[],"yourId":"me","metadata":[]}',
  '{"type":"peers","peers":[],"yourId":"me","offers":null}',
  '{"type":"peers","peers":[],"yourId":"me","polling":{}}',
  '{"type":"peers","peers":[],"yourId":"me","graceSeconds":"1e9"}',
  '{"type":"peer_join","clientId":{}}',
  '{"type":"peer_leave"}',
  '{"type":"signal","signal":{}}',
  '{"type":"broadcast","fromId":null,"data":1}',
  '{"type":"error","code":7,"message":""}',
])('a client takes no notice of %s from a server', (text) => {
  expect(parseServerMessage(text)).toBeUndefined();
});

test('a client reads what a server says, and fields it does not know come along', () => {
  const messages: (ServerMessage & { later?: number })[] = [
    {
      type: 'peers',
      peers: ['a'],
      yourId: 'b',
      metadata: { a: 1 },
      offers: {},
      polling: [],
      graceSeconds: 30,
      later: 1,
    },
    { type: 'peer_join', clientId: 'a', timestamp: 1 },
    { type: 'peer_leave', clientId: 'a', timestamp: 1, reason: 'left' },
    { type: 'signal', fromId: 'a', signal: null },
    { type: 'broadcast', fromId: 'a', data: [] },
    { type: 'error', code: 'binary', message: '' },
  ];
  for (const message of messages) expect(parseServerMessage(JSON.stringify(message))).toEqual(message);
});

test('any text from a server is a message or nothing', () => {
  const type = fc.constantFrom('peers', 'peer_join', 'peer_leave', 'signal', 'broadcast', 'error', '__proto__');
  const fields = fc.dictionary(fc.constantFrom('peers', 'yourId', 'clientId', 'fromId', 'metadata'), fc.jsonValue());
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.record({ type, fields })), (said) => {
      const text = typeof said === 'string' ? said : JSON.stringify({ ...said.fields, type: said.type });
      const message = parseServerMessage(text);
      if (message?.type === 'peers') expect(message.peers.every((id) => typeof id === 'string')).toBe(true);
    }),
  );
});
