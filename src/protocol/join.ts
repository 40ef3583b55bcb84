/** How a client joins: address and subprotocols of its WebSocket, written by the client and read by the Worker. */
import { fromBase64Url, toBase64Url } from './base64url.ts';
import { ProtocolError } from './error.ts';
import { idFault } from './ids.ts';
import { isObject, parseJson, toJson } from './json.ts';
import { isOwnedId, ownedId } from './owned-id.ts';
import { type Description, type IceCandidate, parseSignal } from './signal.ts';
import { utf8Length } from './utf8.ts';

/** A room's WebSocket is here, followed by its percent-encoded id. */
export const ROOM_PATH = '/ws/room/';

/** Or here, followed by its id as base64url: proxies decode a path, merge slashes in it and take steps out of it. */
const ENCODED_ROOM_PATH = '/ws/room-base64url/';

/** An id that every proxy leaves as it is. */
const PLAIN_ID = /^[\w-][\w.-]*$/;

/**
 * Longest metadata of a join, in UTF-8 bytes of JSON. The library promises an app 2,048 and needs some for its own
 * envelope. With an offer it fits into a socket's attachment of 16,384 bytes however it is escaped (2026-11), if the
 * room token has no long subject beside: then the longest offers are not kept.
 */
export const MAX_JOIN_METADATA_BYTES = 2560;

/** Longest answer of a join, in UTF-8 bytes of JSON: a data channel and a dozen candidates have some 2,000. */
export const MAX_JOIN_ANSWER_BYTES = 8192;

/**
 * Longest list of subprotocols that is read; with all of a join at its largest, a room token too, it has some 22,000.
 */
const MAX_SUBPROTOCOLS_LENGTH = 32_768;

/** What `max` may be: a room has at most as many sockets. */
const MAX_PEERS_RANGE = 'a whole number from 1 to 32,000';

/** As `resume`: give me a token by which to get my place back. Later the token itself stands there. */
const RESUME_NEXT_TIME = '1';

/**
 * The subprotocol that the server agrees to. What should not stand in a URL, because servers and proxies log URLs,
 * travels beside it: `p2pcf-ws.<parameter>.<its value as base64url>`.
 */
export const SUBPROTOCOL = 'p2pcf-ws';

/** What a client says when it joins. */
export interface Join {
  roomId: string;
  /** Our id, unique in the room. Without one the server makes it up. */
  clientId?: string | undefined;
  /** What the others are told of us, as JSON. */
  metadata?: string | undefined;
  /** RESUME_NEXT_TIME, or the token of the place we want back. */
  resume?: string;
  /** The app's word that we may come in: a room token (PROTOCOL.md). */
  token?: string | undefined;
  /** Most peers that the room is to have, if we are the one to open it. */
  maxPeers?: number | undefined;
  /** Hand me the offers that others have published ahead. */
  ahead?: boolean;
  /** An answer, as JSON, to whichever offer published ahead the room gives it. */
  answer?: string | undefined;
}

/** The description and the candidates that are known by then; or all of it sealed, for members with the key. */
export type JoinAnswer = (Description & { candidates: IceCandidate[] }) | { sealed: unknown };

/** A join that the Worker has let through: the room trusts it. */
export interface CheckedJoin {
  readonly roomId: string;
  readonly clientId: string;
  readonly metadata?: string;
  /** What the client proves by that its place is its own. */
  readonly token?: string;
  readonly maxPeers?: number;
  readonly ahead: boolean;
  /** Its answer to whichever offer it is given first. */
  readonly answer?: JoinAnswer;
}

/**
 * An address on the server. Written without the global URL, which React Native has by halves only. Throws Error with a
 * sentence for a workerUrl that cannot work.
 */
