/** JSON from outside: read into `unknown`, and told apart from there. */
import { ProtocolError } from './error.ts';

/**
 * A short text of digits alone. V8 keeps each but once, at a place that its value decides, so that thousands with one
 * place can be made; each is then compared with all before it, also of other messages (workerd and Chromium 156,
 * 2026-11: 64 KB took 50 to 90 ms).
 */
const DIGITS = /"((?:\d|\\u003\d){4,10})"/g;

/** So many that may have one place do no harm. */
const MAX_ALIKE = 32;

/** What a client says may be all alike. What a server says of a thousand members is, if their last 12 bits are. */
export const SERVER_ALIKE = 0xfff;

/** Throws ProtocolError `bad_message` if so many different texts of digits have the same bits of `mask`. */
function checkDigits(text: string, mask: number): void {
  const alike = new Map<number, Set<string>>();
  for (const [, digits = ''] of text.matchAll(DIGITS)) {
    const place = Number(digits.replaceAll('\\u003', '')) & mask;
    const others = alike.get(place) ?? new Set();
    if (others.add(digits).size > MAX_ALIKE)
      throw new ProtocolError(
        'bad_message',
        `The JSON has over ${MAX_ALIKE} different texts of 4 to 10 digits: write numbers.`,
      );
    alike.set(place, others);
  }
}

/** Throws ProtocolError `bad_json` with `complaint`; JSON.parse's own words would quote the text back. */
export function parseJson(text: string, complaint: string, mask = 0): unknown {
  checkDigits(text, mask);
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError('bad_json', complaint); // a SyntaxError, the one thing JSON.parse throws
  }
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
