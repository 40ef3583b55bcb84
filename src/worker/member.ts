import type { Close } from '../protocol/close.ts';
import { asciiJson } from '../protocol/json.ts';
import type { Member } from '../room/room.ts';

/** What outlives hibernation in a socket's attachment. */
interface Attachment {
  /** Shape of this record: two versions of the Worker may meet on one socket while a deploy is under way. */
  v: 1;
  /** The join or the last message, in ms since the epoch, at most STAMP_EVERY_MS too early. */
  seenAt: number;
  /** The others have been told that it is gone, or need no telling. */
  left: boolean;
  /** What it brought when it joined, as JSON. */
  metadata?: string;
  /** By this it can prove that its place is its own. */
  token?: string;
  /** The offer it published ahead, as JSON, until it is taken. */
  offer?: string;
}

/** How old the attachment's `seenAt` may get, in ms: writing it costs more than relaying a message. */
const STAMP_EVERY_MS = 1000;

/** One accepted WebSocket as the room sees it. */
export class SocketMember implements Member {
  readonly id: string;
  readonly bucket = { spent: 0, at: 0 };
  readonly #ctx: DurableObjectState;
  readonly #socket: WebSocket;
  readonly #attachment: Attachment;

  constructor(ctx: DurableObjectState, socket: WebSocket) {
    this.id = ctx.getTags(socket)[0] ?? '';
    this.#ctx = ctx;
    this.#socket = socket;
    this.#attachment = readAttachment(socket);
  }

  /** Whether it has left the room, be its socket closed yet or not. */
  get left(): boolean {
    return this.#attachment.left;
  }

  get metadata(): unknown {
    return parsed(this.#attachment.metadata);
  }

  get offer(): unknown {
    return parsed(this.#attachment.offer);
  }

  get token(): string | undefined {
    return this.#attachment.token;
  }

  get pings(): boolean {
    return this.#lastPing !== null;
  }

  get lastSeen(): number {
    return Math.max(this.#lastPing?.getTime() ?? 0, this.#attachment.seenAt);
  }

  get #lastPing(): Date | null {
    return this.#ctx.getWebSocketAutoResponseTimestamp(this.#socket);
  }

  /** It has sent a message at `now`, a sign of life like a ping. */
  sawMessage(now: number): void {
    if (now - this.#attachment.seenAt < STAMP_EVERY_MS) return;
    this.#attachment.seenAt = now;
    this.#save();
  }

  /** Takes note of what it brought when it joined: its metadata, as JSON, and its token. */
  introduce(metadata: string | undefined, token: string | undefined, now: number): void {
    this.#attachment.seenAt = now;
    if (metadata !== undefined) this.#attachment.metadata = metadata;
    if (token !== undefined) this.#attachment.token = token;
    this.#save();
  }

  /** Keeps the offer it published ahead, or forgets it if that is undefined. */
  setAhead(offer: unknown): void {
    if (offer === undefined) delete this.#attachment.offer;
    else this.#attachment.offer = asciiJson(offer);
    this.#save();
  }

  /** Marks it as gone for good. Returns false if it was already. */
  markLeft(): boolean {
    if (this.#attachment.left) return false;
    this.#attachment.left = true;
    this.#save();
    return true;
  }

  /** Returns false if the socket is beyond sending. */
  send(text: string): boolean {
    try {
      this.#socket.send(text);
      return true;
    } catch {
      return false; // closed under our hands, by us or by the runtime
    }
  }

  close({ code, reason }: Close): void {
    try {
      this.#socket.close(code, reason);
    } catch {
      // Closed already, which is what was wanted.
    }
  }

  #save(): void {
    this.#socket.serializeAttachment(this.#attachment);
  }
}

function readAttachment(socket: WebSocket): Attachment {
  const attachment: Attachment | null = socket.deserializeAttachment();
  return attachment?.v === 1 ? attachment : { v: 1, seenAt: 0, left: false };
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json);
}
