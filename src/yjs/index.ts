/** A provider for Yjs: documents and awareness of a room's members, over the data channels that they have anyway. */
import {
  createDecoder,
  peekVarUint,
  readTailAsUint8Array,
  readVarString,
  readVarUint,
  readVarUint8Array,
} from 'lib0/decoding';
import {
  createEncoder,
  type Encoder,
  hasContent,
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
  readSyncMessage,
  writeSyncStep1,
  writeUpdate,
} from 'y-protocols/sync';
import type { Doc } from 'yjs';
import { Emitter } from '../client/events.ts';
import type { P2PCF, Peer } from '../client/index.ts';

/** How a message of ours begins: it shares the data channel with the app's own. */
const MARK = Uint8Array.of(0, 121, 106, 115); // "\0yjs"

/** What follows the name of the document. */
const SYNC = 0;
const AWARENESS = 1;
/** A step 1 of SYNC that is answered with step 2, and with a step 1 of the other's. */
const HELLO = 2;

export interface YjsOptions {
  /** Tells documents of one room apart. */
  name?: string;
  /** One that the app has already. */
  awareness?: Awareness;
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

/** A message of SYNC or HELLO, without its head. */
interface SyncMessage {
  type: number;
  content: Uint8Array;
}

/** Whether a message (of the room's event `msg`) is one of a YjsProvider, which the app has no use for. */
export function isYjsMessage(data: ArrayBuffer): boolean {
  const start = new Uint8Array(data, 0, Math.min(MARK.length, data.byteLength));
  return MARK.every((byte, index) => start[index] === byte);
}

/**
 * Keeps a document the same for all members of a room that have a provider for it, and tells each of the others' awareness.
 * The app starts and destroys the room. Works beside other providers of the document, such as y-indexeddb.
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
  /** The id in the awareness that each peer speaks for: the first that it has brought. */
  readonly #ids = new Map<Peer, number>();
  /** Peers that are being sent the document, and what they have asked meanwhile. */
  readonly #answering = new Map<Peer, SyncMessage | undefined>();
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

  /** Ends the provider, and tells the others that we are away. Room and document go on. May be called twice. */
  readonly destroy = (): void => {
    this.awareness.setLocalState(null); // is told
    this.room.off('peerconnect', this.#meet).off('peerclose', this.#forget).off('msg', this.#receive);
    this.doc.off('update', this.#passOn);
    this.doc.off('destroy', this.destroy);
    this.awareness.off('update', this.#tell);
    if (this.#ownsAwareness) this.awareness.destroy();
    this.#theirs.clear();
    this.#answering.clear();
    this.#update();
    this.removeAllListeners();
  };

  get #connected(): Peer[] {
    return [...this.room.peers.values()].filter(({ connected }) => connected);
  }

  /** One of the two greets; a provider that is made later greets those who are there. */
  readonly #meet = (peer: Peer): void => {
    if (this.room.sessionId < peer.id) this.#greet(peer);
  };

  #greet(peer: Peer): void {
    this.#send([peer], HELLO, (encoder) => writeSyncStep1(encoder, this.doc));
    this.#introduce(peer);
  }

  #introduce(peer: Peer): void {
    if (this.awareness.getLocalState() !== null) this.#sendAwareness([peer]);
  }

  readonly #forget = (peer: Peer): void => {
    this.#theirs.delete(peer);
    this.#answering.delete(peer);
    const id = this.#ids.get(peer);
    this.#ids.delete(peer);
    // It may be back already, as another peer.
    if (id !== undefined && ![...this.#ids.values()].includes(id)) {
      removeAwarenessStates(this.awareness, [id], this);
      this.awareness.meta.delete(id); // else whoever has counted too far could not be heard when it is back
    }
    this.#update();
  };

  readonly #receive = (peer: Peer, data: ArrayBuffer): void => {
    if (!isYjsMessage(data)) return;
    try {
      this.#take(peer, new Uint8Array(data, MARK.length));
    } catch (error) {
      if (this.#complainedOf.has(peer)) return;
      this.#complainedOf.add(peer);
      console.warn(`A message of ${peer.client_id} for the document "${this.name}" makes no sense:`, error);
    }
  };

