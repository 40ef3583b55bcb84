import { DurableObject } from 'cloudflare:workers';
import { type Close, COMING_BACK, UNKEPT } from '../protocol/close.ts';
import { escapeNonAscii } from '../protocol/json.ts';
import { closing, PING, PONG } from '../protocol/messages.ts';
import type { LeaveRequest, PollRequest } from '../protocol/poll.ts';
import { JoinRate } from '../room/join-rate.ts';
import { PollRate } from '../room/poll-rate.ts';
import { lapsePollers, leaveByPoll, type PollOutcome, type PollResponse, poll } from '../room/polling.ts';
import { type Admitted, drop, expel, join, lapse, leave } from '../room/presence.ts';
import { receive } from '../room/relay.ts';
import { type Effect, type Limits, type Newcomer, type Place, send } from '../room/room.ts';
import { Alarm } from './alarm.ts';
import type { SocketMember } from './member.ts';
import { addressTag, SocketRoster } from './roster.ts';
import { Rows } from './rows.ts';
import { readLimits, type Settings } from './settings.ts';
import { accepted, joinOf } from './upgrade.ts';

/** What wrangler.toml gives the Worker. */
export interface Env extends Settings {
  SIGNALING_ROOM: DurableObjectNamespace<SignalingRoom>;
}

/** Effects after which another row may be the first that is due. */
const CHANGES_ROWS: ReadonlySet<Effect<never>['do']> = new Set([
  'holdPlace',
  'freePlace',
  'keepPosting',
  'dropPosting',
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
    const { clientId, metadata: json, token, ahead, answer, address } = joinOf(request);
    const now = Date.now();
    const countOpen = (): number => (address === undefined ? 0 : this.#roster.countFrom(address));
    const waitMs = this.#joinRate.join(address, countOpen, now);
    if (waitMs > 0) return tooManyJoins(waitMs);
    const metadata = json === undefined ? undefined : escapeNonAscii(json);
    const newcomer: Newcomer = {
      id: clientId,
      token,
      metadata: metadata === undefined ? undefined : JSON.parse(metadata),
      metadataLength: metadata?.length ?? 0,
    };
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    const admission = join(newcomer, this.#roster, this.#limits, now, ahead, answer);
    const { 0: client, 1: server } = new WebSocketPair();
    if (!admission.isAdmitted) {
      // A browser hides the status of a refused upgrade from its page, so it is accepted, and has left already.
      this.ctx.acceptWebSocket(server);
      this.#close(this.#roster.member(server), admission.close, token);
      this.#apply(admission.effects);
    } else {
      // The id as a tag makes a signal's target one look-up. Tags are fixed here, 256 bytes each at most (2026-11).
      this.ctx.acceptWebSocket(server, [clientId, ...(address === undefined ? [] : [addressTag(address)])]);
      const joiner = this.#roster.member(server);
      if (joiner.introduce(metadata, token, admission.welcome.resumed === true, now)) this.#welcome(joiner, admission);
      else this.#close(joiner, UNKEPT);
    }
    return accepted(request, client);
  }

  /** Whatever goes wrong, the joiner is in the room and the others know it, or it is not and they hear that it left. */
  #welcome(joiner: SocketMember, { effects, welcome, offers }: Admitted<SocketMember>): void {
    try {
      if (offers.length > 0) joiner.setOffers(offers);
      this.#roster.changed();
      this.#apply([...effects, send(welcome, joiner)]);
    } catch (error) {
      console.error(error);
      joiner.close(UNKEPT);
      this.#depart(joiner, () => leave(joiner, 'timeout', this.#roster, this.#limits, Date.now()));
    }
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    const sender = this.#roster.member(socket);
    // A socket that we closed goes on delivering until its handshake ends, which is up to the client (workerd, 2026-11).
    // Its readyState does not tell: where the client closes, too, the last messages before that come in a closing state.
    if (sender.left) return;
    const now = Date.now();
    sender.sawMessage(now);
    this.#apply(receive(frame, sender, this.#roster, this.#limits, now, makeKey));
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

  /** A poll of P2PCF's protocol that the Worker has read and found good. */
  poll(request: PollRequest): PollResponse {
    const now = Date.now();
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    return this.#answer(poll(request, this.#roster, this.#limits, this.#pollRate, () => crypto.randomUUID(), now));
  }

  /** A poller leaves. */
  leaveByPoll(request: LeaveRequest): PollResponse {
    return this.#answer(leaveByPoll(request, this.#roster, this.#limits, this.#pollRate, Date.now()));
  }

  #answer({ response, effects }: PollOutcome<SocketMember>): PollResponse {
    this.#apply(effects);
    return response;
  }

  /** A place held or a poller's posting has lapsed, or would have, had it not been posted anew. */
  override alarm(): void {
    const now = Date.now();
    this.#apply(lapse(this.#roster, this.#limits, now));
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    this.#alarm.follow(Number.POSITIVE_INFINITY, this.#rows.nextDue(), now);
  }

  /** Carries out what was decided. A signal touches no row, so none is read for it. */
  #apply(effects: readonly Effect<SocketMember>[]): void {
    const changesRows = effects.some((effect) => CHANGES_ROWS.has(effect.do));
    const dueBefore = changesRows ? this.#rows.nextDue() : 0;
    for (const effect of effects) this.#carryOut(effect);
    if (changesRows) this.#alarm.follow(dueBefore, this.#rows.nextDue(), Date.now());
  }

  #carryOut(effect: Effect<SocketMember>): void {
    switch (effect.do) {
      case 'send': {
        // No event is sure to come for a socket that no longer takes a message, so it leaves here.
        for (const member of effect.to) if (!member.send(effect.text)) this.#lose(member);
        break;
      }
      case 'close':
        this.#close(effect.member, effect.close);
        break;
      case 'setAhead':
        if (!effect.member.setAhead(effect.offer)) this.#expel(effect.member);
        break;
      case 'setOffers':
        if (!effect.member.setOffers(effect.offers)) this.#expel(effect.member);
        break;
      case 'holdPlace':
        this.#hold(effect.place, effect.member);
        break;
      case 'freePlace':
        this.#rows.places.drop(effect.place);
        break;
      case 'keepPosting':
        this.#rows.postings.keep(effect.posting);
        break;
      case 'dropPosting':
        this.#rows.postings.drop(effect.posting);
        break;
      default:
        effect satisfies never;
    }
  }

  /** From then on it is no member. */
  #close(member: SocketMember, close: Close, token = member.token): void {
    this.#roster.changed();
    member.markLeft();
    if (token !== undefined) member.send(JSON.stringify(closing(close)));
    member.close(close);
  }

  #expel(member: SocketMember): void {
    this.#apply(expel(member, UNKEPT, this.#roster, this.#limits, Date.now()));
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

  /** However many events tell of one departure, it is dealt with once. */
  #depart(member: SocketMember, effects: () => Effect<SocketMember>[]): void {
    if (!member.markLeft()) return;
    this.#roster.changed();
    // A member that came under its id while it was closing is there in its stead.
    if (!this.#roster.find(member.id)) this.#apply(effects());
  }
}

function tooManyJoins(waitMs: number): Response {
  const seconds = Math.ceil(waitMs / 1000);
  return new Response(`Too many joins: come back in ${seconds} s.\n`, {
    status: 429,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Retry-After': String(seconds) },
  });
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
  try {
    if (code === 1005) socket.close();
    else if (code === 1006) socket.close(1000);
    else socket.close(code, reason);
  } catch {
    // Nothing is left to answer: the connection is gone.
  }
}
