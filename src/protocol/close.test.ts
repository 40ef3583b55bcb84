import { expect, test } from 'vitest';
import { DUPLICATE, FULL, fullAt, heldFor, isFinal, NOT_OWNER, peersOfFull, SILENT, TAKEN } from './close.ts';

test.each([
  [{ code: 4009, reason: 'Id is held for 17 s' }, 17, false],
  [{ code: 4009, reason: 'Id is held for 99999999999 s' }, undefined, true],
  [{ code: 4009, reason: 'Id is held for -1 s' }, undefined, true],
  [{ code: 4006, reason: 'Id is held for 17 s' }, undefined, false],
  [TAKEN, undefined, true],
  [NOT_OWNER, undefined, true],
  [DUPLICATE, undefined, true],
  [FULL, undefined, true],
  [fullAt(8), undefined, true],
  [SILENT, undefined, false],
  [{ code: 1006, reason: '' }, undefined, false],
])('%j: held for %s s, final: %s', (close, seconds, final) => {
  expect(heldFor(close)).toBe(seconds);
  expect(isFinal(close)).toBe(final);
});

test.each([
  [fullAt(1), 1],
  [fullAt(32_000), 32_000],
  [FULL, undefined],
  [{ code: 4003, reason: 'Room is full: -1 peers' }, undefined],
  [{ code: 4003, reason: 'Room is full: 999999 peers' }, undefined],
])('%j: full at %s', (close, peers) => {
  expect(peersOfFull(close)).toBe(peers);
});
