/** A room in memory: what the room decides is carried out on plain objects. */
import { expect } from 'vitest';
import type { JoinAnswer } from '../../src/protocol/join.ts';
import type { ServerMessage } from '../../src/protocol/messages.ts';
import type { LeaveRequest, Package, PollRequest, Session } from '../../src/protocol/poll.ts';
import { lapseRemovals } from '../../src/room/host-removal.ts';
import { join } from '../../src/room/joining.ts';
import { drop, lapse } from '../../src/room/places.ts';
import { PollRate } from '../../src/room/poll-rate.ts';
import { leaveByPoll, type PollOutcome, type PollResponse, poll } from '../../src/room/polling.ts';
import { expire, leave } from '../../src/room/presence.ts';
import { receive } from '../../src/room/relay.ts';
import {
  type Effect,
  type Limits,
  type Member,
  type PendingOffer,
  type Place,
  type Posting,
  type Removal,
  type Roster,
  send,
} from '../../src/room/room.ts';
import type { Claims } from '../../src/room/token-claims.ts';

export const LIMITS: Limits = {
  maxPeers: 4,
  maxMessageBytes: 1000,
  messagesPerSecond: 0,
  graceSeconds: 30,
  ghostAfterSeconds: 150,
};

/** A member as a plain object: what it heard, and how it was closed. */
export class TestMember implements Member {
  readonly outbox = { spent: 0, at: 0, burst: 0 };
  readonly inbox = { spent: 0, at: 0 };
  readonly share = { spent: 0, at: 0 };
  readonly reading = { is: false, until: 0 };
  readonly heard: ServerMessage[] = [];
  readonly id: string;
  readonly token: string | undefined;
  metadata: unknown;
  readonly claims: Claims | undefined;
  maxPeers: number | undefined;
  lastPing: number | undefined;
  iceServersDue: number | undefined;
  lastSeen: number;
  ahead: unknown;
  speaks = false;
  offers: readonly PendingOffer[] = [];
  closeCode: number | undefined;
  closeReason: string | undefined;

  constructor(id: string, { token, metadata, claims, maxPeers }: Joining, now: number) {
    this.id = id;
    this.token = token;
    this.claims = claims && claimsOf(claims);
    this.maxPeers = maxPeers;
    this.metadata = metadata;
    this.lastSeen = now;
  }

  get metadataLength(): number {
    return JSON.stringify(this.metadata)?.length ?? 0;
  }

  /** Who it thinks is here, by what it heard. */
  get view(): string[] {
    const ids = new Set<string>();
    for (const message of this.heard) {
      if (message.type === 'peers') for (const id of message.peers) ids.add(id);
      if (message.type === 'peer_join') ids.add(message.clientId);
      if (message.type === 'peer_leave') ids.delete(message.clientId);
    }
    return [...ids].sort();
  }
}

/** How a client joins. */
export interface Joining {
  wantsOffers?: boolean;
  answer?: JoinAnswer | undefined;
  metadata?: unknown;
  token?: string | undefined;
  claims?: Partial<Claims>;
  maxPeers?: number;
}

/** What a room token says, of nothing but what is given. */
export function claimsOf(given: Partial<Claims>): Claims {
  return {
    until: Number.MAX_SAFE_INTEGER,
    isHost: false,
    ...(given.sub === undefined && { hash: 'a token' }),
    ...given,
  };
}

/** A room whose members, places and postings are arrays. */
export class World implements Roster<TestMember> {
  now = 1_000_000;
  members: TestMember[] = [];
  /** Whose sockets are closing, and whose end is told by drop() or leave(). */
  closing: TestMember[] = [];
  held: Place[] = [];
  posted: Posting[] = [];
  removed: Removal[] = [];
  readonly inbox = { spent: 0, at: 0 };
  readonly unread = { spent: 0, at: 0 };
  readonly rate = new PollRate();
  touchedAll = 0;
  /** The members that were to get new ICE servers. */
  readonly renewed: TestMember[] = [];
  /** How often a posting was written. */
  written = 0;
  #keys = 0;

  find(id: string): TestMember | undefined {
    return this.members.find((member) => member.id === id);
  }

  others(than?: TestMember): TestMember[] {
    this.touchedAll++;
    return this.members.filter((member) => member !== than);
  }

  leaving(): TestMember[] {
    return this.closing;
  }

  places(): Place[] {
    return this.held;
  }

  postings(): Posting[] {
    return this.posted;
  }

  removals(): Removal[] {
    return this.removed;
  }

  firstExpiry(): number {
    return Math.min(...this.members.map(({ claims }) => claims?.until ?? Number.POSITIVE_INFINITY));
  }

  count(): number {
    return this.members.length;
  }

  join(id: string, entry: Joining = {}, limits = LIMITS): TestMember {
    const joiner = new TestMember(id, entry, this.now);
    const admission = join<TestMember>(joiner, this, limits, this.now, entry.wantsOffers, entry.answer);
    if (admission.isAdmitted) {
      joiner.metadata = admission.metadata;
      joiner.offers = admission.offers;
      joiner.maxPeers = admission.maxPeers;
      joiner.speaks = admission.welcome.resumed === true;
      this.members.push(joiner);
      this.apply([...admission.effects, send(admission.welcome, joiner)]);
    } else {
      this.apply([...admission.effects, { do: 'close', member: joiner, close: admission.close }]);
    }
    return joiner;
  }

