/**
 * P2PCF's data channel: messages of any length, sent in turn without overflowing its buffer, and signals among them.
 */
import type { RenewRequest, Signal } from '../protocol/signal.ts';
import { isMarked, Reassembly, signalFrames, toFrames, unmarkSignal } from './chunks.ts';
import { newDeferred } from './deferred.ts';
import { attempt } from './events.ts';
import { MAX_DATA_BYTES, MAX_WAITING_BYTES, newChannelSignalAllowance, STALLED_AFTER_MS, signalsIn } from './limits.ts';

/** `send` keeps the channel's bufferedAmount at or below this, in bytes. */
const MAX_BUFFERED_BYTES = 1_048_576;

/** How often to look whether the other takes anything, in ms, while a message waits. */
const LOOK_EVERY_MS = 10_000;

/** How often to look whether there is room, in ms, where nothing says so. */
const POLL_EVERY_MS = 20;

/** A message to send: bytes, or a string, which arrives as its UTF-8 bytes. */
export type Data = string | ArrayBuffer | ArrayBufferView | Blob;

/** The bytes of a message, or what they are read from in its turn. */
export type Message = Uint8Array | Blob;

/** Called after each part of a message that has gone into the channel, in bytes. */
export type Progress = (sentBytes: number, totalBytes: number) => void;

/** What a channel tells of itself. */
export interface ChannelListener {
  /** Whom it leads to, for error messages. */
  peerId(): string;
  opened(): void;
  closed(): void;
  /** Whether ICE has a way to the other; undefined if it has none, and that may be because of our own network. */
  isReached(): boolean | undefined;
  message(bytes: Uint8Array<ArrayBuffer>): void;
  /** So much of a message that comes in parts is here. */
  progress(receivedBytes: number, totalBytes: number): void;
  signal(signal: unknown): void;
  /** The other makes us hold or read too much, or does not take what we have to say; `reason` is a sentence. */
  exceeded(reason: string): void;
}

export class Channel {
  readonly rtc: RTCDataChannel;
  readonly #listener: ChannelListener;
  readonly #reassembly: Reassembly;
  readonly #signalAllowance = newChannelSignalAllowance();
  readonly #lookEveryMs: number;
  #isClosed = false;
  /** Until the latest message is sent, or cannot be. */
  #sending: Promise<void> | undefined;
  /** Of the messages that are under way. */
  #waitingBytes = 0;
  /** At random, for P2PCF has one table for what comes of all its peers, and keeps there what was never ended. */
  #messageId = Math.floor(Math.random() * 65_536);
  /** Continues the send that waits for room in the buffer. */
  #wake: (() => void) | undefined;

  constructor(rtc: RTCDataChannel, listener: ChannelListener) {
    this.rtc = rtc;
    this.#listener = listener;
    this.#reassembly = new Reassembly(
      (reason) => listener.exceeded(reason),
      (receivedBytes, totalBytes) => listener.progress(receivedBytes, totalBytes),
    );
    rtc.binaryType = 'arraybuffer';
    rtc.bufferedAmountLowThreshold = MAX_BUFFERED_BYTES / 2;
    // @roamhq/wrtc (0.10) and werift (0.24) do not say when the buffer is empty.
    this.#lookEveryMs = 'onbufferedamountlow' in rtc ? LOOK_EVERY_MS : POLL_EVERY_MS;
    rtc.onbufferedamountlow = () => this.#wake?.();
    rtc.onmessage = ({ data }) => this.#receive(data);
    rtc.onclose = () => listener.closed();
    if (rtc.readyState === 'open') queueMicrotask(() => this.#opened());
    else rtc.onopen = () => this.#opened();
  }

