import { expect, test } from 'vitest';
import { decode, encode, type Message } from './wire.ts';

function arrive(data: string | Uint8Array): Message | undefined {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data);
  return decode(bytes.buffer);
}

test.each<Message>([
  { type: 'chat', text: 'Hello <b>Bob</b> ✓' },
  { type: 'media', microphone: true, camera: false, screen: 'stream-1' },
  { type: 'file', id: 3, name: 'a.png', size: 20_000_000, kind: 'image/png' },
  { type: 'part', id: 4_000_000_000, bytes: new Uint8Array([1, 2, 3]) },
  { type: 'part', id: 0, bytes: new Uint8Array() },
  { type: 'withdraw', id: 1 },
  { type: 'refuse', id: 1 },
])('$type arrives as it was sent', (message) => {
  expect(arrive(encode(message))).toEqual(message);
});

test.each([
  ['another app', { type: 'chat', text: 'another app' }],
  ['{"type":', { type: 'chat', text: '{"type":' }],
  ['a'.repeat(5000), { type: 'chat', text: 'a'.repeat(4000) }],
  [
    '{"type":"file","id":1,"name":"holiday\\u202egnp.exe","size":1,"kind":""}',
    { type: 'file', id: 1, name: 'holiday gnp.exe', size: 1, kind: '' },
  ],
  [
    `{"type":"file","id":1,"name":"${'a'.repeat(5000)}.png","size":1,"kind":"${'a'.repeat(5000)}"}`,
    { type: 'file', id: 1, name: `${'a'.repeat(149)}…${'a'.repeat(46)}.png`, size: 1, kind: 'a'.repeat(255) },
  ],
  [
    `{"type":"media","screen":"${'a'.repeat(5000)}"}`,
    { type: 'media', microphone: false, camera: false, screen: 'a'.repeat(255) },
  ],
  ['{"type":"media"}', { type: 'media', microphone: false, camera: false, screen: '' }],
])('%j is taken for %j', (text, message) => {
  expect(arrive(text)).toEqual(message);
});

test.each([
  'null',
  '7',
  '[]',
  '{}',
  '{"type":"chat","text":7}',
  '{"type":"file","id":1,"name":"a","size":-1,"kind":""}',
  '{"type":"file","id":1.5,"name":"a","size":1,"kind":""}',
  '{"type":"file","id":1,"name":null,"size":1,"kind":""}',
  '{"type":"part","id":1}',
  '{"type":"withdraw","id":"1"}',
  '{"type":"unheard of","id":1}',
])('%s makes no sense', (text) => {
  expect(arrive(text)).toBeUndefined();
});

test('a part that is too short makes no sense', () => {
  expect(arrive(new Uint8Array(7))).toBeUndefined();
});
