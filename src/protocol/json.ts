/** JSON from outside: read into `unknown`, and told apart from there. */
import { ProtocolError } from './error.ts';

/** Throws ProtocolError `bad_json` with `complaint`; JSON.parse's own words would quote the text back. */
export function parseJson(text: string, complaint: string): unknown {
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