  /**
   * Sends a message, in its turn. Resolves when all of it is in the channel; rejects with Error if that closes before,
   * or if the message is too long, or too much waits already.
   */
  async send(message: Message, onProgress?: Progress): Promise<void> {
    const length = message instanceof Uint8Array ? message.length : message.size;
    if (length > MAX_DATA_BYTES)
      throw new Error(`The message has ${length} bytes; ${MAX_DATA_BYTES} is the most. Send it in parts.`);
    if (this.#waitingBytes + length > MAX_WAITING_BYTES)
      throw new Error(
        `${this.#waitingBytes} bytes wait to be sent to ${this.#listener.peerId()}: wait until send resolves.`,
      );
    this.#waitingBytes += length;
    const before = this.#sending;
    // Now, as what is sent in `onProgress` is to come after this.
    const { promise, resolve } = newDeferred();
    this.#sending = promise;
    try {
      if (before) await before;
      const bytes = message instanceof Uint8Array ? message : new Uint8Array(await bytesOf(message));
      let sent = 0;
      for (const frame of toFrames(bytes, this.#nextMessageId())) {
        // At once where there is room, as in P2PCF: what an app says just before it leaves is to be heard.
        if (!this.#hasRoom(frame.length)) await this.#untilRoomFor(frame.length);
        // A channel is closing for a moment before it says that it is closed.
        if (this.#isClosed || this.rtc.readyState !== 'open') throw notConnected(this.#listener.peerId());
        this.rtc.send(frame);
        sent = Math.min(sent + frame.length, length);
        attempt(() => onProgress?.(sent, length));
      }
    } finally {
      this.#waitingBytes -= length;
      if (this.#sending === promise) this.#sending = undefined;
      resolve();
    }
  }

  /** Sends a signal ahead of messages that wait: whole, or in P2PCF's form, which has each candidate by itself. */
  signal(signal: Signal, isForP2pcf: boolean): void {
    const { candidates = [], ...description } = signal;
    const parts = 'type' in description ? [description] : [];
    // P2PCF throws at an end of candidates.
    const ways = candidates.filter(({ candidate }) => candidate !== '').map((candidate) => ({ candidate }));
    this.#signal(isForP2pcf ? [...parts, ...ways] : [signal]);
  }

  /** Says that the connection is given up for a new one. To be closed at once: what is sent by then arrives before. */
  renew(): void {
    this.#signal([{ renew: true } satisfies RenewRequest]);
  }

  #signal(parts: object[]): void {
    try {
      for (const part of parts) {
        for (const frame of signalFrames(part, this.#nextMessageId())) this.rtc.send(frame);
      }
    } catch (error) {
      // Its description may name a length that is less than any signal's.
      this.#listener.exceeded(`It takes no signal of ours: ${error}.`);
    }
  }

  /** Listens and sends no more. The connection closes the channel itself, once that is open. */
  release(): void {
    this.#isClosed = true;
    this.#reassembly.clear();
    this.rtc.onmessage = this.rtc.onclose = this.rtc.onopen = null;
    // Else node-datachannel (0.33.4) keeps it for good, and with it the process.
    if (this.rtc.readyState === 'connecting') this.rtc.close();
    this.#wake?.();
  }

  #opened(): void {
    this.rtc.onopen = null; // node-datachannel (0.33.4) may say so twice
    if (!this.#isClosed) this.#listener.opened();
  }

  #receive(data: unknown): void {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : asBytes(data);
    const whole = bytes && this.#reassembly.take(bytes);
    if (!whole || this.#isClosed) return; // a listener of its progress may have closed it
    if (isMarked(whole) && !this.#signalAllowance.take(signalsIn(whole.message.length))) {
      this.#listener.exceeded('It sends too many signals.');
      return;
    }
    const signal = unmarkSignal(whole);
    if (signal === undefined) this.#listener.message(whole.message);
    else this.#listener.signal(signal);
  }

  /** Of a channel that is closed there is nothing to wait for. */
  async #untilRoomFor(bytes: number): Promise<void> {
    let stalledMs = 0;
    let wasReached = this.#listener.isReached();
    while (!this.#isClosed && !this.#hasRoom(bytes)) {
      const before = this.rtc.bufferedAmount;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#lookEveryMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      const isReached = this.#listener.isReached();
      // Where a way has been lost or found SCTP needs its time.
      if (isReached === undefined || isReached !== wasReached || this.rtc.bufferedAmount < before) stalledMs = 0;
      else stalledMs += this.#lookEveryMs;
      wasReached = isReached;
      if (stalledMs >= STALLED_AFTER_MS) this.#listener.exceeded('It does not read what it is sent.');
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.rtc.bufferedAmount + bytes <= MAX_BUFFERED_BYTES;
  }

  #nextMessageId(): number {
    this.#messageId = (this.#messageId + 1) % 65_536;
    return this.#messageId;
  }
}

/** What a Blob of another frame promises by itself never comes once that frame is gone, as a closed dialog is. */
function bytesOf(blob: Blob): Promise<ArrayBuffer> {
  return (blob instanceof Blob ? blob : new Response(blob)).arrayBuffer();
}

/** What a send rejects with when there is no open channel. */
export function notConnected(peerId: string): Error {
  return new Error(`The peer ${peerId} is not connected.`);
}

/**
 * What is sent of a message: a copy, as all but its first frame goes later, and the app may reuse its buffer. A Blob
 * never changes. Throws TypeError for what cannot be sent.
 */
export function toMessage(data: Data): Message {
  if (isBlob(data)) return data;
  const bytes = toBytes(data, ', view of one or Blob');
  return typeof data === 'string' ? bytes : bytes.slice(); // those of a string are a copy already
}

/** The bytes of a message. Throws TypeError for what has none at hand; `others` names what may be passed beside. */
export function toBytes(data: unknown, others = ' or view of one'): Uint8Array<ArrayBuffer> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : asBytes(data);
  if (bytes) return bytes;
  const what = ArrayBuffer.isView(data) ? `A view of ${kindOf(data.buffer)}` : kindOf(data);
  throw new TypeError(`${what} cannot be sent: pass a string (JSON.stringify makes one), ArrayBuffer${others}.`);
}

/** The bytes of a buffer or of a view, undefined of anything else. */
export function asBytes(data: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (isBuffer(data)) return new Uint8Array(data);
  if (!ArrayBuffer.isView(data)) return undefined;
  const { buffer, byteOffset, byteLength } = data;
  return isBuffer(buffer) ? new Uint8Array(buffer, byteOffset, byteLength) : undefined;
}

/** Also of another frame of the page, which has classes of its own. */
function isBuffer(data: unknown): data is ArrayBuffer {
  return kindOf(data) === 'ArrayBuffer';
}

function isBlob(data: unknown): data is Blob {
  return ['Blob', 'File'].includes(kindOf(data));
}

function kindOf(data: unknown): string {
  return Object.prototype.toString.call(data).slice(8, -1);
}