export function serverUrl(workerUrl: string, scheme: 'http' | 'ws', path: string, parameters: string[] = []): string {
  if (!workerUrl) throw new Error('workerUrl is missing: pass the address of your server');
  if (/[<>]/.test(workerUrl))
    throw new Error(`workerUrl is ${workerUrl}: put your own address in place of what is in <>`);
  const [, secure, host, base = '', query] =
    /^(?:http|ws)(s?):\/\/([^/?#]+)((?:\/[^?#]*?)??)\/*(?:\?([^#]*))?(?:#.*)?$/i.exec(String(workerUrl).trim()) ?? [];
  if (!host) throw new Error(`workerUrl is ${workerUrl}: it must begin with https://, http://, wss:// or ws://`);
  const [, port] = /^(?:[^@]*@)?(?:\[[\da-f:.]+\]|[^\s:[\]]+)(?::(\d*))?$/i.exec(host) ?? [host, '99999'];
  if (Number(port ?? 0) > 65_535)
    throw new Error(`workerUrl is ${workerUrl}: ${host} must be a name or an address, with a port up to 65535`);
  const search = [...(query ? [query] : []), ...parameters].join('&');
  return `${scheme}${secure?.toLowerCase()}://${host}${base}${path}${search && `?${search}`}`;
}

/** The address to connect to. Throws Error with a sentence if the workerUrl or anything else cannot work. */
export function joinUrl(workerUrl: string, { roomId, clientId, metadata = '', resume, maxPeers, ahead }: Join): string {
  const roomFault = idFault(roomId);
  if (roomFault) throw new Error(`The option roomId ${roomFault}. Pass the name of the room.`);
  const clientFault = clientId && idFault(clientId);
  if (clientFault) throw new Error(`The option clientId ${clientFault}. Leave it out, and the server makes one.`);
  if (maxPeers !== undefined && !isMaxPeers(String(maxPeers)))
    throw new Error(`maxPeers is ${maxPeers}: it must be ${MAX_PEERS_RANGE}.`);
  const bytes = utf8Length(metadata);
  if (bytes > MAX_JOIN_METADATA_BYTES)
    throw new Error(`The metadata has ${bytes} bytes of JSON; ${MAX_JOIN_METADATA_BYTES} is the most.`);
  if (resume && !isRandomToken(String(resume)))
    throw new Error('resumeToken must have 36 characters, random and in small letters, as crypto.randomUUID() gives.');
  const path = PLAIN_ID.test(roomId) ? ROOM_PATH + roomId : ENCODED_ROOM_PATH + toBase64Url(roomId);
  return serverUrl(workerUrl, 'ws', path, [
    ...(clientId && PLAIN_ID.test(clientId) ? [`clientId=${clientId}`] : []),
    ...(maxPeers === undefined ? [] : [`max=${maxPeers}`]),
    ...(ahead ? ['ahead=1'] : []),
  ]);
}

/** The subprotocols to connect with: what of a join does not belong into a URL, or might not come through in one. */
export function joinSubprotocols({ clientId, metadata, resume, token, answer }: Join): string[] {
  const said = { clientId: clientId && PLAIN_ID.test(clientId) ? '' : clientId, metadata, resume, token, answer };
  return [
    SUBPROTOCOL,
    ...Object.entries(said).flatMap(([name, value]) => (value ? [`${SUBPROTOCOL}.${name}.${toBase64Url(value)}`] : [])),
  ];
}

/** What a URL parser makes of the address. */
interface ParsedUrl {
  readonly pathname: string;
  readonly search: string;
  readonly searchParams: { get(name: string): string | null };
}

/** Whether an address is a room's, whether or not the room's id is a good one. */
export function isRoomPath(pathname: string): boolean {
  return [ROOM_PATH, ENCODED_ROOM_PATH].some(
    (path) => pathname.startsWith(path) && !pathname.slice(path.length).includes('/'),
  );
}

function roomIdIn(pathname: string): string {
  if (!pathname.startsWith(ENCODED_ROOM_PATH)) return percentDecoded(pathname.slice(ROOM_PATH.length));
  const id = fromBase64Url(pathname.slice(ENCODED_ROOM_PATH.length));
  if (id === undefined) throw fault(`What follows ${ENCODED_ROOM_PATH} must be base64url of UTF-8 text.`);
  return id;
}

/**
 * Reads a join: the address of a room, and the subprotocols offered with it, which count where both say something.
 * `makeToken` makes 36 random characters that a UUID may have. Throws ProtocolError for what is against the rules.
 */
export function parseJoin(
  { pathname, search, searchParams }: ParsedUrl,
  subprotocols: string | null,
  makeToken: () => string,
): CheckedJoin {
  const roomId = roomIdIn(pathname);
  percentDecoded(search); // the search parameters are read leniently: %zz would pass for the text "%zz"
  const parameter = (name: string): string | null => offered(name, subprotocols) ?? searchParams.get(name);
  const roomFault = idFault(roomId);
  if (roomFault) throw fault(`The room id ${roomFault}.`);
  const metadata = parameter('metadata');
  const answer = parameter('answer');
  const resume = parameter('resume');
  if (resume !== null && resume !== RESUME_NEXT_TIME && !isRandomToken(resume))
    throw fault(`The parameter resume must be ${RESUME_NEXT_TIME} or the resumeToken of an earlier peers message.`);
  const max = parameter('max');
  if (max !== null && !isMaxPeers(max)) throw fault(`The parameter max must be ${MAX_PEERS_RANGE}.`);
  const token = resume === RESUME_NEXT_TIME ? makeToken() : resume;
  // A client that has a token and names no id gets the id that its token owns.
  const clientId = parameter('clientId') || (token === null ? makeToken() : ownedId(token));
  const clientFault = idFault(clientId);
  if (clientFault) throw fault(`The client id ${clientFault}.`);
  return {
    roomId,
    clientId,
    ...(metadata !== null && { metadata: JSON.stringify(readMetadata(metadata)) }),
    ...(token !== null && { token }),
    ...(max !== null && { maxPeers: Number(max) }),
    ahead: parameter('ahead') === '1',
    ...(answer !== null && { answer: readAnswer(answer) }),
  };
}

/**
 * The token of a join or a poll by which the app's backend lets it in; undefined for none. It is no part of the join:
 * the Worker reads it, and the room is not told. A subprotocol that is no base64url is taken as it is, and refused as a
 * token: only that refusal can tell the page why.
 */
export function roomTokenOf({ searchParams }: ParsedUrl, subprotocols: string | null): string | undefined {
  const text = subprotocol('token', subprotocols);
  return (text && fromBase64Url(text)) ?? text ?? searchParams.get('token') ?? undefined;
}

/** Whether a join may come under the id it names: a plain one anybody, an owned one nobody but its owner. */
export function mayUseId({ clientId, token }: CheckedJoin): boolean {
  return !isOwnedId(clientId) || (token !== undefined && ownedId(token) === clientId);
}

/** Whether the list of subprotocols a client offers has ours in it. */
export function offersSubprotocol(subprotocols: string | null): boolean {
  return listed(subprotocols).includes(SUBPROTOCOL);
}

/** The value of a parameter among the subprotocols. */
function offered(name: string, subprotocols: string | null): string | undefined {
  const text = subprotocol(name, subprotocols);
  if (text === undefined) return undefined;
  const value = fromBase64Url(text);
  if (value === undefined) throw fault(`The subprotocol ${SUBPROTOCOL}.${name}.… must end in base64url of UTF-8 text.`);
  return value;
}

/** What stands behind the name of a parameter among the subprotocols. */
function subprotocol(name: string, subprotocols: string | null): string | undefined {
  const start = `${SUBPROTOCOL}.${name}.`;
  return listed(subprotocols)
    .find((each) => each.startsWith(start))
    ?.slice(start.length);
}

function listed(subprotocols: string | null): string[] {
  if ((subprotocols?.length ?? 0) > MAX_SUBPROTOCOLS_LENGTH)
    throw fault(`The subprotocols are longer than ${MAX_SUBPROTOCOLS_LENGTH} characters.`);
  return subprotocols?.split(',').map((each) => each.trim()) ?? [];
}

/**
 * Whether a token has the length and the digits of a random one. Of 36 random hexadecimal digits, or of a UUID, fewer
 * than seven are different once in about a thousand million times.
 */
function isRandomToken(token: string): boolean {
  const digits = token.replaceAll('-', '');
  return /^[0-9a-f-]{36}$/.test(token) && digits.length >= 32 && new Set(digits).size >= 7;
}

function isMaxPeers(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 32_000;
}

function readMetadata(json: string): unknown {
  const complaint = 'The metadata is not JSON. Use encodeURIComponent(JSON.stringify(metadata)).';
  return readJson('metadata', json, MAX_JOIN_METADATA_BYTES, complaint);
}

/** JSON that is passed on. Its length is that of either writing: written again, `1e20` is 100000000000000000000. */
function readJson(name: string, json: string, maxBytes: number, complaint: string): unknown {
  const value = parseJson(json, complaint);
  const written = toJson(value, `The ${name} is nested too deeply.`);
  if (Math.max(utf8Length(json), utf8Length(written)) > maxBytes)
    throw fault(`The ${name} is longer than ${maxBytes} UTF-8 bytes of JSON.`);
  return value;
}

function readAnswer(json: string): JoinAnswer {
  const brought = readJson('answer', json, MAX_JOIN_ANSWER_BYTES, 'The answer is not JSON.');
  if (isObject(brought) && 'sealed' in brought) return { ...brought, sealed: brought['sealed'] };
  const answer = parseSignal(brought);
  if (answer?.description?.type !== 'answer')
    throw fault('The answer must be a signal with the description of an answer.');
  return { ...answer.description, candidates: answer.candidates };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A URIError, the one thing it throws.
    throw fault('The URL has a % that does not begin a percent-encoded UTF-8 character. Use encodeURIComponent.');
  }
}

function fault(sentence: string): ProtocolError {
  return new ProtocolError('bad_message', sentence);
}
