/** What a member says to its room, sealed, and what it hears from there, opened or refused. */
import { MAX_JOIN_ANSWER_BYTES, MAX_JOIN_METADATA_BYTES } from '../../protocol/join.ts';
import { isObject } from '../../protocol/json.ts';
import { BROADCAST_TARGET, type ClientMessage, type ServerMessage } from '../../protocol/messages.ts';
import { parseSignal } from '../../protocol/signal.ts';
import { utf8Length } from '../../protocol/utf8.ts';
import { attempt } from '../events.ts';
import { type Allowance, ENVELOPE_BYTES, MAX_MEMBERS, MAX_ROOM_MESSAGE_BYTES, newSignalAllowance } from '../limits.ts';
import { fingerprintsOf } from '../negotiation.ts';
import type { Claimed, SealedOptions } from '../sealed-options.ts';
import { type Expected, HEADER_BYTES, open, seal, Untrusted } from './envelope.ts';
import type { Keys, Kind } from './keys.ts';

export class Sealing {
  readonly #keys: Keys | undefined;
  readonly #options: SealedOptions;
  readonly #onRefused: (id: string, reason: string) => void;
  readonly #onOfferLost: () => void;
  /** How many messages we have sealed. It never starts again, not even under another id: others remember it. */
  #sealed = 0;
  /** The last that was taken of each way and sender: what has been heard is never heard again. */
  readonly #heard = new Map<string, number>();
  /** What the members say of themselves. */
  readonly #members = new Map<string, Claimed>();
  /** Why whoever is not taken was not, by id: told already. */
  readonly #refused = new Map<string, Set<string>>();
  readonly #allowances = new Map<string, Allowance>();

  /**
   * Without keys it only asks the app whom it trusts. `onRefused` is told of whoever is not taken, and why;
   * `onOfferLost`, that a joiner that is not taken was given the offer that we had published.
   */
  constructor(
    keys: Keys | undefined,
    options: SealedOptions,
    onRefused: (id: string, reason: string) => void,
    onOfferLost: () => void,
  ) {
    this.#keys = keys;
    this.#options = options;
    this.#onRefused = onRefused;
    this.#onOfferLost = onOfferLost;
  }

