/** The pages for who moves here from another library: every difference has its reason. */
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parsePoll } from '../src/protocol/poll.ts';

const cells = (row: string): string[] =>
  row
    .replaceAll(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

test.each(globSync(['docs/from-*.md', 'docs/migrating.md']))('%s: every row of its table of calls says why', (path) => {
  const table = /^\|.*\| why \|\n\|[-|]+\|\n((?:\|.*\|\n)+)/m.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  const rows = table.trimEnd().split('\n').map(cells);
  expect(rows.length).toBeGreaterThan(5);
  expect(rows.filter((row) => row.at(-1) === '')).toEqual([]);
});

test('docs/migrating.md names a room that P2PCF may poll', () => {
  const [, room] =
    /^\+const p2pcf = new P2PCF\('[^']*', '([^']*)'/m.exec(readFileSync('docs/migrating.md', 'utf8')) ?? [];
  expect(parsePoll(JSON.stringify({ r: room }), 0).roomId).toBe(room);
});
