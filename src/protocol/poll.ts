/**
 * P2PCF's HTTP poll, as the npm packages `p2pcf` 1.3.14 and `p2pcf.rn` 0.7.0 speak it: its one-letter fields and
 * positional arrays get their names here and nowhere else. docs/polling.md tells the same as a conversation.
 */
import { ProtocolError } from './error.ts';
import { idFault } from './ids.ts';
import { parseJson, toJson } from './json.ts';
import { isOwnedId } from './owned-id.ts';
import { utf8Length } from './utf8.ts';

/** Longest body of a poll, in bytes: some thirty packages, where P2PCF sends one for each peer it is about to meet. */
export const MAX_POLL_BYTES = 64 * 1024;

/** Most packages of one posting: P2PCF sends one to each peer it is about to meet. */
const MAX_PACKAGES = 64;

/** Most addresses of one poller; a STUN server sees one of each family, a second where there are two networks. */
const MAX_IPS = 16;

/**
 * Shortest a posting is kept, in ms: each posting that lapses costs a run of the room's alarm. P2PCF asks for 60 s and
 * more.
 */
const MIN_KEPT_MS = 30_000;

/** Longest a posting is kept without being renewed, in ms, even if the poller asked for longer. */
const MAX_KEPT_MS = 15 * 60_000;

/** Longest a poller may ask for, in ms. */
const MAX_ASKED_MS = 24 * 60 * 60_000;

/** How far a poller's clock may be off, in ms. */
const MAX_CLOCK_ERROR_MS = 10 * 60_000;

/** Begins the session id of a peer on a socket where its id cannot be that. */
export const ALIAS_MARK = '~';

/** Longest session, client and context id, in UTF-16 units. */
const MAX_ID_UNITS = 64;

/** What a poller tells of itself: `d` in its polls. */
export interface Entry {
  /** Unique to this page load; it is what packages are addressed to. */
  readonly sessionId: string;
  /** A label: several may share it. */
  readonly clientId: string;
  /** Whether its NAT is symmetric. */
  readonly isSymmetric: boolean;
  /** SHA-256 of its DTLS certificate, 44 characters of base64. */
  readonly fingerprint: string;
  /** In ms since the epoch, by its own clock. */
  readonly startedAt: number;
  /** Its addresses as a STUN server sees them. */
  readonly reflexiveIps: readonly string[];
}

/** An entry as others are shown it: `d` and, after it, the `t` it was posted with. */
export type ListedEntry = readonly [
  sessionId: string,
  clientId: string,
  isSymmetric: boolean,
  fingerprint: string,
  startedAt: number,
  reflexiveIps: readonly string[],
  postedAt: number,
];

/**
 * What one session has for another: `json` is P2PCF's array `[to, from, …]`. It is stored and passed on as text: as
 * objects, 64 KiB of `{},{},…` would take a megabyte, and deep ones cannot be stored at all.
 */
export interface Package {
  readonly to: string;
  readonly json: string;
}

/** A poll. Without a session it is a first look around. */
export interface PollRequest {
  readonly roomId: string;
  /** What a page keeps when it is reloaded; the poller is not shown what was posted under it. */
  readonly contextId: string;
  readonly session?: Session;
}

/** The part of a poll that says who polls. */
export interface Session {
  readonly entry: Entry;
  /** When it last changed what it posts, in ms since the epoch, by its own clock: `t`. */
  readonly postedAt: number;
  /** How long to keep what it posts, in ms. */
  readonly keepMs: number;
  /** What it posts for others, all of it. Absent: what it has posted stands. */
  readonly packages?: readonly Package[];
}

/** A poller's farewell. */
export interface LeaveRequest {
  readonly roomId: string;
  readonly contextId: string;
  /** Empty if the poll names no session: then there is none to leave. */
  readonly sessionId: string;
  readonly deleteKey: string;
}

export interface PollReply {
  /** The others. */
  readonly others: readonly ListedEntry[];
  /** What they have posted for this session. */
  readonly packages: readonly Package[];
  /** What it takes to leave; for a poll that posts. */
  readonly deleteKey?: string;
}

