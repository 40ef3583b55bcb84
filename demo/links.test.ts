import { expect, test } from 'vitest';
import { inPieces } from './links.ts';

const links = (text: string): string[] => inPieces(text).flatMap(({ text, isLink }) => (isLink ? [text] : []));

test.each([
  ['https://example.com/a?b=c#d', ['https://example.com/a?b=c#d']],
  ['Look: http://a.test, and (https://b.test/c).', ['http://a.test', 'https://b.test/c']],
  ['https://en.wikipedia.org/wiki/Mercury_(planet)', ['https://en.wikipedia.org/wiki/Mercury_(planet)']],
  ['שלום https://a.test/ב!', ['https://a.test/ב']],
  ['HTTPS://A.TEST/', ['HTTPS://A.TEST/']],
  ['https://a.test/\u202egpj.exe', ['https://a.test/']],
  ['javascript:alert(1) data:text/html,x file:///etc/passwd example.com', []],
  ['https:// http://...', []],
  ['', []],
])('the links in %j are %j', (text, expected) => {
  expect(links(text)).toEqual(expected);
  expect(
    inPieces(text)
      .map((piece) => piece.text)
      .join(''),
  ).toBe(text);
});

test('of a flood of addresses few become links, and a long row of brackets takes no time', () => {
  expect(links('http://a.b '.repeat(300))).toHaveLength(20);
  const begun = performance.now();
  expect(links(`http://a.b/${')'.repeat(4_000)}x`.repeat(10))).toHaveLength(1);
  expect(performance.now() - begun).toBeLessThan(500);
});
