import fc from 'fast-check';
import { expect, test } from 'vitest';
import { idFault } from './ids.ts';

test.each([
  ['', 'is empty'],
  ['x'.repeat(128), undefined],
  ['x'.repeat(129), 'is longer than 128 characters'],
  [`😀${'x'.repeat(127)}`, undefined], // 129 UTF-16 units, 128 characters
  ['😀'.repeat(64), undefined],
  [`${'😀'.repeat(64)}x`, 'is longer than 256 UTF-8 bytes'],
  ['a\u0000b', 'has a control character or half a surrogate pair in it'],
  ['a\u009fb', 'has a control character or half a surrogate pair in it'],
  ['\u007f', 'has a control character or half a surrogate pair in it'],
  ['a\ud800b', 'has a control character or half a surrogate pair in it'],
  ['__broadcast__', 'is __broadcast__: everyone'],
  ['__broadcast', undefined],
  ['a/b', undefined],
  ['a\u202eb', 'has an invisible character in it, or one that turns the direction of text'],
  ['a\u200bb', 'has an invisible character in it, or one that turns the direction of text'],
  ['a\u2028b', 'has an invisible character in it, or one that turns the direction of text'],
  ...[
    '\u034f',
    '\u115f',
    '\u1160',
    '\u17b4',
    '\u17b5',
    '\u2800',
    '\u3164',
    '\uffa0',
    '\ufffc',
    '\u{16fe4}',
    '\u{1d159}',
  ]
    // Not assigned yet, and shown as nothing as they will be.
    .concat('\u2065', '\ufff0', '\ufff8', '\u{e0000}', '\u{e0002}', '\u{e0080}', '\u{e01f0}', '\u{e0fff}')
    .map((blank): [string, string] => [
      `bob${blank}`,
      'has an invisible character in it, or one that turns the direction of text',
    ]),
  ['ᠠ\u180b', undefined],
  ['❤\ufe0f', undefined],
  ['葛\u{e0100}', undefined],
  ['\ufeffa', 'has an invisible character in it, or one that turns the direction of text'],
  ['👩\u200d🚀', undefined],
  ['می\u200cخواهم', undefined],
  ['.', undefined],
])('%j: %s', (id, fault) => {
  expect(idFault(id)).toBe(fault);
});

test.each(['7', 'null', '{"id":1}'])('an app without types that passes %s is told so', (json) => {
  expect(idFault(JSON.parse(json))).toBe(`is ${json}, not a string`);
});

test('a good id is always fit to be a tag, and a bad one has its reason', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (id) => {
      const bytes = new TextEncoder().encode(id).length;
      const hasControl = [...id].some(
        (character) => character < ' ' || (character >= '\u007f' && character <= '\u009f'),
      );
      const isVisible = !/[\p{Zl}\p{Zp}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{16fe4}\u{1d159}]/u.test(
        id.replace(/\u200c|\u200d|\p{Variation_Selector}/gu, ''),
      );
      const isGood = id !== '' && bytes <= 256 && [...id].length <= 128 && !hasControl && isVisible;
      expect(idFault(id) === undefined).toBe(isGood && id !== '__broadcast__');
    }),
  );
});
