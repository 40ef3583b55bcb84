import type { Place, Posting, Removal, Roster } from '../room/room.ts';
import { SocketMember } from './member.ts';
import type { Rows } from './rows.ts';

/** The tag of sockets from one address: what no client can have as its id. */
export function addressTag(address: string): string {
  return `\u0000${address}`;
}

/** The open sockets are the roster, with what is in the rows: nothing here but what can be read off them again. */
export class SocketRoster implements Roster<SocketMember> {
  readonly inbox = { spent: 0, at: 0 };
  readonly unread = { spent: 0, at: 0 };
  readonly #ctx: DurableObjectState;
  readonly #rows: Rows;
  /** The runtime hands out the same object for a socket as long as the room is awake (workerd, 2026-11). */
  readonly #members = new WeakMap<WebSocket, SocketMember>();
  #count: number | undefined;
  #firstExpiry: number | undefined;

  constructor(ctx: DurableObjectState, rows: Rows) {
    this.#ctx = ctx;
    this.#rows = rows;
  }

  places(): readonly Place[] {
    return this.#rows.places.all();
  }

  postings(): readonly Posting[] {
    return this.#rows.postings.all();
  }

  removals(): readonly Removal[] {
    return this.#rows.removals.all();
  }

  member(socket: WebSocket): SocketMember {
    const known = this.#members.get(socket);
    if (known) return known;
    const member = new SocketMember(this.#ctx, socket);
    this.#members.set(socket, member);
    return member;
  }

  find(id: string): SocketMember | undefined {
    // A replaced socket stays listed under its id until its close handshake ends.
    for (const socket of this.#ctx.getWebSockets(id)) {
      const member = this.#present(socket);
      if (member?.id === id) return member; // and not a socket whose address has that tag
    }
    return undefined;
  }

  /** How many sockets there are from an address. */
  countFrom(address: string): number {
    return this.#ctx.getWebSockets(addressTag(address)).length;
  }

  others(than?: SocketMember): readonly SocketMember[] {
    const members: SocketMember[] = [];
    for (const socket of this.#ctx.getWebSockets().reverse()) {
      const member = this.#present(socket);
      if (member && member !== than) members.push(member);
    }
    return members;
  }

  leaving(): readonly SocketMember[] {
    const closing = this.#ctx.getWebSockets().filter(({ readyState }) => readyState !== WebSocket.OPEN);
    return closing.map((socket) => this.member(socket)).filter(({ left }) => !left);
  }

  count(): number {
    this.#count ??= this.#ctx.getWebSockets().filter((socket) => this.#present(socket)).length;
    return this.#count;
  }

  firstExpiry(): number {
    this.#firstExpiry ??= Math.min(...this.others().map(({ claims }) => claims?.until ?? Number.POSITIVE_INFINITY));
    return this.#firstExpiry;
  }

  /** A member has come or gone. */
  changed(): void {
    this.#count = this.#firstExpiry = undefined;
  }

  #present(socket: WebSocket): SocketMember | undefined {
    // The runtime still lists a socket that is closing, and inside webSocketClose the socket that has closed.
    if (socket.readyState !== WebSocket.OPEN) return undefined;
    const member = this.member(socket);
    return member.left ? undefined : member;
  }
}
