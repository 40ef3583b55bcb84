/** Input for parsers that is nearly good. */
import fc from 'fast-check';

/** A text that was good, with pieces of it cut out, doubled, or replaced by others that are dear to parsers. */
export function spoiled(...good: string[]): fc.Arbitrary<string> {
  const odd = [
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\r\n',
    '\0',
    '\ud800',
    '\u2028',
    '1e999',
    '-0',
    'null',
    '__proto__',
  ];
  const piece = fc.oneof(fc.constantFrom(...odd, ...good), fc.string({ unit: 'binary', maxLength: 8 }));
  const cut = fc.record({ at: fc.nat(2000), length: fc.nat(60), piece });
  return fc.tuple(fc.constantFrom(...good), fc.array(cut, { maxLength: 4 })).map(([text, cuts]) =>
    cuts.reduce((rest, { at, length, piece }) => {
      const start = at % (rest.length + 1);
      return rest.slice(0, start) + piece + rest.slice(start + length);
    }, text),
  );
}

/** Any JSON, and what such a text is as JSON. */
export function spoiledJson(...good: string[]): fc.Arbitrary<unknown> {
  return fc.oneof(spoiled(...good).map(parsed), fc.jsonValue());
}

/** A text as JSON; the text where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // a SyntaxError, the one thing JSON.parse throws
  }
}
