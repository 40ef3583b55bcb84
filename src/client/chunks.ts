/** Messages and signals in frames of the data channel, and out of them. */
import { parseJson } from '../protocol/json.ts';
import { MAX_DATA_BYTES, MAX_HELD_BYTES, MAX_SDP_LENGTH } from './limits.ts';

/**
 * P2PCF's format on the data channel. A message of up to 16,000 bytes is sent as it is; a longer one in frames with a
 * header of 12 bytes, little endian: u16 magic, u16 message id, u16 frame index, u16 1 on the last frame and else 0,
 * u32 length of the whole message; then up to 15,988 bytes of it. Frames are padded to a multiple of four.
 */
const MAGIC = 8121;
const HEADER_BYTES = 12;

/** Longest message that goes without a header, and longest frame, in bytes. */
const MAX_FRAME_BYTES = 16_000;
const PAYLOAD_BYTES = MAX_FRAME_BYTES - HEADER_BYTES;

/** P2PCF's mark of a signal inside the channel: these words, then JSON, padded to an even length with a zero byte. */
const SIGNAL_MARK = [0x82ab, 0x81cd, 0x1295, 0xa1cb];
const SIGNAL_MARK_BYTES = 8;

/** Longest message that is read as a signal: a description, whose line breaks JSON makes longer. */
const MAX_SIGNAL_BYTES = 2 * MAX_SDP_LENGTH;

/** Yields what to send for `message`, in order. `messageId` is 0 to 65,535 and not that of a message under way. */
export function* toFrames(message: Uint8Array, messageId: number): Generator<Uint8Array<ArrayBuffer>> {
  // A message that begins like a header, or like a signal, would be taken for one.
  if (message.length <= MAX_FRAME_BYTES && firstWord(message) !== MAGIC && !isSignal(message)) {
    yield new Uint8Array(message);
    return;
  }
  const count = Math.max(1, Math.ceil(message.length / PAYLOAD_BYTES));
  for (let index = 0; index < count; index++) {
    const payload = message.subarray(index * PAYLOAD_BYTES, (index + 1) * PAYLOAD_BYTES);
    const frame = new Uint8Array(Math.ceil((HEADER_BYTES + payload.length) / 4) * 4);
    const header = new DataView(frame.buffer);
    header.setUint16(0, MAGIC, true);
    header.setUint16(2, messageId, true);
    header.setUint16(4, index, true);
    header.setUint16(6, index === count - 1 ? 1 : 0, true);
    header.setUint32(8, message.length, true);
    frame.set(payload, HEADER_BYTES);
    yield frame;
  }
}

/** A message from a peer, and whether it came in frames. */
export interface Whole {
  message: Uint8Array<ArrayBuffer>;
  wasFramed: boolean;
}

/** A peer that stops in the middle of a message for this long, in ms, may never end it. */
const SILENT_AFTER_MS = 30_000;

/** All on this page that hold parts of messages, and how many bytes of them. */
const holders = new Set<Reassembly>();
let heldBytes = 0;

/** Puts the frames of one peer together again. */
export class Reassembly {
  readonly #parts = new Map<number, { parts: Uint8Array<ArrayBuffer>[]; length: number; held: number }>();
  readonly #onExcess: (reason: string) => void;
  readonly #onProgress: (receivedBytes: number, totalBytes: number) => void;
  #held = 0;
  #heardAt = 0;

  /**
   * `onExcess` is told of a message that is too long, or that too much is not whole: that goes to the peer that has to
   * go, which may be another peer. `onProgress` is told after each frame of an app's message.
   */
  constructor(
    onExcess: (reason: string) => void = () => undefined,
    onProgress: (receivedBytes: number, totalBytes: number) => void = () => undefined,
  ) {
    this.#onExcess = onExcess;
    this.#onProgress = onProgress;
  }