  /** Its socket is closing: leave() or drop() follows, when the room is told how. */
  beginToLeave(member: TestMember): void {
    this.#forget(member);
    this.closing.push(member);
  }

  leave(member: TestMember): void {
    this.#forget(member);
    this.apply(leave(member, 'left', this, LIMITS, this.now));
  }

  /** `saysSo`: by its close code. */
  drop(member: TestMember, saysSo = false): void {
    this.#forget(member);
    this.apply(drop(member, this, LIMITS, this.now, saysSo));
  }

  #forget(member: TestMember): void {
    this.members = this.members.filter((other) => other !== member);
    this.closing = this.closing.filter((other) => other !== member);
  }

  ping(member: TestMember): void {
    member.lastPing = this.now;
    member.lastSeen = this.now;
  }

  pass(seconds: number): void {
    this.now += seconds * 1000;
  }

  /** What the alarm does. */
  lapse(): void {
    this.apply(lapse(this, LIMITS, this.now));
    this.apply(lapseRemovals(this, this.now));
  }

  receive(sender: TestMember, message: unknown, limits = LIMITS): void {
    sender.lastSeen = this.now;
    sender.speaks = true;
    const frame = typeof message === 'string' ? message : JSON.stringify(message);
    this.apply(receive(frame, sender, this, limits, this.now, () => 'k'.repeat(32)));
    this.apply(expire(this, limits, this.now));
  }

  /** Only these poll from now on. */
  poll(...ids: string[]): void {
    for (const { contextId, entry, deleteKey } of this.posted) {
      const { sessionId } = entry;
      if (!ids.includes(sessionId)) this.leaveByPoll({ roomId: 'lobby', contextId, sessionId, deleteKey });
    }
    for (const id of ids) {
      if (this.posted.every(({ entry }) => entry.sessionId !== id))
        this.answer({
          roomId: 'lobby',
          contextId: id,
          session: { ...sessionOf(id, this.now), keepMs: Number.MAX_SAFE_INTEGER },
        });
    }
  }

  answer(request: PollRequest, limits = LIMITS, claims?: Partial<Claims>, address?: string): PollResponse {
    const requester = { claims: claims && claimsOf(claims), address };
    this.apply(expire(this, limits, this.now));
    return this.#outcome(poll(request, requester, this, limits, this.rate, () => `key ${++this.#keys}`, this.now));
  }

  leaveByPoll(request: LeaveRequest, address?: string): PollResponse {
    const requester = { claims: undefined, address };
    this.apply(expire(this, LIMITS, this.now));
    return this.#outcome(leaveByPoll(request, requester, this, LIMITS, this.rate, this.now));
  }

  #outcome({ response, effects }: PollOutcome<TestMember>): PollResponse {
    this.apply(effects);
    return response;
  }

  apply(effects: readonly Effect<TestMember>[]): void {
    for (const effect of effects) {
      switch (effect.do) {
        case 'send':
          for (const member of effect.to) member.heard.push(JSON.parse(effect.text));
          break;
        case 'close':
          effect.member.closeCode = effect.close.code;
          effect.member.closeReason = effect.close.reason;
          this.members = this.members.filter((other) => other !== effect.member);
          break;
        case 'setAhead':
          effect.member.ahead = effect.offer;
          break;
        case 'holdPlace':
          this.held = [...this.held.filter(({ id }) => id !== effect.place.id), effect.place];
          break;
        case 'freePlace':
          expect(this.held).toContain(effect.place);
          this.held = this.held.filter((place) => place !== effect.place);
          break;
        case 'renewIceServers':
          this.renewed.push(effect.member);
          break;
        case 'setOffers':
          effect.member.offers = effect.offers;
          break;
        case 'keepPosting': {
          const { contextId } = effect.posting;
          this.written++;
          this.posted = [...this.posted.filter((each) => each.contextId !== contextId), effect.posting];
          break;
        }
        case 'dropPosting':
          expect(this.posted).toContain(effect.posting);
          this.posted = this.posted.filter((each) => each !== effect.posting);
          break;
        case 'keepRemoval': {
          const { bearer } = effect.removal;
          this.removed = [...this.removed.filter((each) => each.bearer !== bearer), effect.removal];
          break;
        }
        case 'dropRemoval':
          expect(this.removed).toContain(effect.removal);
          this.removed = this.removed.filter((each) => each !== effect.removal);
          break;
        default:
          effect satisfies never;
      }
    }
  }
}

/** What a poller says of itself when it posts. */
export function sessionOf(sessionId: string, postedAt: number): Required<Session> {
  const entry = {
    sessionId,
    clientId: 'a label',
    isSymmetric: false,
    fingerprint: `${'A'.repeat(43)}=`,
    startedAt: 1,
    reflexiveIps: [],
  };
  return { entry, postedAt, keepMs: 120_000, packages: [] };
}

/** A package as P2PCF has it. */
export function packed(...content: readonly [to: string, from: string, ...unknown[]]): Package {
  return { to: content[0], json: JSON.stringify(content) };
}
