import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from './error.ts';
import { idFault } from './ids.ts';
import { isRoomPath, joinSubprotocols, joinUrl, mayUseId, parseJoin, roomTokenOf } from './join.ts';
import { ownedId } from './owned-id.ts';

const MADE_UP = 'f47ac10b-58cc-4372-a567-0e02b2c3d479';
const read = (url: string, subprotocols: string | null = null) => parseJoin(new URL(url), subprotocols, () => MADE_UP);

const id = fc.string({ unit: 'grapheme', maxLength: 128 }).filter((text) => idFault(text) === undefined);
const token = fc.uuid({ version: 4 }).filter((uuid) => new Set(uuid).size > 7);

test('what a client says when it joins is what the Worker reads', () => {
  fc.assert(
    fc.property(
      id,
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
        fc.pre((said.metadata ?? '').length < 800);
        const url = new URL(joinUrl(workerUrl, { roomId, ...said }));
        expect(url.protocol).toBe(/^(https|wss):/.test(workerUrl) ? 'wss:' : 'ws:');
        const prefix = /^\w+:\/\/[^/?]+(\/\w+)?/.exec(workerUrl)?.[1] ?? '';
        expect(url.pathname).toMatch(/^[/\w.-]+$/); // nothing to decode
        expect(url.pathname.startsWith(`${prefix}/ws/room`)).toBe(true);
        expect(url.searchParams.has('x')).toBe(workerUrl.includes('x='));
        url.pathname = url.pathname.slice(prefix.length);
        expect(isRoomPath(url.pathname)).toBe(true);
        const subprotocols = joinSubprotocols({ roomId, ...said });
        for (const each of subprotocols) expect(each).toMatch(/^[\w.-]+$/); // a token of HTTP
        const { resume, ...rest } = said;
        expect(parseJoin(url, subprotocols.join(', '), () => MADE_UP)).toEqual({
          clientId: resume ? ownedId(resume) : MADE_UP,
          ahead: false,
          roomId,
          ...rest,
          ...(resume !== undefined && { token: resume }),
        });
      },
    ),
  );
});

test('the address holds none of what others should not read in a log', () => {
  const url = joinUrl('https://a.dev', { roomId: 'lobby', clientId: 'me', metadata: '"secret"', resume: MADE_UP });
  expect(url).toBe('wss://a.dev/ws/room/lobby?clientId=me');
});

test('a bare client may say the same in the query', () => {
  const url = `http://a.dev/ws/room/lobby?metadata=%7B%7D&resume=${MADE_UP}&ahead=1`;
  const join = { roomId: 'lobby', clientId: ownedId(MADE_UP), metadata: '{}', token: MADE_UP, ahead: true };
  expect(read(url)).toEqual(join);
  expect(read(url, 'p2pcf-ws.metadata.Nw, p2pcf-ws')).toEqual({ ...join, metadata: '7' });
  expect(() => read(url, 'p2pcf-ws.metadata._w')).toThrow('base64url');
});

test.each(['lobby', 'a.b', '_-', '...', '.', '..', 'a/b', '//', 'a%2Fb', '?', '#', ';', '\\', ' ', '+', 'ö', '😀'])(
  'the room %j is at an address that no proxy changes, and where it was before',
  (roomId) => {
    const url = joinUrl('https://a.dev/base', { roomId, clientId: roomId });
    expect(url).toMatch(/^wss:\/\/a\.dev\/base\/ws\/room(\/[\w-][\w.-]*(\?clientId=[\w.-]+)?|-base64url\/[\w-]+)$/);
    expect(read(url.replace('/base', ''), joinSubprotocols({ roomId, clientId: roomId }).join())).toMatchObject({
      roomId,
      clientId: roomId,
    });
    if (!/^\.\.?$/.test(roomId)) {
      const id = encodeURIComponent(roomId);
      const join = { roomId, clientId: roomId };
      expect(read(`https://a.dev/ws/room/${id}?clientId=${id}`)).toMatchObject(join);
    }
  },
);

test('a room token is read however it is written: a page is told only by what becomes of it', () => {
  const tokenOf = (subprotocols: string | null, query = ''): string | undefined =>
    roomTokenOf(new URL(`https://a.dev/ws/room/lobby${query}`), subprotocols);
  expect(tokenOf('p2pcf-ws, p2pcf-ws.token.ZXkuYS5i')).toBe('ey.a.b');
  expect(tokenOf('p2pcf-ws.token.ey.a.b')).toBe('ey.a.b');
  expect(tokenOf('p2pcf-ws.token.ZXkuYS5i==')).toBe('ZXkuYS5i==');
  expect(tokenOf(null, '?token=ey.a.b')).toBe('ey.a.b');
  expect(tokenOf('p2pcf-ws.token.', '?token=ey.a.b')).toBe('');
  expect(tokenOf('p2pcf-ws')).toBeUndefined();
});

