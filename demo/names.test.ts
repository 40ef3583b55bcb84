import { expect, test } from 'vitest';
import { hue, initials, nameOf, tidy } from './names.ts';

test.each([
  ['Ada Lovelace', 'AL'],
  ['ada', 'A'],
  ['Guest 1234', 'G1'],
  ['Anna Maria von Holst', 'AH'],
  ['  李 小龙 ', '李小'],
  ['👩‍🚀 Sally', '👩‍🚀S'],
  ['---', '?'],
  ['', '?'],
])('the initials of %j are %j', (name, expected) => {
  expect(initials(name)).toBe(expected);
});

test.each([
  ['Ada\nLovelace', 'Ada Lovelace'],
  ['\u202eevil', 'evil'],
  ['a'.repeat(100), 'a'.repeat(40)],
  ['  ', ''],
])('%j is shown as %j', (name, expected) => {
  expect(tidy(name)).toBe(expected);
});

test.each([
  [{ name: 'Ada' }, 'Ada'],
  [{ name: 7 }, 'bot-1'],
  [null, 'bot-1'],
  [undefined, 'bot-1'],
  ['text', 'bot-1'],
  [{ name: '\u202e' }, 'Nameless'],
])('a peer with the metadata %j is called %j', (metadata, expected) => {
  expect(nameOf({ client_id: 'bot-1', metadata })).toBe(expected);
});

test('a colour is an angle, and names differ in it', () => {
  const hues = ['Ada', 'Bob', 'Carol', 'Dan', '李小龙'].map(hue);
  for (const each of hues) expect(each).toBeGreaterThanOrEqual(0);
  for (const each of hues) expect(each).toBeLessThan(360);
  expect(new Set(hues).size).toBe(hues.length);
});
