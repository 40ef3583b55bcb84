import { DurableObject } from 'cloudflare:workers';
import { type Close, COMING_BACK, UNKEPT } from '../protocol/close.ts';
import type { IceServers } from '../protocol/ice-servers.ts';
import { escapeNonAscii, parseJson } from '../protocol/json.ts';
import { closing, PING, PONG } from '../protocol/messages.ts';
import type { LeaveRequest, PollRequest } from '../protocol/poll.ts';
import { lapseRemovals } from '../room/host-removal.ts';
import { JoinRate } from '../room/join-rate.ts';
import { type Admitted, join } from '../room/joining.ts';
import { drop, isPresent, lapse, ownsPlace } from '../room/places.ts';
import { PollRate } from '../room/poll-rate.ts';
import {
  lapsePollers,
  leaveByPoll,
  type PollOutcome,
  type PollResponse,
  poll,
  type Requester,
} from '../room/polling.ts';
import { expel, expire, leave } from '../room/presence.ts';
import { receive } from '../room/relay.ts';
import { type Effect, type Limits, lengthOf, type Newcomer, type Place, type Posting, send } from '../room/room.ts';
import { Alarm } from './alarm.ts';
import { sentence } from './answer.ts';
import { entryFor, joinEntry, type LogEntry, log, pollEntry } from './log.ts';
import type { SocketMember } from './member.ts';
import { addressTag, SocketRoster } from './roster.ts';
import { Rows } from './rows.ts';
import { readLimits, type Settings } from './settings.ts';
import { allIceServers, MAY_RENEW_AFTER, RETRY_AFTER } from './turn.ts';
import { readTurn } from './turn-settings.ts';
import { accepted, joinOf, refusal } from './upgrade.ts';

/** What wrangler.toml gives the Worker. */
export interface Env extends Settings {
  SIGNALING_ROOM: DurableObjectNamespace<SignalingRoom>;
}

const NOT_STORED: PollResponse = {
  status: 503,
  body: 'Full: the room cannot store what you post. Try again later.',
  retryAfterSeconds: 30,
};

/** Effects after which another row may be the first that is due. */
const CHANGES_ROWS: ReadonlySet<Effect<never>['do']> = new Set([
  'holdPlace',
  'freePlace',
  'keepPosting',
  'dropPosting',
  'keepRemoval',
  'dropRemoval',
]);

/**
 * One room: events of its sockets in, the room's decisions carried out. Its fields can all be made again: the runtime
 * drops the object after ten quiet seconds and leaves the sockets open. So no timer and no await here: each would keep
 * it in memory, billed, and an await would let two messages of one sender overtake each other.
 */
export class SignalingRoom extends DurableObject<Settings> {
  readonly #limits: Limits;
  readonly #rows: Rows;
  readonly #roster: SocketRoster;
  readonly #alarm: Alarm;
  readonly #pollRate = new PollRate();
  readonly #joinRate: JoinRate;

