/** Why STUN and TURN servers were of no use, by what the browser tells of them. */

/** Of an icecandidateerror: the server, and its code (RFC 8489, RFC 8656), or 701 for no answer. */
export interface IceError {
  url: string;
  errorCode: number;
  errorText: string;
}

/** A browser says this of every server that it cannot reach from one of its addresses, though it may from another. */
const UNREACHED = 701;

/** The refusals, each once, in a sentence that begins with a blank; empty for none. */
export function refusalsIn(errors: readonly IceError[]): string {
  const refusals = errors
    .filter(({ errorCode }) => errorCode !== UNREACHED)
    .map(({ url, errorCode, errorText }) => `${url} (${[errorCode, errorText].filter(Boolean).join(' ')})`);
  return refusals.length > 0 ? ` Refused by ${[...new Set(refusals)].join(', ')}.` : '';
}
