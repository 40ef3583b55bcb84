import { expect, onTestFinished, test, vi } from 'vitest';
import { hue, initials, nameOf, tidy, tidyFileName } from './names.ts';

test.each([
  ['Ada Lovelace', 'AL'],
  ['ada', 'A'],
  ['Guest 1234', 'G1'],
  ['Anna Maria von Holst', 'AH'],
  ['  李 小龙 ', '李小'],
  ['👩‍🚀 Sally', '👩‍🚀S'],
  ['---', '?'],
  ['Ada Lovelace (someone else)', 'AL'],
  ['', '?'],
])('the initials of %j are %j', (name, expected) => {
  expect(initials(name)).toBe(expected);
});

test('a browser that cannot tell letters apart takes the first character', () => {
  vi.stubGlobal('Intl', {});
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(initials('Ada 👩‍🚀')).toBe('A👩');
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

test.each([
  'You',
  'YOU',
  ' y o u ',
  'You:',
  '(you)',
  'Y\u200dou',
  'You\u3164',
  'Yo\ufe0fu\u034f',
  'You\u2800',
  'Ｙｏｕ',
  'Ada',
  'ada.',
  'Ada (you)',
  'Bob （you）',
  'A\u00a0d a',
])('a peer that calls itself %j is told apart from us, who are Ada', (name) => {
  expect(nameOf({ client_id: 'bot-1', metadata: { name } }, 'Ada')).toBe(`${tidy(name)} (someone else)`);
});

test.each(['Youssef', 'Adam', 'Not you', 'Ada L', '🎉 Ada', '...'])('%j is a name like others', (name) => {
  expect(nameOf({ client_id: 'bot-1', metadata: { name } }, 'Ada')).toBe(name);
  expect(nameOf({ client_id: 'bot-1', metadata: { name } }, '---')).toBe(name);
});

test('a client id can look like us as well', () => {
  expect(nameOf({ client_id: 'you', metadata: undefined })).toBe('you (someone else)');
  expect(nameOf({ client_id: '...', metadata: undefined }, '...')).toBe('... (someone else)');
});

test.each([
  ['holiday\u202egnp.exe', 'holiday gnp.exe'],
  ['a\nb\u0000c.txt', 'a b c.txt'],
  ['photo.png                    .exe', 'photo.png .exe'],
  [`${'a'.repeat(300)}.tar.gz`, `${'a'.repeat(149)}…${'a'.repeat(43)}.tar.gz`],
  ['😀'.repeat(200), '😀'.repeat(200)],
  ['فایل\u200cها.pdf', 'فایل\u200cها.pdf'],
  ['\u202e', 'Nameless'],
])('a file %j is shown as %j', (name, expected) => {
  expect(tidyFileName(name)).toBe(expected);
});

test('a colour is an angle, and names differ in it', () => {
  const hues = ['Ada', 'Bob', 'Carol', 'Dan', '李小龙'].map(hue);
  for (const each of hues) expect(each).toBeGreaterThanOrEqual(0);
  for (const each of hues) expect(each).toBeLessThan(360);
  expect(new Set(hues).size).toBe(hues.length);
});