  constructor(ctx: DurableObjectState, env: Settings) {
    super(ctx, env);
    this.#limits = readLimits(env);
    this.#joinRate = new JoinRate(this.#limits.maxPeers);
    this.#rows = new Rows(ctx.storage);
    this.#roster = new SocketRoster(ctx, this.#rows);
    this.#alarm = new Alarm(ctx.storage);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** A WebSocket upgrade that the Worker has let through. It is decided before it is accepted. */
  override fetch(request: Request): Response {
    const { clientId, metadata: json, token, claims, maxPeers, ahead, answer, address, given } = joinOf(request);
    const now = Date.now();
    const countOpen = (): number => (address === undefined ? 0 : this.#roster.countFrom(address));
    const place = ownsPlace({ id: clientId, token }, this.#roster, now) ? clientId : undefined;
    const waitMs = this.#joinRate.join(address, countOpen, place, now);
    if (waitMs > 0) return this.#refuseJoin(waitMs, now);
    const newcomer: Newcomer = {
      id: clientId,
      token,
      claims,
      maxPeers,
      metadata: json === undefined ? undefined : parseJson(json, ''),
      metadataLength: json === undefined ? 0 : escapeNonAscii(json).length,
    };
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    const admission = join(newcomer, this.#roster, this.#limits, now, ahead, answer);
    if (!admission.isAdmitted) {
      this.#apply(admission.effects);
      this.#log(entryFor(admission.close, false));
      return refusal(admission.close);
    }
    const welcome = send<SocketMember>({ ...admission.welcome, ...given });
    const isBack = admission.welcome.resumed === true;
    const toldWaitMs = this.#joinRate.told(welcome.text.length + lengthOf(admission.effects), isBack, now);
    if (toldWaitMs > 0) return this.#refuseJoin(toldWaitMs, now);
    this.#log(joinEntry(Math.random()));
    const { 0: client, 1: server } = new WebSocketPair();
    // The id as a tag makes a signal's target one look-up. Tags are fixed here, 256 bytes each at most (2026-11).
    this.ctx.acceptWebSocket(server, [clientId, ...(address === undefined ? [] : [addressTag(address)])]);
    const joiner = this.#roster.member(server);
    const brought = { metadata: admission.metadata, token, claims, maxPeers: admission.maxPeers };
    if (joiner.introduce(brought, isBack, now)) this.#welcome(joiner, admission, { ...welcome, to: [joiner] }, given);
    else this.#close(joiner, UNKEPT);
    return accepted(request, client);
  }

  #refuseJoin(waitMs: number, now: number): Response {
    this.#apply(expire(this.#roster, this.#limits, now));
    this.#log({ event: 'flood', code: 429, reason: 'Too many joins' });
    const seconds = Math.ceil(waitMs / 1000);
    return sentence(429, `Too many joins: come back in ${seconds} s.`, { 'Retry-After': String(seconds) });
  }

  /** Whatever goes wrong, the joiner is in the room and the others know it, or it is not and they hear that it left. */
  #welcome(
    joiner: SocketMember,
    { effects, offers }: Admitted<SocketMember>,
    welcome: Effect<SocketMember>,
    given: IceServers | undefined,
  ): void {
    try {
      if (given) this.#expectRenewal(joiner, given);
      if (offers.length > 0) joiner.setOffers(offers);
      this.#roster.changed();
      this.#apply([...effects, welcome]);
    } catch (error) {
      console.error(error);
      joiner.close(UNKEPT);
      this.#depart(joiner, () => leave(joiner, 'timeout', this.#roster, this.#limits, Date.now()));
    }
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    const sender = this.#roster.member(socket);
    // A socket that we closed goes on delivering until its handshake ends, which is up to the client (workerd,
    // 2026-11). Its readyState does not tell: where the client closes, too, the last messages before that come in a
    // closing state.
    if (sender.left) return;
    const now = Date.now();
    sender.sawMessage(now);
    this.#apply(receive(frame, sender, this.#roster, this.#limits, now, makeKey));
    // After that, as a host may remove a member that has expired, and all others of its subject with it. If the server
    // wants tokens, each member has one. Else this would look at all members, after each sleep, for nothing.
    if (sender.claims) this.#apply(expire(this.#roster, this.#limits, now));
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    const member = this.#roster.member(socket);
    // 1006: no close frame came. Everything else is a goodbye, a browser's bare close() too.
    if (code === 1006 || code === COMING_BACK) this.#lose(member, code === COMING_BACK);
    else this.#depart(member, () => leave(member, 'left', this.#roster, this.#limits, Date.now()));
    completeClose(socket, code, reason);
  }

  /** May be the last event of a socket, or webSocketClose may follow. */
  override webSocketError(socket: WebSocket): void {
    this.#lose(this.#roster.member(socket));
  }

  /** ICE servers for a member, which took the Worker longer to get than the member to join. */
  giveIceServers(clientId: string, token: string | undefined, given: IceServers): void {
    const member = this.#roster.find(clientId);
    if (!member || member.token !== token) return; // they are nobody else's
    this.#expectRenewal(member, given);
    this.#apply([send({ type: 'ice_servers', ...given }, member)]);
  }

  /**
   * The one request that a room waits for: a member makes it once in some 19 hours. To let the Worker make it would
   * take a request to the Worker and one more to the room.
   */
  async #renewIceServers(member: SocketMember): Promise<void> {
    const turn = readTurn(this.env);
    const now = Date.now();
    member.setIceServersDue(now + turn.seconds * 1000 * RETRY_AFTER);
    const given = await allIceServers(turn, member.id, now);
    if (given) this.giveIceServers(member.id, member.token, given);
  }

  #expectRenewal(member: SocketMember, { iceServersSeconds }: IceServers): void {
    if (iceServersSeconds !== undefined)
      member.setIceServersDue(Date.now() + iceServersSeconds * 1000 * MAY_RENEW_AFTER);
  }

