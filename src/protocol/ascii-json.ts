/**
 * JSON with everything but ASCII escaped. Its length is its size in bytes wherever it is kept: V8 stores a string with
 * one character beyond Latin-1 at two bytes each, which would double a socket's attachment.
 */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
