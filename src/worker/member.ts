import type { Close } from '../protocol/close.ts';
import { asciiJson, parseJson } from '../protocol/json.ts';
import { withFewerCandidates } from '../room/pending-offers.ts';
import type { Member, PendingOffer } from '../room/room.ts';
import type { Claims } from '../room/token-claims.ts';

/** What outlives hibernation in a socket's attachment. All its text is ASCII, which is stored at a byte a character. */
interface Attachment {
  /** Shape of this record: two versions of the Worker may meet on one socket while a deploy is under way. */
  v: 1;
  /** The join or the last message, in ms since the epoch, at most STAMP_EVERY_MS too early. */
  seenAt: number;
  /** The others have been told that it is gone, or need no telling. */
  left: boolean;
  /** It has sent a message. */
  speaks?: true;
  /** What it brought when it first joined, as JSON with all but ASCII escaped. */
  metadata?: string;
  /** By this it can prove that its place is its own. */
  token?: string;
  /** Most peers in the room, as it was opened. */
  maxPeers?: number;
  /** What its room token says, as JSON. */
  claims?: string;
  /** The offer it published ahead, as JSON, until it is taken. */
  ahead?: string;
  /** What it has offered to pollers, the latest last: a PendingOffer each, as JSON. */
  offers?: readonly string[];
  /** From when on it may ask for new ICE servers, in ms since the epoch. */
  iceServersDue?: number;
}

/** How old the attachment's `seenAt` may get, in ms: writing it costs more than relaying a message. */
const STAMP_EVERY_MS = 1000;

/** Most that is put into an attachment, in bytes: it holds 16,384 (2026-11), its own bookkeeping included. */
const MAX_ATTACHMENT_BYTES = 16_000;

/** What a client has joined with. */
interface Brought {
  readonly metadata: unknown;
  readonly token: string | undefined;
  readonly claims: Claims | undefined;
  readonly maxPeers: number | undefined;
}

/** One accepted WebSocket as the room sees it. */
export class SocketMember implements Member {
  readonly id: string;
  readonly outbox = { spent: 0, at: 0, burst: 0 };
  readonly inbox = { spent: 0, at: 0 };
  readonly share = { spent: 0, at: 0 };
  readonly reading = { is: false, until: 0 };
  readonly #ctx: DurableObjectState;
  readonly #socket: WebSocket;
  readonly #attachment: Attachment;
  /** Parsed once while the room is awake. */
  #metadata: { readonly value: unknown } | undefined;
  #claims: Claims | undefined;
  #offers: readonly PendingOffer[] | undefined;

  constructor(ctx: DurableObjectState, socket: WebSocket) {
    const id = idOf(ctx, socket);
    this.id = id ?? '';
    this.#ctx = ctx;
    this.#socket = socket;
    this.#attachment = id === undefined ? { v: 1, seenAt: 0, left: true } : readAttachment(socket);
  }

  /** Whether it has left the room, whether or not its socket is closed yet. */
  get left(): boolean {
    return this.#attachment.left;
  }

  get metadata(): unknown {
    this.#metadata ??= { value: parsed(this.#attachment.metadata) };
    return this.#metadata.value;
  }

  get metadataLength(): number {
    return this.#attachment.metadata?.length ?? 0;
  }

  get maxPeers(): number | undefined {
    return this.#attachment.maxPeers;
  }

  get claims(): Claims | undefined {
    const { claims } = this.#attachment;
    if (claims !== undefined) this.#claims ??= JSON.parse(claims);
    return this.#claims;
  }