  /** A poll of P2PCF's protocol that the Worker has read and found good. */
  poll(request: PollRequest, requester: Requester): PollResponse {
    const now = Date.now();
    this.#apply(expire(this.#roster, this.#limits, now));
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    const newDeleteKey = (): string => crypto.randomUUID();
    return this.#answer(poll(request, requester, this.#roster, this.#limits, this.#pollRate, newDeleteKey, now));
  }

  /** A poller leaves. */
  leaveByPoll(request: LeaveRequest, requester: Requester): PollResponse {
    const now = Date.now();
    this.#apply(expire(this.#roster, this.#limits, now));
    return this.#answer(leaveByPoll(request, requester, this.#roster, this.#limits, this.#pollRate, now));
  }

  /** What is posted comes first: where it cannot be, the others hear nothing of it, and the poller does. */
  #answer({ response, effects }: PollOutcome<SocketMember>): PollResponse {
    const posted = effects.filter((effect) => effect.do === 'keepPosting');
    this.#apply(posted);
    const postings = this.#roster.postings();
    const isIn = posted.every(({ posting }) => postings.includes(posting));
    if (isIn) this.#apply(effects.filter((effect) => effect.do !== 'keepPosting'));
    const answer = isIn ? response : NOT_STORED;
    this.#log(pollEntry(answer));
    return answer;
  }

  /** A place held, a poller's posting or a removal has lapsed, or would have if it had not been renewed. */
  override alarm(): void {
    const now = Date.now();
    this.#apply(lapse(this.#roster, this.#limits, now));
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    this.#apply(lapseRemovals(this.#roster, now));
    this.#alarm.follow(Number.POSITIVE_INFINITY, this.#rows.nextDue(), now);
  }

  /**
   * Carries out what was decided. A member that is found to be gone meanwhile leaves after all other effects: a joiner
   * could get that `peer_leave` first and then its `peers`, which still has the member, and would list it for ever. A
   * signal touches no row, so none is read for it.
   */
  #apply(effects: readonly Effect<SocketMember>[]): void {
    const changesRows = effects.some((effect) => CHANGES_ROWS.has(effect.do));
    const dueBefore = changesRows ? this.#rows.nextDue() : 0;
    const departures = effects.flatMap((effect) => this.#carryOut(effect));
    if (changesRows) this.#alarm.follow(dueBefore, this.#rows.nextDue(), Date.now());
    for (const depart of departures) depart();
  }

  /** Returns what has to follow. */
  #carryOut(effect: Effect<SocketMember>): (() => void)[] {
    switch (effect.do) {
      case 'send':
        // No event is sure to come for a socket that no longer takes a message, so it leaves here.
        return effect.to.filter((member) => !member.send(effect.text)).map((member) => () => this.#lose(member));
      case 'close':
        this.#close(effect.member, effect.close);
        this.#log(entryFor(effect.close, true));
        return [];
      case 'setAhead':
        return effect.member.setAhead(effect.offer) ? [] : [() => this.#expel(effect.member)];
      case 'setOffers':
        return effect.member.setOffers(effect.offers) ? [] : [() => this.#expel(effect.member)];
      case 'renewIceServers':
        void this.#renewIceServers(effect.member);
        return [];
      case 'holdPlace':
        this.#hold(effect.place, effect.member);
        return [];
      case 'freePlace':
        this.#rows.places.drop(effect.place);
        return [];
      case 'keepPosting':
        this.#post(effect.posting);
        return [];
      case 'dropPosting':
        this.#rows.postings.drop(effect.posting);
        return [];
      case 'keepRemoval':
        this.#rows.removals.keep(effect.removal);
        return [];
      case 'dropRemoval':
        this.#rows.removals.drop(effect.removal);
        return [];
      default:
        return effect satisfies never;
    }
  }

  #log(entry: LogEntry | undefined): void {
    void log(entry, this.ctx.id.name ?? '', this.env);
  }

  /** From then on it is no member. */
  #close(member: SocketMember, close: Close): void {
    this.#roster.changed();
    member.markLeft();
    if (member.token !== undefined) member.send(JSON.stringify(closing(close)));
    member.close(close);
  }

  #expel(member: SocketMember): void {
    if (!member.left) this.#apply(expel(member, UNKEPT, this.#roster, this.#limits, Date.now()));
  }

  #lose(member: SocketMember, saysSo = false): void {
    this.#depart(member, () => drop(member, this.#roster, this.#limits, Date.now(), saysSo));
  }

  /** Past the day's free writes there is no place to hold: then a loss is a departure. */
  #hold(place: Place, member: SocketMember): void {
    if (this.#rows.places.keep(place)) return;
    this.#rows.places.drop(place);
    this.#apply(leave(member, 'timeout', this.#roster, this.#limits, Date.now()));
  }

  /**
   * When the day's free writes are used up, no new poller comes in: the room would forget it as it sleeps, and members
   * that had heard of it would never hear that it has gone. The row of a poller that is there already will lapse.
   */
  #post(posting: Posting): void {
    const { postings } = this.#rows;
    if (postings.all().some((each) => isOfSamePoller(each, posting))) postings.keep(posting);
    else postings.store(posting);
  }

  /** Several events may tell of one departure: it is dealt with once. */
  #depart(member: SocketMember, effects: () => Effect<SocketMember>[]): void {
    if (!member.markLeft()) return;
    this.#roster.changed();
    // Another that came under its id while it was closing may be there in its place.
    if (!isPresent(member.id, this.#roster, Date.now())) this.#apply(effects());
  }
}

/**
 * Whether the first posting, which is stored, is by the same poller as the second, and not by one that was there
 * before.
 */
function isOfSamePoller({ contextId, entry, isName }: Posting, posting: Posting): boolean {
  return !isName && contextId === posting.contextId && entry.sessionId === posting.entry.sessionId;
}

/** 122 random bits. */
function makeKey(): string {
  return crypto.randomUUID().replaceAll('-', '');
}

/**
 * Answers a client's close frame: the runtime does not for hibernatable sockets (workerd, 2026-11), and the client
 * would wait for a time-out. 1005 and 1006 stand for "no code" and "no close frame" and cannot be sent.
 */
function completeClose(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === WebSocket.CLOSED) return;
  const answer: [code?: number, reason?: string] = code === 1005 ? [] : code === 1006 ? [1000] : [code, reason];
  // The second for a code that may not be sent, which is a protocol error (RFC 6455, section 7.4).
  for (const each of [answer, [1002]] satisfies (typeof answer)[]) {
    try {
      socket.close(...each);
      return;
    } catch {
      // That; or nothing is left to answer, as the connection is gone.
    }
  }
}
