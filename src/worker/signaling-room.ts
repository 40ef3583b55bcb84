import { DurableObject } from 'cloudflare:workers';
import { asciiJson } from '../protocol/ascii-json.ts';
import { COMING_BACK } from '../protocol/close.ts';
import { PING, PONG, RESUME_NEXT_TIME } from '../protocol/messages.ts';
import type { LeaveRequest, PollRequest } from '../protocol/poll.ts';
import { poll, unpoll } from '../room/board.ts';
import { drop, type Effect, join, type Limits, lapse, leave, type Place, receive } from '../room/room.ts';
import { BoardRows } from './board-rows.ts';
import type { Answer } from './polling.ts';
import { type SocketMember, SocketRoster } from './roster.ts';
import { type Env, readLimits } from './settings.ts';

/**
 * One room: events of its sockets in, the room's decisions carried out. Its fields can all be made again: the runtime
 * drops the object after ten quiet seconds and leaves the sockets open. So no timer and no await here: each would keep
 * it in memory, billed, and an await would let two messages of one sender overtake each other.
 */
export class SignalingRoom extends DurableObject<Env> {
  readonly #limits: Limits;
  readonly #roster: SocketRoster;
  readonly #board: BoardRows;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#limits = readLimits(env);
    this.#roster = new SocketRoster(ctx);
    this.#board = new BoardRows(ctx.storage);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** A WebSocket upgrade that the Worker has let through, with a good `clientId` in its URL. */
  override fetch(request: Request): Response {
    const { searchParams } = new URL(request.url);
    const clientId = searchParams.get('clientId') ?? '';
    const metadata = searchParams.get('metadata');
    const resume = searchParams.get('resume');
    const now = Date.now();
    const { 0: client, 1: server } = new WebSocketPair();
    // The id as a tag makes a signal's target one look-up. A tag is fixed here, never empty, 256 bytes at most (2026-11).
    this.ctx.acceptWebSocket(server, [clientId]);
    this.#roster.changed();
    const joiner = this.#roster.member(server);
    joiner.introduce(
      metadata === null ? undefined : asciiJson(JSON.parse(metadata)),
      // One that we gave before, and forgot in a crash, is as good as a new one.
      resume === RESUME_NEXT_TIME ? crypto.randomUUID() : (resume ?? undefined),
      now,
    );
    const wantsOffers = searchParams.get('ahead') === '1';
    this.#apply(join(joiner, this.#roster, this.#limits, now, wantsOffers));
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    const sender = this.#roster.member(socket);
    if (sender.left) return; // a socket we closed may go on delivering until its handshake ends (workerd, 2026-11)
    const now = Date.now();
    sender.sawMessage(now);
    this.#apply(receive(frame, sender, this.#roster, this.#limits, now));
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
  poll(request: PollRequest): Answer {
    const now = Date.now();
    const isAway = ({ until }: Place) => until > now;
    const surroundings = {
      isTaken: (id: string) =>
        this.#roster.find(id) !== undefined || this.#roster.held().some((place) => place.id === id && isAway(place)),
      count: () => this.#roster.countOthers() + 1 + this.#roster.held().filter(isAway).length,
      maxPeers: this.#limits.maxPeers,
      bridged: [],
    };
    const outcome = poll(request, this.#board.all(), surroundings, () => crypto.randomUUID(), now);
    if ('status' in outcome) return { status: outcome.status, body: outcome.sentence };
    const { reply, write } = outcome;
    if (write) this.#change(() => this.#board.save(write));
    return { status: 200, body: JSON.stringify(reply) };
  }

  /** A poller leaves. */
  unpoll(request: LeaveRequest): Answer {
    const outcome = unpoll(request, this.#board.all(), Date.now());
    if ('status' in outcome) return { status: outcome.status, body: outcome.sentence };
    this.#change(() => this.#board.remove(outcome.remove));
    return { status: 200, body: '{}' };
  }

  /** A place held or a poller's posting has lapsed, or would have, had it not been posted anew. */
  override alarm(): void {
    const now = Date.now();
    this.#apply(lapse(this.#roster, this.#limits, now));
    this.#board.lapse(now);
    this.#expect(Number.POSITIVE_INFINITY);
  }

  /** Changes what is stored, and sees to it that the alarm comes when, or before, something is due. */
  #change(change: () => void): void {
    const expected = this.#nextExpiry();
    change();
    this.#expect(expected);
  }

  /**
   * Sets the alarm for what is due next, unless it is `expected` by then: it is never put off, which would be billed as a
   * row each time, and finds what has been posted anew meanwhile when it comes. When nothing is stored nothing is left.
   */
  #expect(expected: number): void {
    const next = this.#nextExpiry();
    // The alarm goes with the rest (from compatibility date 2026-02-24).
    if (next === Number.POSITIVE_INFINITY) void this.ctx.storage.deleteAll();
    else if (next < expected) void this.ctx.storage.setAlarm(next);
  }

  #nextExpiry(): number {
    return Math.min(this.#roster.places.nextExpiry(), this.#board.nextExpiry());
  }

  #apply(effects: readonly Effect<SocketMember>[]): void {
    for (const effect of effects) {
      if ('close' in effect) {
        this.#roster.changed();
        effect.member.markLeft();
        effect.member.close(effect.close);
        continue;
      }
      if ('keep' in effect) {
        effect.member.keep(effect.keep);
        continue;
      }
      if ('hold' in effect) {
        this.#hold(effect.hold, effect.member);
        continue;
      }
      if ('release' in effect) {
        this.#change(() => this.#roster.places.release(effect.release));
        continue;
      }
      const text = JSON.stringify(effect.send);
      for (const member of effect.to) {
        // No event is sure to come for a socket that no longer takes a message, so it leaves here.
        if (!member.send(text)) this.#lose(member);
      }
    }
  }

  #lose(member: SocketMember): void {
    this.#depart(member, () => drop(member, this.#roster, this.#limits, Date.now()));
  }

  /** Past the day's free writes there is no place to hold: then a loss is a departure. */
  #hold(place: Place, member: SocketMember): void {
    try {
      this.#change(() => this.#roster.places.hold(place));
    } catch {
      this.#apply(leave(member, 'timeout', this.#roster, this.#limits, Date.now()));
    }
  }

  /** However many events tell of one departure, it is dealt with once. */
  #depart(member: SocketMember, effects: () => Effect<SocketMember>[]): void {
    if (!member.markLeft()) return;
    this.#roster.changed();
    this.#apply(effects());
  }
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
