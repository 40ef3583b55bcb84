/** A provider for Yjs: documents and awareness of a room's members, over the data channels that they have anyway. */
import {
  createDecoder,
  type Decoder,
  readTailAsUint8Array,
  readVarString,
  readVarUint,
  readVarUint8Array,
} from 'lib0/decoding';
import {
  createEncoder,
  type Encoder,
  toUint8Array,
  writeUint8Array,
  writeVarString,
  writeVarUint,
  writeVarUint8Array,
} from 'lib0/encoding';
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness';
import {
  messageYjsSyncStep1,
  messageYjsSyncStep2,
  messageYjsUpdate,
  readSyncStep1,
  readUpdate,
  writeSyncStep1,
  writeUpdate,
} from 'y-protocols/sync';
import type { Doc } from 'yjs';
import { Emitter } from '../client/events.ts';
import type { P2PCF, Peer } from '../client/index.ts';
import { printAs } from '../client/printed-name.ts';
import { hasPlaced, limitPending, type Pending, pendingIn } from './pending.ts';
import { checkUpdate } from './update-faults.ts';

/** How a message of ours begins: it shares the data channel with the app's own. */
const MARK = Uint8Array.of(0, 121, 106, 115); // "\0yjs"

/** What follows the name of the document. */
const SYNC = 0;
const AWARENESS = 1;
/** A step 1 of SYNC that is answered with step 2, and with a step 1 of the other's. */
const HELLO = 2;

/** Longest awareness update, in bytes: as JSON it may become twenty times as much here. */
const MAX_AWARENESS = 2 ** 16;

/**
 * Longest question, in bytes, which may wait here for as long as the peer takes nothing: what it has of each author, of
 * whom this has room for 300,000. Yjs takes a quarter of a second to read it.
 */
const MAX_QUESTION = 2 ** 21;

/** How long a peer waits for another answer, and we before we ask it again, in ms: each looks at the whole document. */
const PAUSE_MS = 1000;

/**
 * Most messages that wait for a peer. A peer that takes no more, for whatever reason, is greeted again when it has
 * those.
 */
const MAX_UNDER_WAY = 256;

export interface YjsOptions {
  /** Tells documents of one room apart. */
  name?: string | undefined;
  /** An Awareness that the app has already. */
  awareness?: Awareness | undefined;
}

export interface YjsEvents {
  /** Whether every connected peer that has the document has given us what we lacked. */
  synced: [synced: boolean];
}

/** What an awareness says has changed. */
interface AwarenessChange {
  added: number[];
  updated: number[];
  removed: number[];
}

/** A step 1 of SYNC or HELLO, read as far as what the other has. */
interface Question {
  type: number;
  decoder: Decoder;
}

/** Whether a message (of the room's event `msg`) is one of a YjsProvider, which the app has no use for. */
export function isYjsMessage(data: ArrayBuffer): boolean {
  const start = new Uint8Array(data, 0, Math.min(MARK.length, data.byteLength));
  return MARK.every((byte, index) => start[index] === byte);
}

/**
 * Keeps a document the same for all members of a room that have a provider for it, and tells each of the others'
 * awareness. The app starts and destroys the room. Works beside other providers of the document, such as y-indexeddb.
 */
