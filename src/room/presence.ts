/** Who is there: members that leave or are put out, ghosts, and who hears of it. Newcomers are in joining.ts. */
import { type Close, EXPIRED, SILENT } from '../protocol/close.ts';
import type { LeaveReason } from '../protocol/messages.ts';
import { isReactNative } from '../protocol/poll.ts';
import { type Effect, type Limits, type Member, type Posting, type Roster, send } from './room.ts';
import { type Bearer, hasExpired } from './token-claims.ts';

/** `leaver` is gone: the others hear of it. */
export function leave<M extends Member>(
  leaver: M,
  reason: LeaveReason,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  const { living, effects } = sweep(roster.others(leaver), limits, now);
  return [...effects, farewell(leaver.id, reason, living, now)];
}

/** The room ends the connection of `member`, and tells the others. */
export function expel<M extends Member>(
  member: M,
  close: Close,
  roster: Roster<M>,
  limits: Limits,
  now: number,
): Effect<M>[] {
  return [{ do: 'close', member, close }, ...leave(member, 'timeout', roster, limits, now)];
}

/**
 * Closes those of `members` whose time is over. The others hear of it, and so does `twin`, a member that is not among
 * those looked at.
 */
export function sweep<M extends Member>(
  members: readonly M[],
  limits: Limits,
  now: number,
  twin?: M,
): { living: readonly M[]; effects: Effect<M>[] } {
  const living: M[] = [];
  const effects: Effect<M>[] = [];
  const gone: M[] = [];
  for (const member of members) {
    const close = endOf(member, limits, now);
    if (!close) living.push(member);
    else {
      gone.push(member);
      effects.push({ do: 'close', member, close });
    }
  }
  const audience = twin ? [...living, twin] : living;
  for (const { id } of gone) effects.push(farewell(id, 'timeout', audience, now));
  return { living, effects };
}

/** Puts out the members whose tokens have expired. Looks at all of them only if there is one. */
export function expire<M extends Member>(roster: Roster<M>, limits: Limits, now: number): Effect<M>[] {
  return roster.firstExpiry() <= now ? sweep(roster.others(), limits, now).effects : [];
}

/** The close frame for a member whose time is over: it is a ghost, or its token has expired. */
export function endOf(member: Member, limits: Limits, now: number): Close | undefined {
  if (isGhost(member, limits, now)) return SILENT;
  return hasExpired(member, now) ? EXPIRED : undefined;
}

export function isGhost(member: Member, { ghostAfterSeconds }: Limits, now: number): boolean {
  return now - member.lastSeen > ghostAfterSeconds * 1000 && member.lastPing !== undefined;
}

export function farewell<M>(clientId: string, reason: LeaveReason, to: readonly M[], now: number): Effect<M> {
  return send({ type: 'peer_leave', clientId, timestamp: now, reason }, ...to);
}

/** The `mutes` among `living` make room for a newcomer. The rest hear of it, and they not of each other. */
export function putOut<M extends Member>(
  mutes: readonly M[],
  living: readonly M[],
  now: number,
): { others: readonly M[]; effects: Effect<M>[] } {
  const going = new Set(mutes);
  const others = living.filter((member) => !going.has(member));
  const effects = mutes.flatMap((mute): Effect<M>[] => [
    { do: 'close', member: mute, close: SILENT },
    farewell(mute.id, 'timeout', others, now),
  ]);
  return { others, effects };
}

/** Pollers as members are told of them, their labels where the library has its own. p2pcf.rn is not told of. */
export function introductions(pollers: readonly Posting[]): (Bearer & { id: string; metadata: unknown })[] {
  return pollers
    .filter(({ entry }) => !isReactNative(entry.sessionId))
    .map(({ entry, claims }) => ({ id: entry.sessionId, metadata: { client_id: entry.clientId }, claims }));
}

/** Whether it has given a sign of life after its join. */
export function hasSent({ lastPing, speaks }: Member): boolean {
  return lastPing !== undefined || speaks;
}
