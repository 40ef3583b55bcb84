/** Data that may be lost: one packet each, in no order, never sent again, on a channel of their own. */
import { asBytes, type Data, toBytes } from './channel.ts';

/** Most bytes of a datagram. Chromium (156) and Firefox (153) put that many, and some headers, into one packet. */
export const MAX_DATAGRAM_BYTES = 1_100;

/** The browser is given more while it holds at most this many bytes: what it has it sends, however old. */
const MAX_BUFFERED_BYTES = 16_384;

/** Most datagrams that wait for that; the oldest is dropped for a new one. */
const MAX_WAITING = 32;

/** Both sides make it by themselves, so it costs no round trip. Firefox has 256 streams without asking for more. */
const CHANNEL: RTCDataChannelInit = { negotiated: true, id: 254, ordered: false, maxRetransmits: 0 };

/** What can be sent as a datagram: a string arrives as its UTF-8 bytes. */
export type Datagram = Exclude<Data, Blob>;

export class Datagrams {
  readonly #rtc: RTCDataChannel;
  readonly #dropped: () => void;
  #waiting: Uint8Array<ArrayBuffer>[] = [];

  /**
   * `received` is given each datagram; `dropped` is told of each that was too old to be sent, or too long for the
   * other.
   */
  constructor(pc: RTCPeerConnection, received: (bytes: Uint8Array<ArrayBuffer>) => void, dropped: () => void) {
    const rtc = pc.createDataChannel('datagrams', CHANNEL);
    rtc.binaryType = 'arraybuffer';
    rtc.bufferedAmountLowThreshold = MAX_BUFFERED_BYTES / 2;
    rtc.onopen = rtc.onbufferedamountlow = () => this.#flush();
    rtc.onmessage = ({ data }) => {
      const bytes = asBytes(data);
      if (bytes && bytes.length <= MAX_DATAGRAM_BYTES) received(bytes);
    };
    this.#rtc = rtc;
    this.#dropped = dropped;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#waiting.push(bytes.slice()); // the app may use its buffer again
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#dropped();
    }
    this.#flush();
  }

  /** Listens and sends no more. The connection closes the channel itself. */
  release(): void {
    this.#waiting = [];
    this.#rtc.onmessage = this.#rtc.onopen = this.#rtc.onbufferedamountlow = null;
  }

  #flush(): void {
    while (this.#rtc.readyState === 'open' && this.#rtc.bufferedAmount < MAX_BUFFERED_BYTES) {
      const next = this.#waiting.shift();
      if (!next) return;
      try {
        this.#rtc.send(next);
      } catch {
        this.#dropped(); // the other's description names a length that is less
      }
    }
  }
}

/** The bytes of a datagram. Throws TypeError for what cannot be sent, RangeError for more than 1,100 bytes. */
export function toDatagram(data: Datagram): Uint8Array<ArrayBuffer> {
  const bytes = toBytes(data);
  if (bytes.length > MAX_DATAGRAM_BYTES)
    throw new RangeError(`The datagram has ${bytes.length} bytes; ${MAX_DATAGRAM_BYTES} is the most. Use send.`);
  return bytes;
}
