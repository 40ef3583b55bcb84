/** A close frame: its code, and a reason a page can read (RFC 6455 section 5.5: at most 123 UTF-8 bytes). */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

// The close frames the server sends of its own accord; PROTOCOL.md says which of them a client may retry after.
// Each stands alone, so that a client ships none but those it knows.

/** Another connection took this client id. Final: coming back would throw the newer one out in its turn. */
export const DUPLICATE: Close = { code: 4000, reason: 'Duplicate connection' };

/** The room has no more room for what the newcomer brings. Final. */
export const FULL: Close = { code: 4003, reason: 'Room is full' };

/** The room has as many peers as it may. Final. */
export function fullAt(peers: number): Close {
  return { code: FULL.code, reason: `${FULL.reason}: ${peers} peers` };
}

/** How many peers a room has that is full by a close frame; undefined if the frame does not say. */
export function peersOfFull({ reason }: Close): number | undefined {
  const peers = /^Room is full: (\d{1,5}) peers$/.exec(reason)?.[1];
  return peers === undefined ? undefined : Number(peers);
}

/** The socket pinged once and has then been silent for too long. A client that is alive after all may come back. */
export const SILENT: Close = { code: 4006, reason: 'No sign of life' };

/** The client went on sending after rate_limited. It may come back, more slowly. */
export const FLOOD: Close = { code: 4008, reason: 'Too many messages' };

/** The id belongs to another client: it is connected and has a token for it, or it polls, or polled lately. Final. */
export const TAKEN: Close = { code: 4009, reason: 'Id is taken' };

/** The id is an owned one, and this is not its token. Final. */
export const NOT_OWNER: Close = { code: TAKEN.code, reason: 'Id belongs to another token' };

/**
 * The id belongs to another client, which has lost its connection and may come back for so many seconds. Then the id is
 * free.
 */
export function heldBy(seconds: number): Close {
  return { code: TAKEN.code, reason: `Id is held for ${seconds} s` };
}

export const UNAUTHORIZED = 4401;
export const FORBIDDEN = 4403;

/** There is no room token, or it is not good, or no longer: the client may come back with another. */
export function unauthorized(reason: string): Close {
  return { code: UNAUTHORIZED, reason };
}

/** The room token was good, and is no longer. */
export const EXPIRED: Close = { code: UNAUTHORIZED, reason: 'The token has expired' };

/** Not from this page, or not into this room. Final. */
export function forbidden(reason: string): Close {
  return { code: FORBIDDEN, reason };
}

/** A host of the room has put it out, and it is not let in again until its token expires. Final. */
export const REMOVED: Close = { code: FORBIDDEN, reason: 'Removed by a host' };

/**
 * For how many seconds, by a close frame, an id is held for another; undefined if the frame says no such thing. No
 * place is held for 10,000 s, and a timer of more than 24 days fires at once: a hostile server could have us knock for
 * ever.
 */
export function heldFor({ code, reason }: Close): number | undefined {
  const seconds = code === TAKEN.code ? /^Id is held for (\d{1,4}) s$/.exec(reason)?.[1] : undefined;
  return seconds === undefined ? undefined : Number(seconds);
}

/** A client uses it to close a connection that went silent, and is coming back on another. */
export const COMING_BACK = 4010;

/**
 * The client has come back on another connection. Not final: what the room took for the newer connection may be one
 * that the client had given up and that arrived late.
 */
export const RESUMED: Close = { code: COMING_BACK, reason: 'Back on another connection' };

/** A message over MAX_MESSAGE_BYTES (RFC 6455 section 7.4.1). It may come back, without that message. */
export const TOO_LARGE: Close = { code: 1009, reason: 'Message too large' };

/** The room cannot keep what it has to know of a member (RFC 6455 section 7.4.1). It may come back. */
export const UNKEPT: Close = { code: 1011, reason: 'The room could not keep your state' };

const FINAL = [DUPLICATE.code, FULL.code, TAKEN.code, UNAUTHORIZED, FORBIDDEN];

/** Whether a client should stay away after this, because coming back could not help. */
export function isFinal(close: Close): boolean {
  return FINAL.includes(close.code) && heldFor(close) === undefined;
}

/** Whether only a room, or this server in front of one, closes like that: other servers have other codes, or none. */
export function isOfRoom({ code }: Close): boolean {
  return code === TOO_LARGE.code || (code >= 4000 && code <= 4010) || code === UNAUTHORIZED || code === FORBIDDEN;
}
