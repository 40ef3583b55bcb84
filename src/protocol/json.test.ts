import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { parseJson } from './json.ts';

/** Texts of digits that V8 keeps at one place, none of them twice. */
let made = 0;
const alike = (count: number): string[] => Array.from({ length: count }, () => String(++made * 2 ** 15));
const escaped = (text: string): string => JSON.stringify(text).replaceAll(/\d/g, (digit) => `\\u003${digit}`);

/** Node's V8 has a secret in the place (since 2026-03); that of workerd and browsers has none (bench/costs.ts). */
test.each([
  ['in lists', (texts: string[]) => JSON.stringify(texts)],
  ['with white space', (texts: string[]) => JSON.stringify({ texts, nested: texts }, null, 2)],
  ['escaped', (texts: string[]) => `[${texts.map(escaped).join()}]`],
])('JSON.parse gets no texts of digits alone, by whose value V8 places them, %s', (_how, write) => {
  const parse = vi.spyOn(JSON, 'parse');
  const texts = alike(100);
  const read = parseJson(write(texts), '');
  const [given = ''] = parse.mock.lastCall ?? [];
  parse.mockRestore();
  expect(given.replaceAll('\\u003', '')).not.toMatch(/"\d{4,10}"/);
  expect(read).toEqual(JSON.parse(write(texts)));
});

test.each([
  '"1234"',
  '["1234","\\u0031\\u0032\\u0033\\u0034"]',
  '"\\"1234"',
  '"a\\\\"',
  '["a\\\\","1234"]',
  '{"1234":"3456" , "5678" : {"7890":["9",10,"1234a",""]}}',
  '{"__proto__":"1234","a":{"__proto__":{"b":"3456"}}}',
])('%.40j is read as JSON.parse reads it', (text) => {
  expect(JSON.stringify(parseJson(text, ''))).toBe(JSON.stringify(JSON.parse(text)));
});

test('JSON that is nested deeply is read, too', () => {
  let value = parseJson(`${'['.repeat(20_000)}"1234"${']'.repeat(20_000)}`, '');
  while (Array.isArray(value)) value = value[0];
  expect(value).toBe('1234');
});

const digits = fc.stringMatching(/^[\d"\\ :a]{0,12}$/);
test('any JSON is read as JSON.parse reads it', () => {
  const json = fc.json({ stringUnit: 'binary' });
  const texts = fc.array(fc.oneof(digits, fc.dictionary(digits, digits)));
  fc.assert(
    fc.property(
      fc.oneof(
        json,
        texts.map((value) => JSON.stringify(value)),
      ),
      (text) => {
        expect(parseJson(text, '')).toEqual(JSON.parse(text));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('what is no JSON is a ProtocolError', () => {
  fc.assert(
    fc.property(fc.oneof(digits, fc.string()), (text) => {
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      if (isJson) expect(parseJson(text, '')).toEqual(JSON.parse(text));
      else expect(() => parseJson(text, 'a sentence')).toThrow('a sentence');
    }),
    { numRuns: 3_000 },
  );
});
