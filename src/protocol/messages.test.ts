import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from './error.ts';
import { parseClientMessage } from './messages.ts';

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
