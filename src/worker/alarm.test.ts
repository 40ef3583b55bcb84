import { expect, test } from 'vitest';
import { Alarm } from './alarm.ts';

const NOW = 1_000;
const NEVER = Number.POSITIVE_INFINITY;

/** What the alarm does when the first row was due at `before` and is due at `next`. */
async function deeds(before: number, next: number, fails = false): Promise<string[]> {
  const done: string[] = [];
  const did = async (deed: string): Promise<void> => {
    done.push(deed);
    if (fails) throw new Error('Exceeded allowed rows written in Durable Objects free tier.');
  };
  const alarm = new Alarm({ setAlarm: (at) => did(`set ${at}`), deleteAll: () => did('delete all') });
  alarm.follow(before, next, NOW);
  await Promise.resolve();
  return done;
}

test.each<[name: string, before: number, next: number, deeds: string[]]>([
  ['the first row sets it', NEVER, 2000, ['set 2000']],
  ['an earlier row sets it anew', 3000, 2000, ['set 2000']],
  ['a later row does not put it off', 2000, 3000, []],
  ['nothing is done for what changes nothing', 2000, 2000, []],
  ['an overdue alarm is replaced', 900, 3000, ['set 3000']],
  ['without rows nothing is left', 2000, NEVER, ['delete all']],
  ['a room that never had rows is left alone', NEVER, NEVER, []],
])('%s', async (_name, before, next, expected) => {
  expect(await deeds(before, next)).toEqual(expected);
});

test('past the day’s free writes it does without', async () => {
  expect(await deeds(NEVER, 2000, true)).toEqual(['set 2000']);
  expect(await deeds(2000, NEVER, true)).toEqual(['delete all']);
});