  /**
   * Takes what came off the channel. Returns a message when it is whole, undefined when more is to come, and undefined
   * for a frame that fits nothing, whose message is then forgotten: memory is held for what came, not what was
   * declared. A frame longer than any would be held whole, and counted as what a frame carries.
   */
  take(frame: Uint8Array<ArrayBuffer>): Whole | undefined {
    if (firstWord(frame) !== MAGIC || frame.length < HEADER_BYTES) return { message: frame, wasFramed: false };
    const header = new DataView(frame.buffer, frame.byteOffset);
    const id = header.getUint16(2, true);
    const index = header.getUint16(4, true);
    const isLast = header.getUint16(6, true) === 1;
    const length = header.getUint32(8, true);
    // The channel is ordered, so frames of one message come one after the other, from 0.
    const begun = index === 0 ? { parts: [], length, held: 0 } : this.#parts.get(id);
    if (index === 0) this.#forget(id);
    if (length > MAX_DATA_BYTES) {
      this.#onExcess(`It sends a message of ${length} bytes; ${MAX_DATA_BYTES} is the most.`);
      return this.#forget(id);
    }
    if (!begun || begun.parts.length !== index || begun.length !== length || frame.length > MAX_FRAME_BYTES)
      return this.#forget(id);
    const payload = frame.subarray(HEADER_BYTES, HEADER_BYTES + Math.min(PAYLOAD_BYTES, length - begun.held));
    begun.parts.push(payload);
    begun.held += payload.length;
    this.#held += payload.length;
    heldBytes += payload.length;
    this.#parts.set(id, begun);
    holders.add(this);
    this.#heardAt = performance.now();
    if (!isLast && (payload.length !== PAYLOAD_BYTES || begun.held >= length)) return this.#forget(id);
    if (!isLast && heldBytes > MAX_HELD_BYTES) Reassembly.#dropLargest();
    const isWhole = isLast && begun.held === length;
    if (isLast) this.#forget(id);
    const isUnderWay = this.#parts.get(id) === begun;
    if ((isWhole || isUnderWay) && !isSignal(begun.parts[0] ?? payload)) this.#onProgress(begun.held, length);
    if (!isWhole) return undefined;
    const message = new Uint8Array(length);
    let at = 0;
    for (const part of begun.parts) {
      message.set(part, at);
      at += part.length;
    }
    return { message, wasFramed: true };
  }

  /** Forgets all that is not whole. */
  clear(): void {
    for (const id of [...this.#parts.keys()]) this.#forget(id);
  }

  #forget(id: number): undefined {
    const held = this.#parts.get(id)?.held ?? 0;
    this.#held -= held;
    heldBytes -= held;
    this.#parts.delete(id);
    if (this.#parts.size === 0) holders.delete(this);
    return undefined;
  }

  /**
   * All peers together make us hold too much: the peer that we hold most for has to go, and a silent peer before any
   * other.
   */
  static #dropLargest(): void {
    const now = performance.now();
    const silent = [...holders].filter((each) => now - each.#heardAt > SILENT_AFTER_MS);
    const [largest] = (silent.length > 0 ? silent : [...holders]).sort((a, b) => b.#held - a.#held);
    if (!largest) return;
    largest.#onExcess(`It has sent ${largest.#held} bytes of messages that are not whole: too many to hold.`);
    largest.clear();
  }
}

/** Yields what to send for a signal: it goes without a header, unless it is too long for that. */
export function* signalFrames(signal: unknown, messageId: number): Generator<Uint8Array<ArrayBuffer>> {
  const marked = markSignal(signal);
  if (marked.length <= MAX_FRAME_BYTES) yield marked;
  else yield* toFrames(marked, messageId);
}

/** A signal, marked for the channel. */
export function markSignal(signal: unknown): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(signal));
  const bytes = new Uint8Array(SIGNAL_MARK_BYTES + Math.ceil(json.length / 2) * 2);
  const words = new DataView(bytes.buffer);
  for (const [index, word] of SIGNAL_MARK.entries()) words.setUint16(2 * index, word, true);
  bytes.set(json, SIGNAL_MARK_BYTES);
  return bytes;
}

/** Whether a message is marked as a signal. */
export function isMarked({ message, wasFramed }: Whole): boolean {
  if (message.length > MAX_SIGNAL_BYTES || !isSignal(message)) return false;
  // A signal this short comes without frames: framed, it is an app's message that happens to begin like one.
  return !wasFramed || message.length > MAX_FRAME_BYTES;
}

/** The signal in a message, or undefined if the message is the app's. */
export function unmarkSignal(whole: Whole): unknown {
  if (!isMarked(whole)) return undefined;
  const { message } = whole;
  // Not by TextDecoder, which React Native lacks.
  const escaped = Array.from(message.subarray(SIGNAL_MARK_BYTES), (byte) => `%${byte.toString(16).padStart(2, '0')}`);
  try {
    return parseJson(decodeURIComponent(escaped.join('')).replace(/\0$/, ''), '');
  } catch {
    return undefined; // not UTF-8 or not JSON: the app's, though no app with this library can have sent it unframed
  }
}

function isSignal(message: Uint8Array): boolean {
  if (message.length < SIGNAL_MARK_BYTES) return false;
  const words = new DataView(message.buffer, message.byteOffset);
  return SIGNAL_MARK.every((word, index) => words.getUint16(2 * index, true) === word);
}

function firstWord(message: Uint8Array): number | undefined {
  return message.length < 2 ? undefined : new DataView(message.buffer, message.byteOffset).getUint16(0, true);
}