export class YjsProvider extends Emitter<YjsEvents> {
  readonly room: P2PCF;
  readonly doc: Doc;
  readonly awareness: Awareness;
  readonly name: string;
  /** Whether we have what every connected peer has, as far as it has the document; false while there is none. */
  synced = false;
  /** Connected peers that have the document, and whether theirs has come. */
  readonly #theirs = new Map<Peer, boolean>();
  /** The id in the awareness that each peer speaks for until it is away: the first that nobody else had. */
  readonly #ids = new Map<Peer, number>();
  /** Peers whose id there is a stand-in, known to us alone, as they have brought another's. */
  readonly #standIns = new Set<Peer>();
  /** Peers that have been asked for what we lack. */
  readonly #asked = new Set<Peer>();
  /** Peers of which we could not keep all: we take no more of them but the answer, which has that, too. */
  readonly #lagging = new Set<Peer>();
  /** What was pending before the message that is being taken. */
  #before: Pending | undefined;
  /** Peers that are being sent the document, or were a moment ago, and what they have asked meanwhile. */
  readonly #answering = new Map<Peer, Question | undefined>();
  /** How many messages are on their way to a peer, and to whom there were too many for more. */
  readonly #underWay = new Map<Peer, number>();
  readonly #behind = new Set<Peer>();
  /** What is forgotten of a peer that is gone. */
  readonly #ofPeers = [this.#theirs, this.#standIns, this.#asked, this.#lagging, this.#answering, this.#behind];
  readonly #complainedOf = new WeakSet<Peer>();
  readonly #ownsAwareness: boolean;

