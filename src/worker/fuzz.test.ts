/** Room tokens, and the keys they are checked with: whatever comes is refused with a reason, and nothing throws. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { spoiled } from '../../test/support/spoiled.ts';
import { SettingsError } from './settings.ts';
import { readTokenSettings, type Verdict, verifyToken } from './tokens.ts';

const NOW = Date.UTC(2026, 10, 25);
const SECRET = 'a secret of at least thirty-two bytes';
const settings = readTokenSettings({ AUTH_SECRET: SECRET });
const HEADER = JSON.stringify({ alg: 'HS256', typ: 'p2pcf-ws+jwt' });
const CLAIMS = JSON.stringify({
  aud: 'p2pcf-ws',
  exp: NOW / 1000 + 600,
  nbf: NOW / 1000,
  rooms: ['lobby'],
  prefix: 'team-',
  sub: 'alice',
  max: 4,
  host: true,
});

const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const signed = (header: string, claims: string): string => {
  const content = `${base64url(header)}.${base64url(claims)}`;
  return `${content}.${createHmac('sha256', SECRET).update(content).digest('base64url')}`;
};
const verify = (token: string): Promise<Verdict> => verifyToken(token, 'lobby', settings, NOW);

function expectReason(verdict: Verdict): void {
  if (!('refusal' in verdict)) return;
  const { code, reason } = verdict.refusal;
  expect([4401, 4403]).toContain(code);
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
}

test('a token in which anything is changed opens nothing', async () => {
  const good = signed(HEADER, CLAIMS);
  // A signature may be written in several ways: the last digit of base64url has bits that are not read.
  const read = (token: string): unknown[] => {
    const end = token.lastIndexOf('.');
    return [token.slice(0, end), Buffer.from(token.slice(end + 1), 'base64url').toString('hex')];
  };
  await fc.assert(
    fc.asyncProperty(spoiled(good), async (token) => {
      const verdict = await verify(token);
      expectReason(verdict);
      if ('claims' in verdict) expect(read(token)).toEqual(read(good));
    }),
    { numRuns: 3_000 },
  );
});

test('a token of the app’s that makes no sense is refused, or makes sense in all that is taken from it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.constant(HEADER), spoiled(HEADER)), spoiled(CLAIMS), async (header, claims) => {
      const verdict = await verify(signed(header, claims));
      expectReason(verdict);
      if (!('claims' in verdict)) return;
      const { until, isHost, sub = 'x', max = 1, hash = '0' } = verdict.claims;
      expect(until > NOW && until <= NOW + 24 * 3_600_000 + 20_000).toBe(true);
      expect(isHost).toBeTypeOf('boolean');
      expect(sub.length > 0 && Buffer.byteLength(sub) <= 256).toBe(true);
      expect(Number.isInteger(max) && max > 0).toBe(true);
      expect(hash).toMatch(/^[0-9a-f]+$/);
    }),
    { numRuns: 3_000 },
  );
});

test('a public key that is none is refused with a sentence', () => {
  const jwk = JSON.stringify({ kty: 'EC', crv: 'P-256', alg: 'ES256', x: 'A'.repeat(43), y: 'A'.repeat(43) });
  fc.assert(
    fc.property(fc.oneof(spoiled(jwk), fc.json()), (text) => {
      try {
        for (const { alg } of readTokenSettings({ AUTH_PUBLIC_JWK: text }).keys)
          expect(alg).toMatch(/^[A-Z]+[A-Za-z\d]*$/);
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        expect(error.message).toMatch(/\.$/);
      }
    }),
    { numRuns: 3_000 },
  );
});
