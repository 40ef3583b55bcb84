import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('two at a time, and the others in their order', async () => {
  const turns = new Turns(2);
  const begun: string[] = [];
  const begin = (name: string): Promise<void> => turns.wait().then(() => void begun.push(name));
  const all = ['a', 'b', 'c', 'd'].map(begin);
  await Promise.all(all.slice(0, 2));
  expect(begun).toEqual(['a', 'b']);
  turns.next();
  await all[2];
  expect(begun).toEqual(['a', 'b', 'c']);
  turns.next();
  await all[3];
  turns.next();
  turns.next();
  await Promise.all([turns.wait(), turns.wait()]);
});
