import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from './error.ts';
import { idFault } from './ids.ts';
import { isRoomPath, joinUrl, parseJoin } from './join.ts';

const MADE_UP = 'made up';
const read = (url: string) => parseJoin(new URL(url), () => MADE_UP);

const id = fc.string({ unit: 'grapheme', maxLength: 128 }).filter((text) => idFault(text) === undefined);
const roomId = id.filter((text) => !/^\.\.?$/.test(text));
const token = fc.uuid();

test('what a client says when it joins is what the Worker reads', () => {
  fc.assert(
    fc.property(
      roomId,
      fc.record(
        { clientId: id, metadata: fc.json({ maxDepth: 1 }), resume: token, ahead: fc.boolean() },
        { requiredKeys: [] },
      ),
      fc.constantFrom(
        'https://a.dev',
        'http://127.0.0.1:8787/',
        'wss://a.dev/base/',
        'ws://a.dev?x=1',
        'https://a.dev/a/?x=%20#y',
      ),
      (roomId, said, workerUrl) => {
        fc.pre((said.metadata ?? '').length < 1000);
        const url = joinUrl(workerUrl, { roomId, ...said });
        const parsed = new URL(url);
        expect(parsed.protocol).toBe(workerUrl.startsWith('https') || workerUrl.startsWith('wss') ? 'wss:' : 'ws:');
        const prefix = /^\w+:\/\/[^/?]+(\/\w+)?/.exec(workerUrl)?.[1] ?? '';
        expect(parsed.pathname.startsWith(`${prefix}/ws/room/`)).toBe(true);
        expect(parsed.searchParams.has('x')).toBe(workerUrl.includes('x='));
        parsed.pathname = parsed.pathname.slice(prefix.length);
        expect(isRoomPath(parsed.pathname)).toBe(true);
        expect(parseJoin(parsed, () => MADE_UP)).toEqual({ clientId: MADE_UP, ahead: false, roomId, ...said });
      },
    ),
  );
});

test.each([
  ['', {}, 'workerUrl is missing'],
  ['example.com', {}, 'must begin with https'],
  ['https://', {}, 'must begin with https'],
  ['https://?a', {}, 'must begin with https'],
  ['ftp://a.dev', {}, 'must begin with https'],
  ['https://a.dev', { roomId: '' }, 'The room id is empty'],
  ['https://a.dev', { roomId: '..' }, 'a step in a path'],
  ['https://a.dev', { clientId: 'a\nb' }, 'The client id has a control character'],
])('no address is made of %j and %j', (workerUrl, join, complaint) => {
  expect(() => joinUrl(workerUrl, { roomId: 'lobby', ...join })).toThrow(complaint);
});

test('any address of a room is a join or a ProtocolError', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (room, query) => {
      const url = new URL('http://a.dev');
      url.pathname = `/ws/room/${room.replaceAll('/', '')}`;
      url.search = query;
      try {
        expect(idFault(read(url.href).clientId)).toBeUndefined();
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
  );
});
