/**
 * What a room decides about polling peers: each leaves what it has on the room's board and is shown what the others
 * left. Pure: the caller brings the board's rows, the clock and random keys, and writes what it is told to.
 */
import {
  type Entry,
  isReactNative,
  type LeaveRequest,
  listed,
  type Package,
  type PollReply,
  type PollRequest,
  type Session,
} from '../protocol/poll.ts';
import { isSameSecret } from './secret.ts';

/** What is on the board under one context id. */
export interface Posting {
  readonly contextId: string;
  readonly entry: Entry;
  /** When it changed last, in ms since the epoch, by the poller's clock. */
  readonly postedAt: number;
  readonly packages: readonly Package[];
}

/** A poller's posting as it is stored. */
export interface Row extends Posting {
  /** What it takes to leave. */
  readonly deleteKey: string;
  /** When the poller came, in ms since the epoch. */
  readonly since: number;
  /** From then on it is not there, in ms since the epoch. */
  readonly expiresAt: number;
}

/** The rest of the room, as far as pollers are concerned. */
export interface Surroundings {
  /** Whether another kind of peer goes by this id: a socket, or one whose place is held. */
  isTaken(id: string): boolean;
  /** How many peers of other kinds there are. Asked for a newcomer only, and for one who looks around first. */
  count(): number;
  /** Most peers of one room, of all kinds together. */
  readonly maxPeers: number;
  /** Peers of other kinds as pollers are shown them, with what they have for pollers. */
  readonly bridged: readonly Posting[];
}

/** Why a poll is not answered: an HTTP status and a sentence. */
export interface Refusal {
  readonly status: 404 | 409 | 503;
  readonly sentence: string;
}

/**
 * Answers a poll. The packages in the reply are those of the rows and of `bridged`, not copies, so the caller can tell
 * what has been handed out. `write` replaces the row of its context; without it nothing changes.
 */
export function poll(
  { contextId, session }: PollRequest,
  rows: readonly Row[],
  { isTaken, count, maxPeers, bridged }: Surroundings,
  makeKey: () => string,
  now: number,
): { reply: PollReply; write?: Row } | Refusal {
  const living = rows.filter((row) => !isLapsed(row, now)).sort((a, b) => a.since - b.since);
  const mine = living.find((row) => row.contextId === contextId);
  const others = living.filter((row) => row !== mine);
  // Told that nobody is there, p2pcf posts itself at once, which saves it a second or two: with a peer on a socket it
  // takes no more than that to be offered a connection. Who else polls it hears at its next poll.
  if (!session) return { reply: count() > 0 ? { ps: [], pk: [] } : show('', others) };
  const { sessionId } = session.entry;
  // P2PCF trusts whatever session a poll names. Who has another's id would be handed its packages.
  if (isTaken(sessionId) || others.some(({ entry }) => entry.sessionId === sessionId))
    return { status: 409, sentence: 'Taken: another peer in this room goes by the session id d[0].' };
  const reply = show(sessionId, others, bridged);
  if (!session.packages) return { reply };
  if (!mine && others.length + count() >= maxPeers)
    return { status: 503, sentence: `Full: this room has its ${maxPeers} peers. Try again when one has left.` };
  reply.dk = mine?.deleteKey ?? makeKey();
  if (mine && isKnown(session, mine, now)) return { reply };
  const { entry, postedAt, packages, keepMs } = session;
  const since = mine?.since ?? now;
  return {
    reply,
    write: { contextId, entry, postedAt, packages, deleteKey: reply.dk, since, expiresAt: now + keepMs },
  };
}

/** The context id of the row that a farewell takes off the board. */
export function unpoll(request: LeaveRequest, rows: readonly Row[], now: number): { remove: string } | Refusal {
  const row = rows.find(({ contextId }) => contextId === request.contextId);
  if (
    !row ||
    isLapsed(row, now) ||
    row.entry.sessionId !== request.sessionId ||
    !isSameSecret(row.deleteKey, request.deleteKey)
  )
    return { status: 404, sentence: 'No delete key: nothing was posted under this session, context and key.' };
  return { remove: row.contextId };
}

export function isLapsed(row: Row, now: number): boolean {
  return row.expiresAt <= now;
}

/** What is on the board for a session; for one that has none yet, who is there. */
function show(sessionId: string, ...postings: readonly (readonly Posting[])[]): PollReply {
  const seen = postings.flat().filter(({ entry }) => isReactNative(entry.sessionId) === isReactNative(sessionId));
  return {
    ps: seen.map(({ entry, postedAt }) => listed(entry, postedAt)),
    pk: seen.flatMap(({ packages }) => packages.filter(([to]) => to === sessionId)),
  };
}

/**
 * Whether what a poller posts is on the board already. p2pcf says so with the `t` it posts. p2pcf.rn posts with a new
 * one every three seconds, and nobody looks at it: the same is written anew only when half its time is over.
 */
function isKnown({ entry, postedAt, packages, keepMs }: Session, row: Row, now: number): boolean {
  if (row.postedAt === postedAt) return true;
  return (
    isReactNative(entry.sessionId) &&
    row.expiresAt - now > keepMs / 2 &&
    JSON.stringify([entry, packages]) === JSON.stringify([row.entry, row.packages])
  );
}