/**
 * Reads the body of a poll that arrives at `now`, e.g. `{"r":"lobby","k":"a context"}`, or when it posts, with
 * `"d":[…],"t":1790000000000,"x":120000,"p":[]`. Throws ProtocolError `bad_json` or `bad_message`; of several faults it
 * names the same as P2PCF's own worker.
 */
export function parsePoll(text: string, now: number): PollRequest {
  return readPoll(parseBody(text), now);
}

/** Reads the body of a farewell: a poll's, and the `dk` its replies brought. Throws as parsePoll does. */
export function parseLeave(text: string, now: number): LeaveRequest {
  const body = parseBody(text);
  const deleteKey = body['dk'];
  if (typeof deleteKey !== 'string' || deleteKey === '')
    throw fault('Missing delete key', 'dk must be what the replies to your polls brought.');
  const { roomId, contextId, session } = readPoll(body, now);
  return { roomId, contextId, sessionId: session?.entry.sessionId ?? '', deleteKey };
}

/** A reply as it goes on the wire: `{"ps": […], "pk": […], "dk": "…"}`. */
export function replyJson({ others, packages, deleteKey }: PollReply): string {
  const pk = packages.map(({ json }) => json).join();
  const dk = deleteKey === undefined ? '' : `,"dk":${JSON.stringify(deleteKey)}`;
  return `{"ps":${JSON.stringify(others)},"pk":[${pk}]${dk}}`;
}

/** An entry as it goes on the wire. */
export function listed(entry: Entry, postedAt: number): ListedEntry {
  const { sessionId, clientId, isSymmetric, fingerprint, startedAt, reflexiveIps } = entry;
  return [sessionId, clientId, isSymmetric, fingerprint, startedAt, reflexiveIps, postedAt];
}

/**
 * Whether a session is p2pcf.rn's, which makes its id of a UUID without its hyphens; p2pcf's are shorter.
 * Each of the two throws on the other's packages.
 */
export function isReactNative(sessionId: string): boolean {
  return /^[0-9a-f]{32}$/.test(sessionId);
}

function parseBody(text: string): Record<string, unknown> {
  const body = parseJson(text, 'Bad JSON: the body must be a JSON object such as {"r":"lobby"}.');
  return typeof body === 'object' ? { ...body } : {}; // what is no object lacks a room id
}

function readPoll(body: Record<string, unknown>, now: number): PollRequest {
  const { r, k, d, p } = body;
  if (typeof r !== 'string' || !/^[A-Za-z0-9_-]{4,64}$/.test(r))
    throw fault('Bad room id', 'r must be 4 to 64 of the characters A to Z, a to z, 0 to 9, _ and -.');
  // P2PCF's worker does not look at it here; but the room keeps it for a while, so what cannot be one is none.
  if (!d) return { roomId: r, contextId: isShortText(k) ? k : '' };
  const { contextId, ...session } = parseSession(body, now);
  if (!p) return { roomId: r, contextId, session };
  return { roomId: r, contextId, session: { ...session, packages: parsePackages(p, session.entry.sessionId) } };
}

