/** What a member says to its room, sealed, and what it hears from there, opened or refused. */
import { MAX_JOIN_ANSWER_BYTES, MAX_JOIN_METADATA_BYTES } from '../../protocol/join.ts';
import { isObject } from '../../protocol/json.ts';
import { BROADCAST_TARGET, type ClientMessage, type ServerMessage } from '../../protocol/messages.ts';
import { parseSignal } from '../../protocol/signal.ts';
import { utf8Length } from '../../protocol/utf8.ts';
import { ENVELOPE_BYTES, MAX_ROOM_MESSAGE_BYTES } from '../limits.ts';
import { fingerprintsOf } from '../negotiation.ts';
import type { Claimed, SealedOptions } from '../sealed-options.ts';
import { type Expected, HEADER_BYTES, open, seal, Untrusted } from './envelope.ts';
import type { Keys } from './keys.ts';

export class Sealing {
  readonly #keys: Keys | undefined;
  readonly #options: SealedOptions;
  readonly #onRefused: (id: string, reason: string) => void;
  /** How many messages we have sealed. It never starts again, not even under another id: others remember it. */
  #sealed = 0;
  /** The last that was taken of each kind and sender: what has been heard is never heard again. */
  readonly #heard = new Map<string, number>();
  /** What the members say of themselves. */
  readonly #members = new Map<string, Claimed>();

  /** Without keys it only asks the app whom it trusts. `onRefused` is told of whoever is not taken, and why. */
  constructor(keys: Keys | undefined, options: SealedOptions, onRefused: (id: string, reason: string) => void) {
    this.#keys = keys;
    this.#options = options;
    this.#onRefused = onRefused;
  }

  /** What the server is told as the room's name. */
  roomFor(name: string): string {
    return this.#options.hideRoom && this.#keys ? this.#keys.room : name;
  }

