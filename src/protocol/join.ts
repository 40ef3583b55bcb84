/** How a client joins: the address of its WebSocket, written by the client and read by the Worker. */
import { ProtocolError } from './error.ts';
import { idFault } from './ids.ts';
import { parseJson } from './json.ts';
import { utf8Length } from './utf8.ts';

/** A room's WebSocket is here, followed by its percent-encoded id. */
export const ROOM_PATH = '/ws/room/';

/**
 * Longest metadata of a join, in UTF-8 bytes of JSON. The library promises an app 2,048 and needs some for its own
 * envelope; with an offer it fits into a socket's attachment of 16,384 bytes however it is escaped (2026-11).
 */
export const MAX_JOIN_METADATA_BYTES = 2560;

/** As `resume`: give me a token by which to get my place back. Later the token itself stands there. */
export const RESUME_NEXT_TIME = '1';

/** What a client says when it joins. */
export interface Join {
  roomId: string;
  /** Our id, unique in the room. Without one the server makes it up. */
  clientId?: string;
  /** What the others are told of us, as JSON. */
  metadata?: string;
  /** RESUME_NEXT_TIME, or the token of the place we want back. */
  resume?: string;
  /** Hand me the offers that others have published ahead. */
  ahead?: boolean;
}

/** A join that the Worker has let through: the room trusts it. */
export interface CheckedJoin extends Join {
  clientId: string;
}

/**
 * The address to connect to. Written without the global URL, which React Native has by halves only. Throws Error with a
 * sentence for an address or an id that cannot work.
 */
export function joinUrl(workerUrl: string, { roomId, clientId, metadata, resume, ahead }: Join): string {
  if (!workerUrl) throw new Error('workerUrl is missing: pass the address of your server');
  const [, secure, host, path = '', query] =
    /^(?:http|ws)(s?):\/\/([^\s/?#]+)([^?#]*?)\/*(?:\?([^#]*))?(?:#.*)?$/i.exec(workerUrl.trim()) ?? [];
  if (!host) throw new Error(`workerUrl is ${workerUrl}: it must begin with https://, http://, wss:// or ws://`);
  // A URL parser takes these two for steps in a path, even as %2E and %2E%2E.
  const roomFault = /^\.\.?$/.test(roomId) ? 'is a step in a path, which no URL can carry' : idFault(roomId);
  if (roomFault) throw new Error(`The room id ${roomFault}.`);
  const clientFault = clientId && idFault(clientId);
  if (clientFault) throw new Error(`The client id ${clientFault}.`);
  const parameters = Object.entries({ clientId, metadata, resume, ahead: ahead ? '1' : undefined })
    .filter(([, value]) => value)
    .map(([name, value = '']) => `${name}=${encodeURIComponent(value)}`);
  const search = [...(query ? [query] : []), ...parameters].join('&');
  return `ws${secure}://${host}${path}${ROOM_PATH}${encodeURIComponent(roomId)}${search && `?${search}`}`;
}

/** What a URL parser makes of the address. */
interface ParsedUrl {
  readonly pathname: string;
  readonly search: string;
  readonly searchParams: { get(name: string): string | null };
}

/** Whether an address is a room's, be the room's id a good one or not. */
export function isRoomPath(pathname: string): boolean {
  return pathname.startsWith(ROOM_PATH) && !pathname.slice(ROOM_PATH.length).includes('/');
}

/** Reads the address of a room. Throws ProtocolError for what is against the rules. `makeId` makes up a client id. */
export function parseJoin({ pathname, search, searchParams }: ParsedUrl, makeId: () => string): CheckedJoin {
  const roomId = percentDecoded(pathname.slice(ROOM_PATH.length));
  // The search parameters are read leniently: %zz would pass for the text "%zz".
  if (roomId === undefined || percentDecoded(search) === undefined)
    throw fault('The URL has a % that does not begin a percent-encoded UTF-8 character. Use encodeURIComponent.');
  const roomFault = idFault(roomId);
  if (roomFault) throw fault(`The room id ${roomFault}.`);
  const clientId = searchParams.get('clientId') || makeId();
  const clientFault = idFault(clientId);
  if (clientFault) throw fault(`The client id ${clientFault}.`);
  const metadata = searchParams.get('metadata');
  if (metadata !== null) checkMetadata(metadata);
  const resume = searchParams.get('resume');
  if (resume !== null && resume !== RESUME_NEXT_TIME && !/^[0-9a-f-]{36}$/.test(resume))
    throw fault(`The parameter resume must be ${RESUME_NEXT_TIME} or the resumeToken of an earlier peers message.`);
  return {
    roomId,
    clientId,
    ...(metadata !== null && { metadata }),
    ...(resume !== null && { resume }),
    ahead: searchParams.get('ahead') === '1',
  };
}

function checkMetadata(json: string): void {
  if (utf8Length(json) > MAX_JOIN_METADATA_BYTES)
    throw fault(`The metadata is longer than ${MAX_JOIN_METADATA_BYTES} UTF-8 bytes of JSON.`);
  parseJson(json, 'The metadata is not JSON. Use encodeURIComponent(JSON.stringify(metadata)).');
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // a URIError, the one thing it throws
  }
}

function fault(sentence: string): ProtocolError {
  return new ProtocolError('bad_message', sentence);
}