  constructor(room: P2PCF, doc: Doc, { name = '', awareness }: YjsOptions = {}) {
    super();
    this.room = room;
    this.doc = doc;
    this.name = name;
    this.awareness = awareness ?? new Awareness(doc);
    this.#ownsAwareness = awareness === undefined;
    room.on('peerconnect', this.#meet).on('peerclose', this.#forget).on('msg', this.#receive);
    doc.on('update', this.#passOn);
    doc.on('destroy', this.destroy);
    this.awareness.on('update', this.#tell);
    for (const peer of this.#connected) this.#greet(peer);
  }

  /**
   * Ends the provider, and tells the others that we are away. Room, document and an awareness of the app's go on, that
   * without the others. May be called twice.
   */
  readonly destroy = (): void => {
    const state = this.#ownsAwareness ? null : this.awareness.getLocalState();
    this.awareness.setLocalState(null); // is told
    for (const peer of this.#ids.keys()) this.#hide(peer); // nobody would say that they are gone
    this.room.off('peerconnect', this.#meet).off('peerclose', this.#forget).off('msg', this.#receive);
    this.doc.off('update', this.#passOn);
    this.doc.off('destroy', this.destroy);
    this.awareness.off('update', this.#tell);
    if (this.#ownsAwareness) this.awareness.destroy();
    // The app's goes on, perhaps with the next provider: React's StrictMode makes two, one after the other.
    if (state) this.awareness.setLocalState(state);
    for (const each of this.#ofPeers) each.clear();
    this.#update();
    this.removeAllListeners();
  };

  get #connected(): Peer[] {
    return [...this.room.peers.values()].filter(({ connected }) => connected);
  }

  /** One of the two greets; a provider that is made later greets the peers that are there. */
  readonly #meet = (peer: Peer): void => {
    if (this.room.sessionId < peer.id) this.#greet(peer);
  };

  #greet(peer: Peer): void {
    this.#ask(peer, HELLO);
    this.#introduce(peer);
  }

  #ask(peer: Peer, type: number): void {
    this.#asked.add(peer);
    this.#send([peer], type, (encoder) => writeSyncStep1(encoder, this.doc));
  }

  #introduce(peer: Peer): void {
    if (this.awareness.getLocalState() !== null) this.#sendAwareness([peer]);
  }

  readonly #forget = (peer: Peer): void => {
    this.#hide(peer);
    for (const each of this.#ofPeers) each.delete(peer);
    this.#update();
  };

  /** Takes what a peer has said from the awareness. */
  #hide(peer: Peer): void {
    const id = this.#ids.get(peer);
    this.#ids.delete(peer);
    // It may be back already, as another peer.
    if (id === undefined || [...this.#ids.values()].includes(id)) return;
    removeAwarenessStates(this.awareness, [id], this);
    this.awareness.meta.delete(id); // else whoever has counted too far could not be heard when it is back
  }

  readonly #receive = (peer: Peer, data: ArrayBuffer): void => {
    if (isYjsMessage(data)) this.#try(peer, () => this.#take(peer, new Uint8Array(data, MARK.length)));
  };

  #try(peer: Peer, take: () => void): void {
    try {
      take();
    } catch (error) {
      if (this.#complainedOf.has(peer)) return;
      this.#complainedOf.add(peer);
      console.warn(`A message of ${peer.client_id} for the document "${this.name}" makes no sense:`, error);
    }
  }

  #take(peer: Peer, message: Uint8Array): void {
    const decoder = createDecoder(message);
    if (readVarString(decoder) !== this.name) return;
    const type = readVarUint(decoder);
    if (type === AWARENESS) this.#listen(peer, readVarUint8Array(decoder));
    else this.#sync(peer, type, decoder);
  }

  /** A peer speaks for itself alone, under one id that is not ours; under a stand-in while another peer has that id. */
  #listen(peer: Peer, update: Uint8Array): void {
    const decoder = createDecoder(update);
    if (update.length > MAX_AWARENESS || readVarUint(decoder) !== 1)
      throw new Error('It says too much in the awareness.');
    const id = readVarUint(decoder);
    let before = this.#ids.get(peer);
    // It has said that it is away. It may come back with another Y.Doc of the document, whose id is another.
    if (before !== undefined && !this.awareness.states.has(before)) {
      this.#hide(peer);
      before = undefined;
    }
    if (id === this.awareness.clientID || (id !== (before ?? id) && !this.#standIns.has(peer)))
      throw new Error(`The id ${id} in the awareness is not its own.`);
    const isOthers = [...this.#ids].some(([other, theirs]) => theirs === id && other.fingerprint !== peer.fingerprint);
    if (isOthers) this.#standIns.add(peer);
    else if (this.#standIns.delete(peer)) this.#hide(peer);
    const shown = isOthers ? (before ?? Math.floor(Math.random() * 2 ** 32)) : id; // as long as those of Yjs
    this.#ids.set(peer, shown);
    const encoder = createEncoder();
    writeVarUint(encoder, 1);
    writeVarUint(encoder, shown);
    writeUint8Array(encoder, readTailAsUint8Array(decoder));
    applyAwarenessUpdate(this.awareness, toUint8Array(encoder), peer);
  }

  /** A greeting that is no question is none. */
  #sync(peer: Peer, type: number, decoder: Decoder): void {
    const step = readVarUint(decoder);
    if (step === messageYjsSyncStep1) this.#answer(peer, { type, decoder });
    else if (type !== HELLO && step <= messageYjsUpdate) this.#apply(peer, step === messageYjsSyncStep2, decoder);
  }

  /** Whoever asks for the document again, while it is being sent or soon after, is answered later. */
  #answer(peer: Peer, question: Question): void {
    if (question.decoder.arr.length > MAX_QUESTION) throw new Error('It asks for too much.');
    if (this.#behind.has(peer)) return; // it is asked again when it is greeted
    if (this.#answering.has(peer)) {
      if (this.#answering.get(peer)?.type === HELLO) question.type = HELLO;
      this.#answering.set(peer, question);
      return;
    }
    const reply = createEncoder();
    readSyncStep1(question.decoder, reply, this.doc);
    this.#answering.set(peer, undefined);
    const sent = this.#sendBytes([peer], SYNC, toUint8Array(reply));
    void Promise.all([sent, pause()]).then(() => {
      const next = this.#answering.get(peer);
      this.#answering.delete(peer);
      if (next) this.#try(peer, () => this.#answer(peer, next));
    });
    const isGreeting = question.type === HELLO;
    if (isGreeting) {
      this.#ask(peer, SYNC);
      this.#introduce(peer);
    }
    this.#theirs.set(peer, !isGreeting && this.#theirs.get(peer) === true);
    this.#update();
  }

  #apply(peer: Peer, isWhole: boolean, decoder: Decoder): void {
    const isAnswer = isWhole && this.#asked.delete(peer);
    if (isAnswer) this.#lagging.delete(peer);
    if (this.#lagging.has(peer)) return;
    const { pos } = decoder;
    // Before Yjs makes room for all the parts that it claims to have.
    checkUpdate(readVarUint8Array(decoder), this.doc.store);
    decoder.pos = pos;
    this.#before = pendingIn(this.doc.store);
    readUpdate(decoder, this.doc, peer); // the peer as the origin: see #passOn
    const isLagging = limitPending(this.doc.store, this.#before) && !isAnswer; // it has no more than its answer
    if (isLagging) {
      this.#lagging.add(peer);
      void pause().then(() => this.#lagging.has(peer) && !this.#asked.has(peer) && this.#ask(peer, SYNC));
    }
    this.#theirs.set(peer, !isLagging && (isWhole || this.#theirs.get(peer) === true));
    this.#update();
  }

  /**
   * To all but where it comes from: two that found no way to each other hear of each other by a third. And to that one,
   * if there is something beside that was pending here: it may not have kept it.
   */
  readonly #passOn = (update: Uint8Array, origin: unknown): void => {
    const isMore = this.#before !== undefined && hasPlaced(this.doc.store, this.#before);
    const others = this.#connected.filter((peer) => isMore || peer !== origin);
    this.#send(others, SYNC, (encoder) => writeUpdate(encoder, update));
  };

  /** Each speaks for itself alone, so that whoever is gone takes along what it has said. */
  readonly #tell = ({ added, updated, removed }: AwarenessChange): void => {
    // Not the document's id, which Yjs changes where somebody else writes under it.
    if ([...added, ...updated, ...removed].includes(this.awareness.clientID)) this.#sendAwareness(this.#connected);
  };

  #sendAwareness(peers: Peer[]): void {
    this.#send(peers, AWARENESS, (encoder) =>
      writeVarUint8Array(encoder, encodeAwarenessUpdate(this.awareness, [this.awareness.clientID])),
    );
  }

  #send(peers: Peer[], type: number, write: (encoder: Encoder) => void): void {
    const ready = peers.filter((peer) => !this.#behind.has(peer));
    if (ready.length === 0) return;
    const encoder = createEncoder();
    write(encoder);
    void this.#sendBytes(ready, type, toUint8Array(encoder));
  }

  /** Resolves when all have it in their channels. */
  async #sendBytes(peers: Peer[], type: number, bytes: Uint8Array): Promise<void> {
    const encoder = createEncoder();
    writeUint8Array(encoder, MARK);
    writeVarString(encoder, this.name);
    writeVarUint(encoder, type);
    writeUint8Array(encoder, bytes);
    const message = toUint8Array(encoder);
    await Promise.all(peers.map((peer) => this.#sendTo(peer, message)));
  }

  /** A peer that is lost on the way, or is behind, is greeted again when it is back, and gets what it lacks. */
  async #sendTo(peer: Peer, message: Uint8Array): Promise<void> {
    const before = this.#underWay.get(peer) ?? 0;
    if (before >= MAX_UNDER_WAY) this.#behind.add(peer);
    if (this.#behind.has(peer)) return;
    this.#underWay.set(peer, before + 1);
    await this.room.send(peer, message).catch(() => undefined);
    const left = (this.#underWay.get(peer) ?? 1) - 1;
    if (left > 0) this.#underWay.set(peer, left);
    else this.#underWay.delete(peer);
    if (left === 0 && this.#behind.delete(peer) && peer.connected) this.#greet(peer);
  }

  #update(): void {
    const synced = this.#theirs.size > 0 && [...this.#theirs.values()].every(Boolean);
    if (synced === this.synced) return;
    this.synced = synced;
    this.emit('synced', synced);
  }
}

printAs(YjsProvider, 'YjsProvider');

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