  /** What we bring when we join, as JSON, sealed. Rejects with Error for more than a room takes. */
  async metadata(me: string, json: string): Promise<string> {
    if (!this.#keys) return json;
    const sealed = JSON.stringify(
      await seal(JSON.parse(json), { kind: 'metadata', from: me, to: '', n: 0 }, this.#keys),
    );
    const tooMany = sealed.length - MAX_JOIN_METADATA_BYTES;
    if (tooMany <= 0) return sealed;
    const bytes = utf8Length(json);
    const most = bytes - Math.ceil(tooMany * CONTENT_SHARE) - 1;
    throw new Error(`Client ID and metadata have ${bytes} bytes of JSON; with a key, ${most} is the most.`);
  }

  /** The answer that we bring when we join, as JSON, sealed. Undefined if it is longer than a room takes. */
  async answer(me: string, json: string): Promise<string | undefined> {
    const sealed = JSON.stringify(await this.#seal(JSON.parse(json), { kind: 'answer', from: me, to: '' }));
    return sealed.length > MAX_JOIN_ANSWER_BYTES ? undefined : sealed;
  }

  /** Seals a message to the room. */
  async seal(message: ClientMessage, me: string): Promise<ClientMessage> {
    switch (message.type) {
      case 'signal':
        return {
          ...message,
          signal: await this.#seal(message.signal, { kind: 'signal', from: me, to: message.targetId }),
        };
      case 'ahead':
        return { ...message, offer: await this.#seal(message.offer, { kind: 'ahead', from: me, to: '' }) };
      case 'broadcast':
        return {
          ...message,
          data: await this.#seal(message.data, { kind: 'broadcast', from: me, to: BROADCAST_TARGET }),
        };
    }
  }

  /** Opens a message from the room. What is refused is left out of it; undefined if nothing is left. */
  async open(message: ServerMessage, me: string): Promise<ServerMessage | undefined> {
    switch (message.type) {
      case 'peers': {
        const { peers, metadata = {}, offers = {}, polling = [], maxMessageBytes } = message;
        const brought = await this.#openEach(peers, (id) => this.#meet(id, metadata[id], polling.includes(id)));
        const met = peers.filter((id) => id in brought);
        const offering = met.filter((id) => Object.hasOwn(offers, id));
        const opened = await this.#openEach(offering, (id) =>
          this.#openSignal(offers[id], { kind: 'ahead', from: id, to: '' }),
        );
        const most = this.#contentFor(maxMessageBytes ?? MAX_ROOM_MESSAGE_BYTES);
        const { answered = '', ...rest } = message;
        // Of an offer that we cannot read nothing comes, whoever has got our answer.
        const paired = answered in opened ? { answered } : {};
        return { ...rest, ...paired, peers: met, metadata: brought, offers: opened, maxMessageBytes: most };
      }
      case 'peer_join': {
        const { clientId, polling } = message;
        const brought = await this.#openEach([clientId], () => this.#meet(clientId, message.metadata, polling));
        return clientId in brought ? { ...message, metadata: brought[clientId] } : undefined;
      }
      case 'peer_leave':
        this.#members.delete(message.clientId);
        return message;
      case 'signal': {
        const { fromId } = message;
        const isAnswer = Object(message.signal).kind === 'answer';
        const expected: Expected = {
          from: fromId,
          ...(isAnswer ? { kind: 'answer', to: '' } : { kind: 'signal', to: me }),
        };
        const opened = await this.#openEach([fromId], () => this.#openSignal(message.signal, expected));
        return fromId in opened ? { ...message, signal: opened[fromId] } : undefined;
      }
      case 'broadcast': {
        const { fromId } = message;
        const expected = { kind: 'broadcast', from: fromId, to: BROADCAST_TARGET } as const;
        const opened = await this.#openEach([fromId], () => this.#open(message.data, expected));
        return fromId in opened ? { ...message, data: opened[fromId] } : undefined;
      }
      case 'error':
        return message.maxBytes === undefined ? message : { ...message, maxBytes: this.#contentFor(message.maxBytes) };
    }
  }

  async #seal(content: unknown, header: Omit<Expected, 'n'>): Promise<unknown> {
    if (!this.#keys) return content;
    const n = ++this.#sealed;
    const attempt = isObject(content) ? content['attempt'] : undefined;
    if (typeof attempt !== 'string') return await seal(content, { ...header, n }, this.#keys);
    return await seal({ ...Object(content), attempt: undefined }, { ...header, n, attempt }, this.#keys);
  }

  /** Does it for each of these members, and tells of those of which nothing is taken. */
  async #openEach(ids: string[], work: (id: string) => Promise<unknown>): Promise<Record<string, unknown>> {
    const opened: Record<string, unknown> = Object.create(null); // an id may be __proto__
    const each = ids.map(async (id) => {
      try {
        opened[id] = await work(id);
      } catch (error) {
        if (!(error instanceof Untrusted)) throw error;
        this.#refuse(id, error.message);
      }
    });
    await Promise.all(each);
    return opened;
  }

  #refuse(id: string, reason: string): void {
    this.#options.onUntrusted?.(this.#claimed(id), reason);
    this.#onRefused(id, reason);
  }

  /** Takes note of a member. Resolves to what it brought. */
  async #meet(id: string, brought: unknown, polls = false): Promise<unknown> {
    if (polls && this.#keys) throw new Untrusted('It has no key: it polls.');
    const opened = this.#keys ? await this.#open(brought, { kind: 'metadata', from: id, to: '' }) : brought;
    const { client_id, metadata } = Object(opened);
    this.#members.set(id, { id, clientId: typeof client_id === 'string' ? client_id : id, metadata });
    return opened;
  }

  #claimed(id: string): Claimed {
    return this.#members.get(id) ?? { id, clientId: id, metadata: undefined };
  }

  /** Opens a signal, and asks the app whether it trusts who is named in it. */
  async #openSignal(value: unknown, expected: Expected): Promise<unknown> {
    const signal = await this.#open(value, expected);
    // The room has told of everybody, and a member without the key was not met.
    if (this.#keys && !this.#members.has(expected.from)) throw new Untrusted('It has not said who it is.');
    const { trust } = this.#options;
    for (const fingerprint of fingerprintsOf(parseSignal(signal)?.description?.sdp ?? '')) {
      if (trust?.({ ...this.#claimed(expected.from), fingerprint }) === false)
        throw new Untrusted(`It is not trusted. Its certificate is ${fingerprint}.`);
    }
    return signal;
  }

  async #open(value: unknown, expected: Expected): Promise<unknown> {
    if (!this.#keys) return value;
    const { content, n, attempt } = await open(value, expected, this.#keys);
    if (expected.kind !== 'metadata') this.#count(`${expected.kind} ${expected.from}`, n);
    return attempt === undefined ? content : { ...Object(content), attempt };
  }

  /** A sender's messages come in order, and each once. */
  #count(way: string, n: number): void {
    const last = this.#heard.get(way) ?? 0;
    if (n === last) throw new Untrusted('Its message has been heard before.');
    if (n < last) throw new Untrusted('Its message comes after a later one.');
    this.#heard.set(way, n);
  }

  /** How long a message may be so that it fits into the room when it is sealed, in bytes. */
  #contentFor(maxBytes: number): number {
    if (!this.#keys) return maxBytes;
    return Math.floor((maxBytes - ENVELOPE_BYTES - HEADER_BYTES) * CONTENT_SHARE) + ENVELOPE_BYTES;
  }
}

/** Base64 writes three bytes as four. */
const CONTENT_SHARE = 3 / 4;