function parseSession({ x, t, k, d }: Record<string, unknown>, now: number): Session & { contextId: string } {
  if (typeof x !== 'number' || x <= 0 || x > MAX_ASKED_MS)
    throw fault('Bad expiration', 'x must be a number of milliseconds, more than 0 and at most a day.');
  if (typeof t !== 'number' || t === 0 || Math.abs(t - now) > MAX_CLOCK_ERROR_MS)
    throw fault('Bad timestamp', 't must be in milliseconds since 1970, within ten minutes of the time here.');
  const contextId = parseId('context', 'k', k);
  if (!Array.isArray(d) || d.length !== 6) throw fault('Bad data length', 'd must be an array of six.');
  const [session, client, isSymmetric, fingerprint, startedAt, ips]: unknown[] = d;
  const sessionId = parseId('session', 'd[0]', session);
  // A poll has no token to show: so no poller sits under an id that has an owner.
  if (isOwnedId(sessionId)) throw fault('Bad session id', 'd[0] belongs to the owner of a token, who does not poll.');
  if (sessionId.startsWith(ALIAS_MARK))
    throw fault('Bad session id', `d[0] must not begin with ${ALIAS_MARK}: that names peers on sockets.`);
  if (!isShortText(client)) throw fault('Bad client id', `d[1] must be a string of 1 to ${MAX_ID_UNITS} characters.`);
  if (typeof isSymmetric !== 'boolean') throw fault('Bad is symmetric', 'd[2] must be true or false.');
  if (typeof fingerprint !== 'string' || fingerprint.length !== 44)
    throw fault('Bad dtls', 'd[3] must be 44 characters.');
  if (typeof startedAt !== 'number' || startedAt === 0)
    throw fault('Bad joined at timestamp', 'd[4] must be in milliseconds since 1970.');
  const reflexiveIps = parseIps(ips);
  if (!/^[A-Za-z0-9+/]{42}([A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==)$/.test(fingerprint))
    throw fault('Bad base64 encoding', 'd[3] must be base64.');
  const entry = { sessionId, clientId: client, isSymmetric, fingerprint, startedAt, reflexiveIps };
  return { contextId, entry, postedAt: t, keepMs: Math.min(Math.max(x, MIN_KEPT_MS), MAX_KEPT_MS) };
}

function parseId(name: string, field: string, id: unknown): string {
  if (!isShortText(id)) throw fault(`Bad ${name} id`, `${field} must be a string of 1 to ${MAX_ID_UNITS} characters.`);
  const wrong = idFault(id);
  if (wrong) throw fault(`Bad ${name} id`, `${field} ${wrong}.`);
  return id;
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID_UNITS;
}

function parseIps(ips: unknown): string[] {
  if (Array.isArray(ips) && ips.length <= MAX_IPS) {
    const good = ips.filter(isIp);
    if (good.length === ips.length) return good;
  }
  throw fault('Bad reflexive IPs', `d[5] must be an array of IP addresses, ${MAX_IPS} at most.`);
}

/** Whether it has the shape of an address; whose it is, the peers have to find out. */
function isIp(ip: unknown): ip is string {
  return (
    typeof ip === 'string' &&
    (/^\d{1,3}(\.\d{1,3}){3}$/.test(ip) || /^(?=.*:.*:)[0-9a-fA-F:.]{2,45}(%\w{1,32})?$/.test(ip))
  );
}

/** P2PCF's worker takes any `p`, keeps it, and fails at everyone's polls from then on; here it is read before that. */
function parsePackages(packages: unknown, from: string): Package[] {
  if (!Array.isArray(packages)) throw fault('Bad packages', 'p must be an array.');
  if (packages.length > MAX_PACKAGES) throw fault('Bad packages', `p may have at most ${MAX_PACKAGES} packages.`);
  const parsed = packages.map((each: unknown): Package => {
    const [to, sender]: unknown[] = Array.isArray(each) ? each : [];
    if (typeof to !== 'string' || sender !== from)
      throw fault('Bad packages', 'each of p must be an array that begins with the session it is for and your own.');
    const json = toJson(each, 'Bad packages: p is nested too deeply.');
    // p2pcf writes what it is sent into lines of SDP. p2pcf.rn sends whole descriptions, and only to its like.
    if (!isReactNative(from) && hasLineBreak(json)) throw fault('Bad packages', 'no text in p may have a line break.');
    return { to, json };
  });
  // Written again, JSON can grow: 1e20 becomes 100000000000000000000.
  const bytes = parsed.reduce((sum, { json }) => sum + utf8Length(json), 0);
  if (bytes > MAX_POLL_BYTES) throw fault('Bad packages', `p may have at most ${MAX_POLL_BYTES} bytes.`);
  return parsed;
}

/** Whether a text in this JSON has a line break, which JSON writes as `\r` or `\n`; a backslash of its own is `\\`. */
function hasLineBreak(json: string): boolean {
  return /(?<!\\)(?:\\\\)*\\[rn]/.test(json);
}

/** The name that P2PCF's worker gives the fault, so that it can be searched for, and a sentence. */
function fault(name: string, sentence: string): ProtocolError {
  return new ProtocolError('bad_message', `${name}: ${sentence}`);
}
