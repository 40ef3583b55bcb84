/** JSON from outside: read into `unknown`, and told apart from there. */
import { ProtocolError } from './error.ts';

/**
 * A text of four digits or more alone, and no name; and what is before it, which tells it from the end of another text
 * (Safari has had lookbehind since 16.4). V8 keeps each text of up to ten characters that JSON.parse makes but once,
 * for long; and the place of one of digits is its value (workerd and Chromium 156, 2026-11). So whoever likes makes
 * thousands with one place, of which each is compared with all before it: 64 KB took 50 to 90 ms.
 */
const DIGITS = /(^|[^\\])"((?:\d|\\u003\d){4,10})"(?!\s*:)/g;

/** What such texts begin with: a look for this costs a fifth of a search for those. */
const MAYBE_DIGITS = /"(?:\d\d|\\u003)/;

/** With this before it such a text is too long for that. Random, so that no text begins with it by itself. */
let mark = '';

/** Throws ProtocolError `bad_json` with `complaint`; JSON.parse's own words would quote the text back. */
export function parseJson(text: string, complaint: string): unknown {
  mark ||= `${Math.random()}${Math.random()}`;
  const marked = MAYBE_DIGITS.test(text) ? text.replaceAll(DIGITS, `$1"${mark}$2"`) : text;
  try {
    const value: unknown = JSON.parse(marked);
    return marked === text ? value : unmarked(value);
  } catch {
    throw new ProtocolError('bad_json', complaint); // a SyntaxError, the one thing JSON.parse throws
  }
}

/** Takes the mark away again. Not by recursion, as JSON may be nested deeply. */
function unmarked(value: unknown): unknown {
  const root = { value };
  for (const holders: object[] = [root]; holders.length > 0; ) {
    const holder = holders.pop() ?? root;
    for (const name of Object.keys(holder)) {
      const held: unknown = Reflect.get(holder, name);
      if (typeof held === 'string' && held.startsWith(mark)) Reflect.set(holder, name, held.slice(mark.length));
      else if (typeof held === 'object' && held !== null) holders.push(held);
    }
  }
  return root.value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws ProtocolError `bad_message` with `complaint` for JSON that is nested too deeply to be written again. */
export function toJson(value: unknown, complaint: string): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw new ProtocolError('bad_message', complaint); // a RangeError: of parsed JSON nothing else can be wrong
  }
}

/**
 * JSON with everything but ASCII escaped. Its length is its size in bytes wherever it is kept: V8 stores a string with
 * one character beyond Latin-1 at two bytes each, which would double a socket's attachment.
 */
export function asciiJson(value: unknown): string {
  return escapeNonAscii(toJson(value, 'The JSON is nested too deeply.'));
}

/** Takes JSON, and escapes everything in it but ASCII. All else stays as it was written. */
export function escapeNonAscii(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
