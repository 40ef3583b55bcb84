/**
 * What the demo's pages say to each other on their data channels. A message is JSON, or a part of a file: a zero byte,
 * three unused ones, the file's id as u32 in little endian, then the bytes.
 */
import { tidyFileName } from './names.ts';

export type Message =
  | { type: 'chat'; text: string }
  /** What we show and hear: whether the microphone and the camera are on, and the id of the screen's stream, or ''. */
  | { type: 'media'; microphone: boolean; camera: boolean; screen: string }
  /** A file that follows in parts; `id` is unique among those of its sender. */
  | { type: 'file'; id: number; name: string; size: number; kind: string }
  | { type: 'part'; id: number; bytes: Uint8Array<ArrayBuffer> }
  /** The sender sends no more of a file. */
  | { type: 'withdraw'; id: number }
  /** The receiver wants no more of a file. */
  | { type: 'refuse'; id: number };

const HEADER_BYTES = 8;

/** Longest text that is taken, and longest id of a stream or kind of a file, in UTF-16 units. */
const MAX_TEXT_LENGTH = 4_000;
const MAX_WORD_LENGTH = 255;

export function encode(message: Message): string | Uint8Array {
  if (message.type !== 'part') return JSON.stringify(message);
  const bytes = new Uint8Array(HEADER_BYTES + message.bytes.length);
  new DataView(bytes.buffer).setUint32(4, message.id, true);
  bytes.set(message.bytes, HEADER_BYTES);
  return bytes;
}

/** A message, or undefined for what makes no sense. Text that is not JSON is chat: another app may be in the room. */
export function decode(data: ArrayBuffer): Message | undefined {
  const bytes = new Uint8Array(data);
  if (bytes[0] === 0) {
    if (bytes.length < HEADER_BYTES) return undefined;
    return { type: 'part', id: new DataView(data).getUint32(4, true), bytes: bytes.subarray(HEADER_BYTES) };
  }
  const text = new TextDecoder().decode(bytes);
  try {
    return check(Object(JSON.parse(text)));
  } catch {
    return { type: 'chat', text: text.slice(0, MAX_TEXT_LENGTH) };
  }
}

/** The fields of a message, each of its kind. */
function check(fields: Record<string, unknown>): Message | undefined {
  const { type, text, microphone, camera, screen, id, name, size, kind } = fields;
  if (type === 'chat' && typeof text === 'string') return { type, text: text.slice(0, MAX_TEXT_LENGTH) };
  if (type === 'media') {
    return {
      type,
      microphone: microphone === true,
      camera: camera === true,
      screen: typeof screen === 'string' ? screen.slice(0, MAX_WORD_LENGTH) : '',
    };
  }
  if (!isCount(id)) return undefined;
  if (type === 'withdraw' || type === 'refuse') return { type, id };
  if (type === 'file' && typeof name === 'string' && typeof kind === 'string' && isCount(size))
    return { type, id, name: tidyFileName(name), size, kind: kind.slice(0, MAX_WORD_LENGTH) };
  return undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
