import { expect, test } from 'vitest';
import { Speaker } from './speaker.ts';

const levels = (ada: number, bob: number): Map<string, number> => new Map(Object.entries({ ada, bob }));

test('the loudest speaks, until the end of what is said', () => {
  const speaker = new Speaker();
  expect(speaker.next(levels(0, 0.01), 0)).toBeUndefined();
  expect(speaker.next(levels(0.1, 0.3), 200)).toBe('bob');
  expect(speaker.next(levels(0.5, 0.1), 400)).toBe('bob');
  expect(speaker.next(levels(0.5, 0), 600)).toBe('bob');
  expect(speaker.next(levels(0.5, 0), 1_600)).toBe('ada');
  expect(speaker.next(levels(0, 0), 1_800)).toBe('ada');
  expect(speaker.next(levels(0, 0), 3_000)).toBeUndefined();
});

test('a speaker who leaves speaks no more', () => {
  const speaker = new Speaker();
  expect(speaker.next(levels(0.5, 0), 0)).toBe('ada');
  expect(speaker.next(new Map([['bob', 0]]), 100)).toBeUndefined();
});
