import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBase64Url, toBase64Url } from './base64url.ts';

test('text is encoded as Node encodes it, and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(text.isWellFormed());
      expect(toBase64Url(text)).toBe(Buffer.from(text).toString('base64url'));
      expect(fromBase64Url(toBase64Url(text))).toBe(text);
    }),
  );
});

test.each(['a b', 'ab=', 'ab+', '_w', 'w6'])(
  '%s is no base64url of UTF-8 text, or of less than was meant',
  (digits) => {
    const text = fromBase64Url(digits);
    expect(text === undefined || toBase64Url(text) !== digits).toBe(true);
  },
);

test('anything is text or nothing', () => {
  fc.assert(fc.property(fc.string(), (digits) => void fromBase64Url(digits)));
});
