import { createHash, randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { isOwnedId, ownedId } from './owned-id.ts';

test('an owned id is the SHA-256 of its token', () => {
  const token = randomUUID();
  expect(ownedId(token)).toBe(`own-${createHash('sha256').update(token).digest('base64url').slice(0, 22)}`);
  expect(isOwnedId(ownedId(token))).toBe(true);
});

test.each(['', 'alice', 'own-alice', `own-${'a'.repeat(21)}`, `own-${'a'.repeat(23)}`, `own-${'a'.repeat(21)}é`])(
  'the id %j is plain',
  (id) => {
    expect(isOwnedId(id)).toBe(false);
  },
);
