import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toSessionId, toSocketId } from './poller-view.ts';

test('an id that p2pcf would take for p2pcf.rn’s goes by another name, and no two by the same', () => {
  const hex = '0123456789abcdef0123456789abcdef';
  expect([hex, '~x', 'x'].map(toSessionId)).toEqual([`~${hex}`, '~~x', 'x']);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constantFrom(hex, `~${hex}`, `~~${hex}`)), (id) => {
      expect(toSocketId(toSessionId(id))).toBe(id);
    }),
  );
});
