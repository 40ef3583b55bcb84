import { DurableObject } from 'cloudflare:workers';
import { COMING_BACK } from '../protocol/close.ts';
import { asciiJson } from '../protocol/json.ts';
import { type LeaveReason, PING, PONG } from '../protocol/messages.ts';
import type { LeaveRequest, PollRequest } from '../protocol/poll.ts';
import { poll, unpoll } from '../room/board.ts';
import { toSocketId } from '../room/bridge.ts';
import { membersFor, polled } from '../room/mixed.ts';
import { drop, type Effect, join, type Limits, lapse, leave, type Place, receive, turnOver } from '../room/room.ts';
import type { Answer } from './polling.ts';
import { type SocketMember, SocketRoster } from './roster.ts';
import { type Env, readLimits } from './settings.ts';
import { accepted, joinOf } from './upgrade.ts';

/**
 * One room: events of its sockets in, the room's decisions carried out. Its fields can all be made again: the runtime
 * drops the object after ten quiet seconds and leaves the sockets open. So no timer and no await here: each would keep
 * it in memory, billed, and an await would let two messages of one sender overtake each other.
 */
export class SignalingRoom extends DurableObject<Env> {
  readonly #limits: Limits;
  readonly #roster: SocketRoster;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#limits = readLimits(env);
    this.#roster = new SocketRoster(ctx);
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
    this.#lapsePollers(now);
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
  poll(request: PollRequest): Answer {
    const now = Date.now();
    const roster = this.#roster;
    const isAway = ({ until }: Place) => until > now;
    const isPresent = (id: string) =>
      roster.find(id) !== undefined || roster.held().some((place) => place.id === id && isAway(place));
    const sessionId = request.session?.entry.sessionId;
    const surroundings = {
      isTaken: (id: string) => isPresent(id) || isPresent(toSocketId(id)),
      count: () => roster.countOthers() + 1 + roster.held().filter(isAway).length,
      maxPeers: this.#limits.maxPeers,
      bridged: sessionId === undefined ? [] : membersFor(sessionId, roster, now),
    };
    const before = roster.board.find(sessionId)?.packages ?? [];
    const outcome = poll(request, roster.board.all(), surroundings, () => crypto.randomUUID(), now);
    if ('status' in outcome) return { status: outcome.status, body: outcome.sentence };
    const { reply, write } = outcome;
    // A page that is back under another session has left the first.
    if (write) this.#turnOver(() => roster.board.save(write), 'left', now);
    const poller = roster.board.find(sessionId);
    if (poller) this.#apply(polled(poller, before, surroundings.bridged, roster, now));
    return { status: 200, body: JSON.stringify(reply) };
  }

  /** A poller leaves. */
  unpoll(request: LeaveRequest): Answer {
    const now = Date.now();
    const { board } = this.#roster;
    const outcome = unpoll(request, board.all(), now);
    if ('status' in outcome) return { status: outcome.status, body: outcome.sentence };
    this.#turnOver(() => board.remove(outcome.remove), 'left', now);
    return { status: 200, body: '{}' };
  }

  /** A place held or a poller's posting has lapsed, or would have, had it not been posted anew. */
  override alarm(): void {
    const now = Date.now();
    this.#apply(lapse(this.#roster, this.#limits, now));
    this.#lapsePollers(now);
    this.#expect(Number.POSITIVE_INFINITY);
  }

  #lapsePollers(now: number): void {
    this.#turnOver(() => this.#roster.board.lapse(now), 'timeout', now);
  }

  /** Changes the board. The sockets hear who has come, and who has gone and why. */
  #turnOver(change: () => void, reason: LeaveReason, now: number): void {
    const before = this.#roster.pollers();
    this.#change(() => {
      change();
      this.#apply(turnOver(before, this.#roster.pollers(), reason, this.#roster, this.#limits, now));
    });
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
    if (next === expected) return;
    // The alarm goes with the rest (from compatibility date 2026-02-24).
    const { storage } = this.ctx;
    // Past the day's free writes neither is possible: then what is stored lapses when somebody looks.
    if (next === Number.POSITIVE_INFINITY) storage.deleteAll().catch(() => undefined);
    else if (next < expected || expected < Date.now()) storage.setAlarm(next).catch(() => undefined);
  }

  #nextExpiry(): number {
    return Math.min(this.#roster.places.nextExpiry(), this.#roster.board.nextExpiry());
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
      if ('cross' in effect) {
        this.#roster.offers.save(effect.cross);
        continue;
      }
      if ('uncross' in effect) {
        this.#roster.offers.remove(effect.uncross);
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
    // One that came under its id while it was closing is there in its stead.
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