  get ahead(): unknown {
    return parsed(this.#attachment.ahead);
  }

  get offers(): readonly PendingOffer[] {
    this.#offers ??= (this.#attachment.offers ?? []).map((json) => Object(parseJson(json, '')));
    return this.#offers;
  }

  get iceServersDue(): number | undefined {
    return this.#attachment.iceServersDue;
  }

  get token(): string | undefined {
    return this.#attachment.token;
  }

  get speaks(): boolean {
    return this.#attachment.speaks === true;
  }

  get lastSeen(): number {
    return Math.max(this.lastPing ?? 0, this.#attachment.seenAt);
  }

  get lastPing(): number | undefined {
    return this.#ctx.getWebSocketAutoResponseTimestamp(this.#socket)?.getTime();
  }

  /** It has joined, or come back to its place. Returns false if that cannot be kept. */
  introduce({ metadata, token, claims, maxPeers }: Brought, isBack: boolean, now: number): boolean {
    this.#attachment.seenAt = now;
    if (isBack) this.#attachment.speaks = true;
    if (metadata !== undefined) this.#attachment.metadata = asciiJson(metadata);
    if (token !== undefined) this.#attachment.token = token;
    if (maxPeers !== undefined) this.#attachment.maxPeers = maxPeers;
    if (claims !== undefined) this.#attachment.claims = asciiJson(claims);
    return this.#save();
  }

  /** It has sent a message at `now`, a sign of life like a ping. */
  sawMessage(now: number): void {
    if (this.#attachment.speaks && now - this.#attachment.seenAt < STAMP_EVERY_MS) return;
    this.#attachment.speaks = true;
    this.#attachment.seenAt = now;
    this.#save();
  }

  /**
   * Keeps the offer it published ahead, or forgets it if that is undefined. Returns false if it cannot be kept itself.
   */
  setAhead(offer: unknown): boolean {
    if (offer === undefined) delete this.#attachment.ahead;
    else this.#attachment.ahead = asciiJson(offer);
    return this.#save();
  }

  /** Keeps what it has offered to pollers, as much as there is room for. Returns false if it cannot be kept itself. */
  setOffers(offers: readonly PendingOffer[]): boolean {
    this.#keepOffers(offers);
    return this.#save();
  }

  /** It may ask for new ICE servers from then on, in ms since the epoch. */
  setIceServersDue(at: number): void {
    this.#attachment.iceServersDue = at;
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
      return false; // closed meanwhile, by us or by the runtime
    }
  }

  close({ code, reason }: Close): void {
    try {
      this.#socket.close(code, reason);
    } catch {
      // Closed already, which is what was wanted.
    }
  }

  /**
   * Offers that there is no room for are given up: candidates of those to pollers first, then the oldest of these.
   * Returns false if that does not help.
   */
  #save(): boolean {
    while (sizeOf(this.#attachment) > MAX_ATTACHMENT_BYTES && (this.#giveUpCandidates() || this.#giveUpAnOffer()));
    do {
      try {
        this.#socket.serializeAttachment(this.#attachment);
        return true;
      } catch {
        // It is too large after all, by the runtime's count.
      }
    } while (this.#giveUpAnOffer());
    return false;
  }

  #giveUpCandidates(): boolean {
    const fewer = withFewerCandidates(this.offers);
    if (fewer) this.#keepOffers(fewer);
    return fewer !== undefined;
  }

  #keepOffers(offers: readonly PendingOffer[]): void {
    this.#offers = offers; // not read again from the attachment for each step in which they are made to fit
    this.#attachment.offers = offers.map(asciiJson);
  }

  #giveUpAnOffer(): boolean {
    const { offers = [], ahead } = this.#attachment;
    if (offers.length > 1 || (offers.length === 1 && ahead === undefined)) {
      this.#attachment.offers = offers.slice(1);
      this.#offers = undefined;
      return true;
    }
    return delete this.#attachment.ahead && ahead !== undefined;
  }
}

/**
 * The id that a socket was accepted under; undefined for a refused socket. The runtime may tell of the end of a socket
 * that it has forgotten by then, and throws when it is asked for its tags (workerd, 2026-11).
 */
function idOf(ctx: DurableObjectState, socket: WebSocket): string | undefined {
  try {
    return ctx.getTags(socket)[0];
  } catch {
    return undefined;
  }
}

function readAttachment(socket: WebSocket): Attachment {
  const attachment: Attachment | null = socket.deserializeAttachment();
  return attachment?.v === 1 ? attachment : { v: 1, seenAt: 0, left: false };
}

/** Not less than the attachment's size when it is stored. */
function sizeOf({ metadata = '', token = '', claims = '', ahead = '', offers = [] }: Attachment): number {
  return [metadata, token, claims, ahead, ...offers].reduce((sum, text) => sum + text.length + 8, 128);
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : parseJson(json, '');
}
