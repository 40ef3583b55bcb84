import { expect, test } from 'vitest';
import { isDrawable, sizeOf } from './picture.ts';

type Piece = string | number[] | number;

/** Bytes from characters, from numbers, and so many zeros. */
function bytes(...pieces: Piece[]): Uint8Array {
  return new Uint8Array(
    pieces.flatMap((piece) => {
      if (typeof piece === 'number') return new Array<number>(piece).fill(0);
      return typeof piece === 'string' ? [...piece].map((character) => character.charCodeAt(0)) : piece;
    }),
  );
}

const big = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => Math.floor(value / 256 ** (count - 1 - index)) % 256);
const little = (value: number, count: number): number[] => big(value, count).reverse();

const png = (width: number, height: number): Uint8Array =>
  bytes('\x89PNG\r\n\x1a\n', big(13, 4), 'IHDR', big(width, 4), big(height, 4), 9);
const frame = (left: number, width: number, height: number): number[] =>
  [[0x2c], little(left, 2), little(0, 2), little(width, 2), little(height, 2)].flat();
const gif = (width: number, height: number, ...rest: Piece[]): Uint8Array =>
  bytes('GIF89a', little(width, 2), little(height, 2), ...rest);
const webp = (kind: string, ...rest: Piece[]): Uint8Array => bytes('RIFF', 4, 'WEBP', kind, 4, ...rest);
const jpeg = (...pieces: Piece[]): Uint8Array => bytes([0xff, 0xd8], ...pieces);
const segment = (marker: number, length: number): Piece[] => [[0xff, marker, ...big(length + 2, 2)], length];
const start = (marker: number, width: number, height: number): number[] =>
  [[0xff, marker, 0, 11, 8], big(height, 2), big(width, 2)].flat();

test.each<[string, Uint8Array]>([
  ['a PNG', png(300, 200)],
  ['a GIF', gif(300, 200, 3, frame(0, 300, 200))],
  ['a GIF with colours', gif(300, 200, [0x81], 2, 12, frame(0, 10, 10))],
  ['a GIF with extensions', gif(300, 200, 3, [0x21, 0xff, 2, 1, 1, 1, 1, 0, 0x21, 0xf9, 0], frame(0, 1, 1))],
  ['a GIF whose first frame is larger than it says', gif(1, 1, 3, frame(100, 200, 200))],
  ['a lossy WebP', webp('VP8 ', 3, [0x9d, 1, 0x2a], little(300, 2), little(200, 2))],
  ['a WebP with a scale', webp('VP8 ', 3, [0x9d, 1, 0x2a], little(300 + 0x4000, 2), little(200 + 0x8000, 2))],
  ['a lossless WebP', webp('VP8L', [0x2f], little(299 + 199 * 0x4000 + 2 ** 28, 4))],
  ['an extended WebP', webp('VP8X', 4, little(299, 3), little(199, 3))],
  ['a JPEG', jpeg(start(0xc0, 300, 200))],
  ['a progressive JPEG', jpeg(...segment(0xe0, 14), ...segment(0xdb, 65), start(0xc2, 300, 200))],
  ['a JPEG with tables before', jpeg(...segment(0xc4, 20), ...segment(0xcc, 20), start(0xc1, 300, 200))],
  ['a JPEG with filled markers', jpeg([0xff, 0xff], ...segment(0xe1, 60_000), start(0xc0, 300, 200))],
])('%s of 300 x 200', (_name, file) => {
  expect(sizeOf(file)).toEqual({ width: 300, height: 200 });
  expect(isDrawable(file)).toBe(true);
  for (let length = 0; length < Math.min(file.length, 40); length++)
    expect(isDrawable(file.subarray(0, length)) && sizeOf(file.subarray(0, length))?.width !== 300).toBe(false);
});

test('a thumbnail within a JPEG is not its size', () => {
  const thumbnail = start(0xc0, 16, 16);
  const file = jpeg([0xff, 0xe1, ...big(thumbnail.length + 2, 2)], thumbnail, start(0xc0, 16_384, 16_384));
  expect(sizeOf(file)).toEqual({ width: 16_384, height: 16_384 });
});

test.each<[string, Uint8Array]>([
  ['a PNG of 268 megapixels', png(16_384, 16_384)],
  ['a PNG of one line', png(0xffff_ffff, 1)],
  ['a GIF of 4,295 megapixels', gif(65_535, 65_535, 3, frame(0, 1, 1))],
  ['a small GIF with a large first frame', gif(1, 1, 3, frame(0, 65_535, 65_535))],
  ['a WebP of 268 megapixels', webp('VP8X', 4, little(16_383, 3), little(16_383, 3))],
  ['a JPEG of 4,295 megapixels', jpeg(start(0xc2, 65_535, 65_535))],
  ['a JPEG that says its height later', jpeg(start(0xc0, 300, 0))],
  ['a JPEG with something between its segments', jpeg([1, 2, 3], start(0xc0, 300, 200))],
  ['a JPEG that begins a scan before a frame', jpeg(...segment(0xda, 4), start(0xc0, 300, 200))],
  ['a PNG that begins otherwise', bytes('\x89PNG\r\n\x1a\n', 4, 'tEXt', big(300, 4), big(200, 4))],
  ['a GIF without a frame', gif(300, 200, 3, [0x3b])],
  ['a GIF whose extension does not end', gif(300, 200, 3, [0x21, 0xff, 255], 100)],
  ['an AVIF', bytes(big(32, 4), 'ftypavif', 100)],
  ['an SVG', bytes('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"/>')],
  ['a WebP of another kind', webp('ALPH', 30)],
  ['nothing', bytes()],
])('%s is not drawn', (_name, file) => {
  expect(isDrawable(file)).toBe(false);
});

test('40 megapixels are drawn, and not one line more', () => {
  expect(isDrawable(png(8_000, 5_000))).toBe(true);
  expect(isDrawable(png(8_000, 5_001))).toBe(false);
});
