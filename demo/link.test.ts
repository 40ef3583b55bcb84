import { expect, test } from 'vitest';
import { linkTo, newRoom, placeIn } from './link.ts';

const PAGE = 'https://example.com/demo/?room=before#before';

test.each(['lobby', 'a+b&c=d', 'living room', '50% off', 'a/b?c#d', 'Größe 😀', "it's", '%41'])(
  'the link to %j leads to it, with a key and without',
  (room) => {
    for (const key of [undefined, 'AAECAwQFBgcICQoLDA0ODw'])
      expect(placeIn(new URL(linkTo({ room, key }, PAGE)))).toEqual({ room, key });
  },
);

test.each([
  ['#a+b&c=d', '', 'a+b&c=d'],
  ['#50% off', '', '50% off'],
  ['#50%%20off', '', '50% off'],
  ['#%ff', '', '%ff'],
  ['', '?room=living+room', 'living room'],
  ['#hash', '?room=query', 'hash'],
  ['', '', undefined],
  ['#', '?other=1', undefined],
])('%j with %j names %j', (hash, search, room) => {
  expect(placeIn({ hash, search })?.room).toBe(room);
});

test('a key is taken from the fragment alone, however wrong it is', () => {
  expect(placeIn({ hash: '#lobby&key=short', search: '' })).toEqual({ room: 'lobby', key: 'short' });
  for (const cut of ['', 'k', 'ke', 'key', 'key='])
    expect(placeIn({ hash: `#lobby&${cut}`, search: '' })).toEqual({ room: 'lobby', key: '' });
  expect(placeIn({ hash: '', search: '?room=lobby&key=short' })).toEqual({ room: 'lobby', key: undefined });
});

test('a new room is never the same', () => {
  const rooms = new Set(Array.from({ length: 100 }, newRoom));
  expect(rooms.size).toBe(100);
  for (const room of rooms) expect(room).toMatch(/^[a-z2-9]{16}$/);
});
