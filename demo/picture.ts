/**
 * How large a picture is, by its first bytes. A file of 32 KB may be a picture that takes a gigabyte once it is drawn.
 * Browsers go by these bytes, too, and not by what a sender says of its kind.
 */

/**
 * How much of a file is looked at: what a camera writes before the size, with colours and a thumbnail, fits in there.
 */
export const HEADER_BYTES = 1_048_576;

/** Most pixels of a picture that is shown: each takes four bytes. */
const MAX_PIXELS = 40_000_000;

export interface Size {
  width: number;
  height: number;
}

/** Whether a file that begins like this is a picture of a size that a page can draw. */
export function isDrawable(start: Uint8Array): boolean {
  const { width, height } = sizeOf(start) ?? { width: 0, height: 0 };
  const pixels = width * height;
  return pixels > 0 && pixels <= MAX_PIXELS;
}

/** The size of a PNG, JPEG, GIF or WebP; undefined for anything else, and for what ends before it says so. */
export function sizeOf(start: Uint8Array): Size | undefined {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  try {
    if (says(view, 0, '\x89PNG\r\n\x1a\n')) return says(view, 12, 'IHDR') ? sizeOfPng(view) : undefined;
    if (says(view, 0, 'GIF87a') || says(view, 0, 'GIF89a')) return sizeOfGif(view);
    if (says(view, 0, 'RIFF') && says(view, 8, 'WEBP')) return sizeOfWebp(view);
    if (says(view, 0, '\xff\xd8')) return sizeOfJpeg(view);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // it is cut short
  }
  return undefined;
}

function says(view: DataView, at: number, text: string): boolean {
  if (at + text.length > view.byteLength) return false;
  return [...text].every((character, index) => view.getUint8(at + index) === character.charCodeAt(0));
}

function sizeOfPng(view: DataView): Size {
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** A GIF says two sizes: its own, and that of its first frame, for which browsers make place where it is larger. */
function sizeOfGif(view: DataView): Size | undefined {
  const flags = view.getUint8(10);
  let at = 13 + colourBytes(flags);
  while (view.getUint8(at) === 0x21) {
    at += 2; // an extension: its blocks, up to an empty one
    while (view.getUint8(at) > 0) at += 1 + view.getUint8(at);
    at++;
  }
  if (view.getUint8(at) !== 0x2c) return undefined;
  const [left, top, width, height] = [1, 3, 5, 7].map((offset) => view.getUint16(at + offset, true));
  return {
    width: Math.max(view.getUint16(6, true), (left ?? 0) + (width ?? 0)),
    height: Math.max(view.getUint16(8, true), (top ?? 0) + (height ?? 0)),
  };
}

function colourBytes(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

function sizeOfWebp(view: DataView): Size | undefined {
  if (says(view, 12, 'VP8X')) return { width: 1 + uint24(view, 24), height: 1 + uint24(view, 27) };
  if (says(view, 12, 'VP8L') && view.getUint8(20) === 0x2f) {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  if (says(view, 12, 'VP8 ') && says(view, 23, '\x9d\x01\x2a'))
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  return undefined;
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) + view.getUint8(at + 2) * 65_536;
}

/** From segment to segment, to the first that begins a frame. */
function sizeOfJpeg(view: DataView): Size | undefined {
  let at = 2;
  while (view.getUint8(at) === 0xff) {
    while (view.getUint8(at) === 0xff) at++;
    const marker = view.getUint8(at);
    // C4, C8 and CC are of the same range and begin none.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return { width: view.getUint16(at + 6), height: view.getUint16(at + 4) };
    // Before the frame there is nothing but segments with a length: tables, and what programs add.
    const hasLength = marker === 0xc4 || marker === 0xcc || marker === 0xdb || marker === 0xdd || marker >= 0xe0;
    if (!hasLength) return undefined;
    at += 1 + view.getUint16(at + 1);
  }
  return undefined;
}