  #take(peer: Peer, message: Uint8Array): void {
    const decoder = createDecoder(message);
    if (readVarString(decoder) !== this.name) return;
    const type = readVarUint(decoder);
    if (type === AWARENESS) this.#listen(peer, readVarUint8Array(decoder));
    else this.#sync(peer, { type, content: readTailAsUint8Array(decoder) });
  }

  /** A peer speaks for itself alone, under an id that is neither ours nor another's. */
  #listen(peer: Peer, update: Uint8Array): void {
    const id = soleIdOf(update);
    const isOthers = [...this.#ids].some(
      ([other, theirs]) => theirs === id && other !== peer && other.fingerprint !== peer.fingerprint,
    );
    if (id === this.awareness.clientID || id !== (this.#ids.get(peer) ?? id) || isOthers)
      throw new Error(`The id ${id} in the awareness is not its own.`);
    this.#ids.set(peer, id);
    applyAwarenessUpdate(this.awareness, update, peer);
  }

  /** Whoever asks for the document again, while it is being sent, is answered when that is done. */
  #sync(peer: Peer, { type, content }: SyncMessage): void {
    const decoder = createDecoder(content);
    const reply = createEncoder();
    if (peekVarUint(decoder) === messageYjsSyncStep1 && this.#answering.has(peer)) {
      const before = this.#answering.get(peer);
      this.#answering.set(peer, { type: before?.type === HELLO ? HELLO : type, content });
      return;
    }
    const step = readSyncMessage(decoder, reply, this.doc, peer); // the peer as the origin: #passOn looks at it
    if (hasContent(reply)) {
      this.#answering.set(peer, undefined);
      void this.#sendBytes([peer], SYNC, toUint8Array(reply)).then(() => this.#answered(peer));
    }
    if (type === HELLO) {
      this.#send([peer], SYNC, (encoder) => writeSyncStep1(encoder, this.doc));
      this.#introduce(peer);
    }
    this.#theirs.set(peer, step === messageYjsSyncStep2 || (type !== HELLO && this.#theirs.get(peer) === true));
    this.#update();
  }

  #answered(peer: Peer): void {
    const next = this.#answering.get(peer);
    this.#answering.delete(peer);
    if (next) this.#sync(peer, next);
  }

  /** To all but where it comes from: two that found no way to each other hear of each other by a third. */
  readonly #passOn = (update: Uint8Array, origin: unknown): void => {
    const others = this.#connected.filter((peer) => peer !== origin);
    this.#send(others, SYNC, (encoder) => writeUpdate(encoder, update));
  };

  /** Each speaks for itself alone, so that whoever is gone takes along what it has said. */
  readonly #tell = ({ added, updated, removed }: AwarenessChange): void => {
    // Not the document's id, which Yjs changes where somebody else writes under it.
    if ([...added, ...updated, ...removed].includes(this.awareness.clientID)) this.#sendAwareness(this.#connected);
  };

  #sendAwareness(peers: Peer[]): void {
    const update = encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]);
    this.#send(peers, AWARENESS, (encoder) => writeVarUint8Array(encoder, update));
  }

  #send(peers: Peer[], type: number, write: (encoder: Encoder) => void): void {
    const encoder = createEncoder();
    write(encoder);
    void this.#sendBytes(peers, type, toUint8Array(encoder));
  }

  /** Resolves when all have it in their channels. */
  async #sendBytes(peers: Peer[], type: number, bytes: Uint8Array): Promise<void> {
    const encoder = createEncoder();
    writeUint8Array(encoder, MARK);
    writeVarString(encoder, this.name);
    writeVarUint(encoder, type);
    writeUint8Array(encoder, bytes);
    const message = toUint8Array(encoder);
    // A peer that is lost on the way is greeted anew when it is back, and gets what it lacks.
    await Promise.all(peers.map((peer) => this.room.send(peer, message).catch(() => undefined)));
  }

  #update(): void {
    const synced = this.#theirs.size > 0 && [...this.#theirs.values()].every(Boolean);
    if (synced === this.synced) return;
    this.synced = synced;
    this.emit('synced', synced);
  }
}

/** The id that an awareness update is about. Throws Error if it is about none or several. */
function soleIdOf(update: Uint8Array): number {
  const decoder = createDecoder(update);
  const count = readVarUint(decoder);
  if (count !== 1) throw new Error(`It speaks for ${count} in the awareness.`);
  return readVarUint(decoder);
}
