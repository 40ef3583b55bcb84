import { createEncoder, toUint8Array, writeVarString, writeVarUint } from 'lib0/encoding';
import { expect, test } from 'vitest';
import { applyUpdate, Doc, encodeStateAsUpdate, Map as YMap } from 'yjs';
import { checkUpdate } from './update-faults.ts';

/** A part of an update, as it is on the wire. */
type Part = (number | string)[];
interface Parts {
  author: number;
  from?: number;
  parts: Part[];
}

/** An update of some authors' parts that deletes nothing, or so many of one author's. */
function updateOf(all: Parts[], deleted?: [author: number, from: number, count: number]): Uint8Array {
  const encoder = createEncoder();
  const write = (part: Part): void => {
    for (const each of part)
      if (typeof each === 'string') writeVarString(encoder, each);
      else writeVarUint(encoder, each);
  };
  write([all.length]);
  for (const { author, from = 0, parts } of all) {
    write([parts.length, author, from]);
    for (const part of parts) write(part);
  }
  if (deleted) {
    const [author, from, count] = deleted;
    write([1, author, 1, from, count]);
  } else write([0]);
  return toUint8Array(encoder);
}

/** A map in a root, or under `key` of what is at a place. */
const mapIn = (parent: string | [author: number, clock: number]): Part =>
  typeof parent === 'string' ? [7 | 32, 1, parent, 'key', 1] : [7 | 32, 0, ...parent, 'key', 1];

/** Takes an update as the provider does. */
function take(doc: Doc, update: Uint8Array): void {
  checkUpdate(update, doc.store);
  applyUpdate(doc, update);
}

const chain = (author: number, from: number, to: number): Parts => ({
  author,
  from,
  parts: Array.from({ length: to - from }, (_, n) => mapIn(from + n === 0 ? 'root' : [author, from + n - 1])),
});

test('shared types nested in each other are taken as deeply as any app nests them, and can be deleted', () => {
  const doc = new Doc();
  let map = doc.getMap('root');
  for (let depth = 0; depth < 400; depth++) {
    const inner = new YMap<unknown>();
    map.set('key', inner);
    map = inner;
  }
  const other = new Doc();
  take(other, encodeStateAsUpdate(doc));
  expect(encodeStateAsUpdate(other)).toEqual(encodeStateAsUpdate(doc));
  doc.getMap('root').delete('key');
  take(other, encodeStateAsUpdate(doc));
  expect(other.getMap('root').size).toBe(0);
});

const tooDeep = 'It nests shared types too deeply.';

test('shared types nested so deeply that Yjs could not delete them are not taken', () => {
  expect(() => take(new Doc(), updateOf([chain(7, 0, 5_000)], [7, 0, 5_000]))).toThrow(tooDeep);
});

test('nor where they come one after the other', () => {
  const doc = new Doc();
  const deepen = (): void => {
    for (let from = 0; from < 5_000; from += 100) take(doc, updateOf([chain(7, from, from + 100)]));
  };
  expect(deepen).toThrow(tooDeep);
  take(doc, updateOf([], [7, 0, 400]));
  expect(doc.getMap('root').size).toBe(0);
});

test('nor where each is in one of another author, whose come later', () => {
  const doc = new Doc();
  const levels = Array.from({ length: 2_000 }, (_, n) => n);
  take(doc, updateOf([{ author: 8, parts: levels.map((n) => mapIn([7, n])) }])); // waits for those
  const first = mapIn('root');
  const rest = levels.slice(1).map((n) => mapIn([8, n - 1]));
  expect(() => take(doc, updateOf([{ author: 7, parts: [first, ...rest] }]))).toThrow(tooDeep);
});

test.each([
  ['a text of no letters', [4, 1, 'text', '']],
  ['no values', [8, 1, 'list', 0]],
  ['nothing that was deleted', [1, 1, 'text', 0]],
  ['nothing that was forgotten', [0, 0]],
])('an update with %s, which Yjs would look for in vain, is not taken', (_, part) => {
  const doc = new Doc();
  doc.getText('text').insert(0, 'unharmed');
  expect(() => take(doc, updateOf([{ author: 7, parts: [part] }]))).toThrow('It has parts that are nothing.');
});

test('an update with a part in one of its author that comes later is not taken', () => {
  const doc = new Doc();
  const waiting = updateOf([{ author: 7, from: 1, parts: [mapIn([7, 5])] }]); // for the author's first
  expect(() => take(doc, waiting)).toThrow('It builds on what is yet to come.');
});

test('an update that has an author twice is not taken, as Yjs takes the second in place of the first', () => {
  const twice = updateOf([chain(7, 0, 3), chain(7, 0, 5)]);
  expect(() => take(new Doc(), twice)).toThrow('Its parts are in disorder.');
});