  /** What the server is told as the room's name, in place of that; undefined if it is told the name. */
  get hiddenRoom(): string | undefined {
    return this.#options.hideRoom ? this.#keys?.room : undefined;
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
      case 'remove':
      case 'ice_servers': // a question to the server itself
        return message;
    }
  }

  /**
   * Opens a message from the room; it begins at once, and takes the message when it is its `turn`: after those before
   * it. What is refused is left out of it; undefined if nothing is left.
   */
  async open(message: ServerMessage, me: string, turn: Promise<unknown>): Promise<ServerMessage | undefined> {
    switch (message.type) {
      case 'peers': {
        const { peers: named, metadata = {}, offers = {}, polling, answered = '', maxMessageBytes, ...rest } = message;
        const peers = named.slice(0, MAX_MEMBERS);
        const pollers = new Set(polling);
        const meeting = peers.map((id) => this.#decrypt(metadata[id], { kind: 'metadata', from: id, to: '' }));
        const opening = peers.map((id) => this.#decrypt(offers[id], { kind: 'ahead', from: id, to: '' }));
        await turn;
        this.#members.clear(); // some may have gone while we were away
        const brought = await this.#each(peers, (id, n) => this.#meet(id, me, meeting[n], pollers.has(id)));
        const offering = peers.filter((id) => id in brought && Object.hasOwn(offers, id));
        const opened = await this.#each(offering, (id) => this.#takeSignal(id, 'ahead', opening[peers.indexOf(id)]));
        return {
          ...rest,
          peers: peers.filter((id) => id in brought),
          metadata: brought,
          ...(polling && { polling }),
          offers: opened,
          // Of an offer that we cannot read nothing comes, whoever has got our answer.
          ...(answered in opened && { answered }),
          maxMessageBytes: this.#contentFor(maxMessageBytes ?? MAX_ROOM_MESSAGE_BYTES),
        };
      }
      case 'peer_join': {
        const { clientId, polling } = message;
        const meeting = this.#decrypt(message.metadata, { kind: 'metadata', from: clientId, to: '' });
        await turn;
        const brought = await this.#each([clientId], () => this.#meet(clientId, me, meeting, polling));
        if (clientId in brought) return { ...message, metadata: brought[clientId] };
        // Else no offer of ours would follow: one stranger would slow down all who come after it.
        if (message.offerTaken) this.#onOfferLost();
        return undefined;
      }
      case 'signal': {
        const { fromId, signal } = message;
        if (!this.#mayHear(fromId)) return undefined;
        const kind = Object(signal).kind === 'answer' ? 'answer' : 'signal';
        const opening = this.#decrypt(signal, { kind, from: fromId, to: kind === 'answer' ? '' : me });
        await turn;
        const opened = await this.#each([fromId], () => this.#takeSignal(fromId, kind, opening));
        return fromId in opened ? { ...message, signal: opened[fromId] } : undefined;
      }
      case 'broadcast': {
        const { fromId, data } = message;
        if (!this.#mayHear(fromId)) return undefined;
        const opening = this.#decrypt(data, { kind: 'broadcast', from: fromId, to: BROADCAST_TARGET });
        await turn;
        const opened = await this.#each([fromId], () => this.#take(fromId, 'broadcast', opening));
        return fromId in opened ? { ...message, data: opened[fromId] } : undefined;
      }
      case 'peer_leave':
        await turn;
        this.#members.delete(message.clientId);
        this.#refused.delete(message.clientId);
        return message;
      case 'ice_servers': // what the server says for itself
        await turn;
        return message;
      case 'error':
        await turn;
        return message.maxBytes === undefined ? message : { ...message, maxBytes: this.#contentFor(message.maxBytes) };
    }
  }

  async #seal(content: unknown, header: Omit<Expected, 'n'>): Promise<unknown> {
    if (!this.#keys) return content;
    const n = ++this.#sealed;
    const named = isObject(content) ? content['attempt'] : undefined;
    if (typeof named !== 'string') return await seal(content, { ...header, n }, this.#keys);
    return await seal({ ...Object(content), attempt: undefined }, { ...header, n, attempt: named }, this.#keys);
  }

  /** Does it for each of these members, and tells of those of which nothing is taken. */
  async #each(ids: string[], work: (id: string, n: number) => Promise<unknown>): Promise<Record<string, unknown>> {
    const done: Record<string, unknown> = Object.create(null); // an id may be __proto__
    const each = ids.map(async (id, n) => {
      try {
        done[id] = await work(id, n);
      } catch (error) {
        if (!(error instanceof Untrusted)) throw error;
        this.#refuse(id, error.message);
      }
    });
    await Promise.all(each);
    return done;
  }

  /** Says so once: whoever is not taken may go on and on. */
  #refuse(id: string, reason: string): void {
    const reasons = this.#refused.get(id) ?? new Set();
    if (reasons.has(reason) || reasons.size >= MAX_REASONS) return;
    if (this.#refused.size >= MAX_MEMBERS) this.#refused.clear();
    this.#refused.set(id, reasons.add(reason));
    attempt(() => this.#options.onUntrusted?.(this.#claimed(id), reason));
    this.#onRefused(id, reason);
  }

  /** Takes note of a member. Resolves to what it brought. */
  async #meet(id: string, me: string, opening: Opening | undefined, polls = false): Promise<unknown> {
    if (id === me) throw new Untrusted('It goes by our own id.'); // what we have sealed would open
    if (polls && this.#keys) throw new Untrusted('It has no key: it polls.');
    const brought = (await opening)?.content;
    if (this.#members.size >= MAX_MEMBERS && !this.#members.has(id))
      throw new Untrusted(`The server names more than ${MAX_MEMBERS} members.`);
    const { client_id, metadata } = Object(brought);
    this.#members.set(id, { id, clientId: typeof client_id === 'string' ? client_id : id, metadata });
    return brought;
  }

  /**
   * As many messages as are taken of a peer's signals are opened of a member: to open one costs more than to send it.
   */
  #mayHear(id: string): boolean {
    const known = this.#allowances.get(id);
    if (!known && this.#allowances.size >= MAX_MEMBERS) this.#allowances.clear();
    const allowance = known ?? newSignalAllowance();
    this.#allowances.set(id, allowance);
    return allowance.take();
  }

  #claimed(id: string): Claimed {
    return this.#members.get(id) ?? { id, clientId: id, metadata: undefined };
  }

  /** Takes a signal, and asks the app whether it trusts who is named in it. */
  async #takeSignal(id: string, kind: Kind, opening: Opening | undefined): Promise<unknown> {
    const signal = await this.#take(id, kind, opening);
    // The room has told of everybody, and a member without the key was not met.
    if (this.#keys && !this.#members.has(id)) throw new Untrusted('It has not said who it is.');
    const { trust } = this.#options;
    for (const fingerprint of fingerprintsOf(parseSignal(signal)?.description?.sdp ?? '')) {
      const verdict: unknown = trust ? ask(trust, { ...this.#claimed(id), fingerprint }) : true;
      if (verdict instanceof Promise)
        throw new Untrusted('It is not trusted: the option trust has to answer at once, and returned a promise.');
      if (verdict !== true) throw new Untrusted(`It is not trusted. Its certificate is ${fingerprint}.`);
    }
    return signal;
  }

  /** Takes what has been opened, once. */
  async #take(id: string, kind: Kind, opening: Opening | undefined): Promise<unknown> {
    const { content, n, attempt } = (await opening) ?? {};
    // An answer comes with the join, before all that the joiner signals.
    if (n !== undefined) this.#count(`${kind === 'answer' ? 'signal' : kind} ${id}`, n);
    return attempt === undefined ? content : { ...Object(content), attempt };
  }

  #decrypt(value: unknown, expected: Expected): Opening {
    const opening = this.#keys ? open(value, expected, this.#keys) : Promise.resolve({ content: value });
    opening.catch(() => undefined); // whoever takes it hears of it
    return opening;
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

/** One member that the app cannot judge does not keep us from the others that the same message names. */
function ask<Asked>(trust: (asked: Asked) => unknown, asked: Asked): unknown {
  try {
    return trust(asked);
  } catch (error) {
    throw new Untrusted(`It is not trusted: the option trust failed: ${error}`);
  }
}

/** Most reasons of one member that are told: it may name another certificate each time, in a room without a key. */
const MAX_REASONS = 100;

/** Without a key nothing is counted. */
type Opening = Promise<{ content: unknown; n?: number; attempt?: string | undefined }>;

/** Base64 writes three bytes as four. */
const CONTENT_SHARE = 3 / 4;
