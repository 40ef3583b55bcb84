import { DurableObject } from 'cloudflare:workers';
import { COMING_BACK } from '../protocol/close.ts';
import { asciiJson } from '../protocol/json.ts';
import { PING, PONG } from '../protocol/messages.ts';
import type { LeaveRequest, PollRequest } from '../protocol/poll.ts';
import { lapsePollers, leaveByPoll, type PollOutcome, type PollResponse, poll } from '../room/polling.ts';
import { drop, join, lapse, leave } from '../room/presence.ts';
import { receive } from '../room/relay.ts';
import type { Effect, Limits, Place } from '../room/room.ts';
import { Alarm } from './alarm.ts';
import type { SocketMember } from './member.ts';
import { SocketRoster } from './roster.ts';
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

  constructor(ctx: DurableObjectState, env: Settings) {
    super(ctx, env);
    this.#limits = readLimits(env);
    this.#rows = new Rows(ctx.storage);
    this.#roster = new SocketRoster(ctx, this.#rows);
    this.#alarm = new Alarm(ctx.storage);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** A WebSocket upgrade that the Worker has let through. */
  override fetch(request: Request): Response {
    const { clientId, metadata, token, ahead } = joinOf(request);
    const now = Date.now();
    const { 0: client, 1: server } = new WebSocketPair();
    // The id as a tag makes a signal's target one look-up. A tag is fixed here, never empty, 256 bytes at most (2026-11).
    this.ctx.acceptWebSocket(server, [clientId]);
    this.#roster.changed();
    const joiner = this.#roster.member(server);
    joiner.introduce(metadata === undefined ? undefined : asciiJson(JSON.parse(metadata)), token, now);
    this.#apply(lapsePollers(this.#roster, this.#limits, now));
    this.#apply(join(joiner, this.#roster, this.#limits, now, ahead));
    return accepted(request, client);
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    const sender = this.#roster.member(socket);
    if (sender.left) return; // a socket we closed may go on delivering until its handshake ends (workerd, 2026-11)
    const now = Date.now();
    sender.sawMessage(now);
    this.#apply(receive(frame, sender, this.#roster, this.#limits, now, makeKey));
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    const member = this.#roster.member(socket);
    // 1006: no close frame came. Everything else is a goodbye, a browser's bare close() too.
    if (code === 1006 || code === COMING_BACK) this.#lose(member);
    else this.#depart(member, () => leave(member, 'left', this.#roster, this.#limits, Date.now()));
    completeClose(socket, code, reason);
  }

  /** May be the last event of a socket, or webSocketClose may follow. */
  override webSocketError(socket: WebSocket): void {
    this.#lose(this.#roster.member(socket));
  }

  /** A poll of P2PCF's protocol that the Worker has read and found good. */
  poll(request: PollRequest): PollResponse {
    return this.#answer(poll(request, this.#roster, this.#limits, () => crypto.randomUUID(), Date.now()));
  }

  /** A poller leaves. */
  leaveByPoll(request: LeaveRequest): PollResponse {
    return this.#answer(leaveByPoll(request, this.#roster, this.#limits, Date.now()));
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
        const text = JSON.stringify(effect.message);
        for (const member of effect.to) {
          // No event is sure to come for a socket that no longer takes a message, so it leaves here.
          if (!member.send(text)) this.#lose(member);
        }
        break;
      }
      case 'close':
        this.#roster.changed();
        effect.member.markLeft();
        effect.member.close(effect.close);
        break;
      case 'setAhead':
        effect.member.setAhead(effect.offer);
        break;
      case 'holdPlace':
        this.#hold(effect.place, effect.member);
        break;
      case 'freePlace':
        this.#rows.places.drop(effect.place);
        break;
      case 'keepOffer':
        this.#rows.offers.keep(effect.offer);
        break;
      case 'dropOffer':
        this.#rows.offers.drop(effect.offer);
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

  #lose(member: SocketMember): void {
    this.#depart(member, () => drop(member, this.#roster, this.#limits, Date.now()));
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
