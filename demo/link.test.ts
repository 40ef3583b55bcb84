import { expect, test } from 'vitest';
import { linkTo, newRoom, roomIn } from './link.ts';

const PAGE = 'https://example.com/demo/?room=before#before';

test.each(['lobby', 'a+b&c=d', 'living room', '50% off', 'a/b?c#d', 'Größe 😀', "it's", '%41'])(
  'the link to %j leads to it',
  (room) => {
    const { hash, search } = new URL(linkTo(room, PAGE));
    expect(roomIn({ hash, search })).toBe(room);
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
  expect(roomIn({ hash, search })).toBe(room);
});

test('a new room is never the same', () => {
  const rooms = new Set(Array.from({ length: 100 }, newRoom));
  expect(rooms.size).toBe(100);
  for (const room of rooms) expect(room).toMatch(/^[a-z2-9]{16}$/);
});