test('base64url of what is no text is told from a room', () => {
  expect(() => read('https://a.dev/ws/room-base64url/_w')).toThrow('must be base64url of UTF-8 text');
  expect(() => read('https://a.dev/ws/room-base64url/')).toThrow('The room id is empty');
});

test('most peers of a room: what is a number of them comes through, and nothing else', () => {
  for (const maxPeers of [1, 8, 32_000]) {
    const url = joinUrl('https://a.dev', { roomId: 'lobby', maxPeers });
    expect(read(url)).toMatchObject({ maxPeers });
  }
  for (const max of ['', '0', '-1', '1.5', '1e3', '32001', '008', ' 8', 'x'])
    expect(() => read(`https://a.dev/ws/room/lobby?max=${max}`)).toThrow('The parameter max must be a whole number');
  expect(read('https://a.dev/ws/room/lobby')).not.toHaveProperty('maxPeers');
});

test('an owned id is for the owner of its token', () => {
  const mayUse = (query: string) => mayUseId(read(`http://a.dev/ws/room/lobby?${query}`));
  expect(mayUse(`clientId=${ownedId(MADE_UP)}&resume=${MADE_UP}`)).toBe(true);
  expect(mayUse(`clientId=${ownedId(MADE_UP)}&resume=${randomUUID()}`)).toBe(false);
  expect(mayUse(`clientId=${ownedId(MADE_UP)}`)).toBe(false);
  expect(mayUse(`clientId=alice&resume=${randomUUID()}`)).toBe(true);
  expect(mayUse(`resume=1`)).toBe(true);
  expect(mayUse('')).toBe(true);
});

test.each(['', '2', '0'.repeat(36), '0123456'.repeat(4), '-'.repeat(36), 'abcdef'.repeat(6), `${MADE_UP}0`])(
  '%j is no token that was made at random',
  (resume) => {
    expect(() => read(`http://a.dev/ws/room/lobby?resume=${resume}`)).toThrow('resume must be');
  },
);

test.each([
  ['', {}, 'workerUrl is missing'],
  ['example.com', {}, 'must begin with https'],
  ['https://', {}, 'must begin with https'],
  ['https://?a', {}, 'must begin with https'],
  ['ftp://a.dev', {}, 'must begin with https'],
  ['https://p2pcf-ws.<your-subdomain>.workers.dev', {}, 'put your own address in place of what is in <>'],
  ['https://a.dev', { roomId: '' }, 'The option roomId is empty'],
  ['https://a.dev', { clientId: 'a\nb' }, 'The option clientId has a control character'],
  ['https://a.dev', { maxPeers: 0 }, 'maxPeers is 0: it must be a whole number from 1 to 32,000.'],
  ['https://a.dev', { maxPeers: 1.5 }, 'maxPeers is 1.5'],
  ['https://a.dev', { maxPeers: 32_001 }, 'maxPeers is 32001'],
  ['https://a.dev', { maxPeers: Number.NaN }, 'maxPeers is NaN'],
  ['https://a.dev', { metadata: `"${'x'.repeat(2559)}"` }, 'The metadata has 2561 bytes of JSON; 2560 is the most.'],
  ['https://a.dev', { metadata: `"${'é'.repeat(1280)}"` }, 'The metadata has 2562 bytes'],
  ['https://a.dev', { resume: '1' }, 'resumeToken must have 36 characters'],
  ['https://a.dev', { resume: MADE_UP.slice(1) }, 'resumeToken must have 36 characters'],
  ['https://a dev', {}, 'workerUrl is https://a dev'],
  ['https://a.dev:99999', {}, 'with a port up to 65535'],
  ['https://[::1', {}, '[::1 must be a name or an address'],
  ['https://a:b:c', {}, 'a:b:c must be a name or an address'],
])('no address is made of %j and %j', (workerUrl, join, complaint) => {
  expect(() => joinUrl(workerUrl, { roomId: 'lobby', ...join })).toThrow(complaint);
});

test('any address of a room is a join or a ProtocolError', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), fc.string(), (room, query, offer) => {
      const url = new URL('http://a.dev');
      url.pathname = `/ws/room/${room.replaceAll('/', '')}`;
      url.search = query;
      try {
        expect(idFault(read(url.href, `p2pcf-ws, p2pcf-ws.metadata.${offer}`).clientId)).toBeUndefined();
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
  );
});
