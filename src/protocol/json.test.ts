import { expect, test } from 'vitest';
import { parseJson } from './json.ts';
import { parseServerMessage } from './messages.ts';

/** Texts of digits that V8 would keep at one place: `count` multiples of 2^15, from the nth on. */
const alike = (count: number, nth = 1): string[] =>
  Array.from({ length: count }, (_, n) => String((nth + n) * 2 ** 15));
const ESCAPED = (text: string): string => JSON.stringify(text).replaceAll(/\d/g, (digit) => `\\u003${digit}`);

test.each([
  ['in a list', (texts: string[]) => JSON.stringify(texts)],
  ['as names', (texts: string[]) => JSON.stringify(Object.fromEntries(texts.map((text) => [text, 0])))],
  [
    'nested, with white space',
    (texts: string[]) =>
      JSON.stringify(
        texts.map((text) => ({ text })),
        null,
        2,
      ),
  ],
  ['escaped', (texts: string[]) => `[${texts.map(ESCAPED).join()}]`],
])('texts of digits that are alike are few, %s', (_how, write) => {
  expect(() => parseJson(write(alike(32)), '')).not.toThrow();
  expect(() => parseJson(write(alike(33)), '')).toThrow('over 32 different texts of 4 to 10 digits: write numbers');
});

test('numbers, longer texts and the same text again are no such texts', () => {
  const many = Array.from({ length: 1000 }, (_, n) => n + 1e9);
  for (const value of [many, many.map((n) => `id ${n}`), many.map(() => '1234567890'), many.map((n) => `${n}0`)])
    expect(parseJson(JSON.stringify(value), '')).toEqual(value);
});

test('a server may name a thousand members by numbers, and no thousands that are alike', () => {
  const message = (peers: string[]): string => JSON.stringify({ type: 'peers', peers, yourId: 'me' });
  const members = Array.from({ length: 1000 }, (_, n) => String(1_700_000_000 + 7 * n));
  expect(parseServerMessage(message(members))).toMatchObject({ peers: members });
  expect(parseServerMessage(message(alike(33)))).toBeUndefined();
});
