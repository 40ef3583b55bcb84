import fc from 'fast-check';
import { exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import { expect, test } from 'vitest';
import { checkKeys, readTokenSettings, verifyToken } from './tokens.ts';

const NOW = Date.UTC(2026, 10, 25);
const SECONDS = NOW / 1000;
const SECRET = 'a secret of at least thirty-two bytes';
const OTHER = 'another secret, of more than thirty-two bytes';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Making {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  key?: Parameters<SignJWT['sign']>[0];
}

const make = ({ claims = {}, header = {}, key = bytes(SECRET) }: Making = {}): Promise<string> =>
  new SignJWT({ aud: 'p2pcf-ws', exp: SECONDS + 600, rooms: ['lobby'], ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'p2pcf-ws+jwt', ...header })
    .sign(key);

async function jwk(alg: string): Promise<JWK> {
  return await exportJWK((await generateKeyPair(alg, { extractable: true })).publicKey);
}

const settings = readTokenSettings({ AUTH_SECRET: SECRET });
const verify = (token: string, room = 'lobby', by = settings) => verifyToken(token, room, by, NOW);

test('a good token opens its room, and says who comes', async () => {
  const token = await make({ claims: { sub: 'alice', max: 4, host: true } });
  const until = NOW + 610_000;
  expect(await verify(token)).toEqual({ claims: { sub: 'alice', max: 4, isHost: true, until } });
  expect(await verify(await make({ claims: { host: 'yes' } }))).toMatchObject({ claims: { isHost: false } });
});

test('a token without a subject is known by its hash, however its signature is written', async () => {
  const bearerOf = async (token: string): Promise<unknown> => Object(await verify(token)).claims?.hash;
  const token = await make();
  const last = token.at(-1) ?? '';
  // 32 bytes are 43 digits of base64url, of the last of which two bits are not read.
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const again = token.slice(0, -1) + digits[digits.indexOf(last) ^ 1];
  expect(await bearerOf(token)).toMatch(/^[0-9a-f]{32}$/);
  expect(await bearerOf(again)).toBe(await bearerOf(token));
  expect(await bearerOf(await make({ claims: { jti: '2' } }))).not.toBe(await bearerOf(token));
});

test.each([
  [{ rooms: ['team-1'] }, 'team-1', true],
  [{ rooms: ['team-1'] }, 'team-10', false],
  [{ rooms: ['team-10'] }, 'team-1', false],
  [{ rooms: ['Team-1'] }, 'team-1', false],
  [{ rooms: ['*'] }, '*', true],
  [{ rooms: ['*'] }, 'lobby', false],
  [{ rooms: ['team-*'] }, 'team-1', false],
  [{ rooms: 'lobby' }, 'lobby', false],
  [{ rooms: [] }, 'lobby', false],
  [{ rooms: undefined }, 'lobby', false],
  [{ rooms: [], prefix: 'team-' }, 'team-10', true],
  [{ rooms: [], prefix: 'team-' }, 'my-team-10', false],
  [{ rooms: [], prefix: 'team-*' }, 'team-10', false],
  [{ rooms: [], prefix: '' }, 'lobby', false],
  [{ rooms: [], prefix: '\ud83d' }, '\u{1f600}', false], // half of it
  [{ rooms: [], prefix: ['l'] }, 'lobby', false],
])('with %j the room %s is open: %s', async (claims, room, isOpen) => {
  expect(await verify(await make({ claims }), room)).toEqual(
    isOpen ? { claims: expect.anything() } : { refusal: { code: 4403, reason: 'The token is not for this room' } },
  );
});

test.each([
  ['expired', { claims: { exp: SECONDS - 60 } }, 'has expired'],
  ['no expiry', { claims: { exp: undefined } }, 'its exp'],
  ['two days ahead', { claims: { exp: SECONDS + 2 * 86_400 } }, 'too far ahead'],
  ['not yet', { claims: { nbf: SECONDS + 600 } }, 'its nbf'],
  ['another aud', { claims: { aud: 'my-app' } }, 'its aud'],
  ['no aud', { claims: { aud: undefined } }, 'its aud'],
  ['another typ', { header: { typ: 'JWT' } }, 'its typ'],
  ['no typ', { header: { typ: undefined } }, 'its typ'],
  ['another key', { key: bytes(OTHER) }, 'not signed by a key'],
  ['another alg', { header: { alg: 'HS512' }, key: bytes(SECRET.repeat(2)) }, 'not signed by a key'],
  ['max of none', { claims: { max: 0 } }, 'its max'],
  ['max as text', { claims: { max: '5' } }, 'its max'],
  ['an empty sub', { claims: { sub: '' } }, 'its sub'],
  ['a sub of 43 control characters, six bytes each in JSON', { claims: { sub: '\u0001'.repeat(43) } }, 'its sub'],
  ['a sub with half a surrogate pair', { claims: { sub: 'Alice \ud83d' } }, 'its sub'],
  ['a sub of 257 bytes', { claims: { sub: `x${'ß'.repeat(128)}` } }, 'its sub'],
  ['a long header', { header: { kid: 'x'.repeat(200) } }, 'The header of the token is longer than 256'],
  ['oversized', { claims: { more: 'x'.repeat(5000) } }, 'longer than'],
] satisfies [string, Making, string][])('%s: refused', async (_name, making, fault) => {
  expect(await verify(await make(making))).toEqual({ refusal: { code: 4401, reason: expect.stringContaining(fault) } });
});

test('nothing, rubbish and an unsigned token are refused', async () => {
  const none = new UnsecuredJWT({ aud: 'p2pcf-ws', exp: SECONDS + 600, rooms: ['lobby'] }).encode();
  const [, payload] = (await make()).split('.');
  const header = btoa('{"alg":"none","typ":"p2pcf-ws+jwt"}').replaceAll('=', '');
  expect(await verify('')).toEqual({ refusal: { code: 4401, reason: 'A token is needed' } });
  const refusedFor = async (token: string): Promise<unknown> => Object(await verify(token)).refusal;
  for (const token of [none, `${header}.${payload}.`])
    expect(await refusedFor(token)).toEqual({ code: 4401, reason: 'The token is not signed by a key of this server' });
  const good = await make();
  for (const token of ['rubbish', '..', `${header}.${payload}`, `"${good}"`, `Bearer ${good}`, `{"token":"${good}"}`])
    expect(await refusedFor(token), token).toEqual({ code: 4401, reason: 'The token is no JWT' });
});

test('a second secret and a second public key are as good as the first', async () => {
  const keys = await Promise.all(
    ['ES256', 'RS256', 'EdDSA', 'Ed25519'].map(async (alg) => ({ alg, ...(await generateKeyPair(alg)) })),
  );
  for (const { alg, publicKey, privateKey } of keys) {
    const jwk = JSON.stringify({ ...(await exportJWK(publicKey)), alg });
    const token = await make({ header: { alg }, key: privateKey });
    const another = { ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), alg: 'ES256' };
    expect(await verify(token, 'lobby', readTokenSettings({ AUTH_PUBLIC_JWK: jwk }))).toHaveProperty('claims');
    const rotated = readTokenSettings({ AUTH_PUBLIC_JWK: JSON.stringify(another), AUTH_PUBLIC_JWK_2: jwk });
    expect(await verify(token, 'lobby', rotated)).toHaveProperty('claims');
    const gone = readTokenSettings({ AUTH_PUBLIC_JWK: JSON.stringify(another) });
    expect(await verify(token, 'lobby', gone)).toHaveProperty('refusal');
    // The public key as an HMAC secret: RS/HS confusion.
    expect(await verify(await make({ key: bytes(jwk) }), 'lobby', rotated)).toHaveProperty('refusal');
  }
  const secrets = readTokenSettings({ AUTH_SECRET: SECRET, AUTH_SECRET_2: OTHER });
  expect(await verify(await make({ key: bytes(OTHER) }), 'lobby', secrets)).toHaveProperty('claims');
  expect(await verify(await make(), 'lobby', secrets)).toHaveProperty('claims');
});

test.each([
  [{ AUTH_SECRET: 'short' }, /^The secret AUTH_SECRET is too short; .*32 bytes/],
  [{ AUTH_SECRET_2: 'short' }, /^The secret AUTH_SECRET_2 is too short/],
  [{ AUTH_SECRET: 5 }, /^The secret AUTH_SECRET is too short/],
  [{ AUTH_SECRET: ' ' }, /^The secret AUTH_SECRET begins or ends with a space/],
  [{ AUTH_SECRET: ' '.repeat(40) }, /^The secret AUTH_SECRET begins or ends with a space/],
  [{ AUTH_SECRET: `${SECRET}\n` }, /^The secret AUTH_SECRET begins or ends with a space or a line break/],
  [{ AUTH_SECRET: `"${SECRET}"` }, /^The secret AUTH_SECRET stands in quotation marks/],
  [{ AUTH_SECRET_2: `'${SECRET}'` }, /^The secret AUTH_SECRET_2 stands in quotation marks/],
  [{ AUTH_SECRET: 'xyz'.repeat(20) }, /^The secret AUTH_SECRET has too few different characters/],
  [{ AUTH_SECRET: 'replace-me-with-the-output-of-openssl-rand-base64-32' }, /is a sample/],
  [{ AUTH_SECRET_2: 'replace-me with at least thirty-two bytes' }, /^The secret AUTH_SECRET_2 is a sample/],
  [{ AUTH_PUBLIC_JWK: 'x' }, /^The setting AUTH_PUBLIC_JWK must be one public key as JWK/],
  [{ AUTH_PUBLIC_JWK: '{"kty":"EC"}' }, /whose "alg" is one of/],
  [{ AUTH_PUBLIC_JWK: '{"kty":"oct","k":"AAAA","alg":"HS256"}' }, /AUTH_PUBLIC_JWK must be/],
  [
    { AUTH_PUBLIC_JWK_2: '{"kty":"EC","d":"AAAA","alg":"ES256"}' },
    /^The setting AUTH_PUBLIC_JWK_2 must be .*no private part/,
  ],
  [{ AUTH_TOKEN_SECONDS: 'long' }, /AUTH_TOKEN_SECONDS is "long"/],
  [{ AUTH_TOKEN_SECONDS: true }, /AUTH_TOKEN_SECONDS is true/],
  [{ AUTH_TOKEN_SECONDS: [3600] }, /AUTH_TOKEN_SECONDS is \[3600\]/],
  [{ AUTH_TOKEN_SECONDS: '0x10' }, /AUTH_TOKEN_SECONDS is "0x10"/],
  [{ AUTH_TOKEN_SECONDS: 1e300 }, /AUTH_TOKEN_SECONDS is 1e\+300/],
])('%j is no setting', (wrong, complaint) => {
  expect(() => readTokenSettings(wrong)).toThrow(complaint);
});

test.each([
  ['a curve without a point', { kty: 'EC', crv: 'P-256', alg: 'ES256' }],
  ['a point off the curve', { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA', alg: 'ES256' }],
  ['another curve than its alg', async () => ({ ...(await jwk('ES256')), alg: 'ES384' })],
  ['another kind of key than its alg', async () => ({ ...(await jwk('RS256')), alg: 'ES256' })],
  ['a key that signs', async () => ({ ...(await jwk('ES256')), alg: 'ES256', key_ops: ['sign'] })],
  ['an RSA key of 1,024 bits', { kty: 'RSA', n: `${'z'.repeat(170)}w`, e: 'AQAB', alg: 'RS256' }],
  ['a curve that is none', { kty: 'OKP', crv: 'Ed448', x: 'AAAA', alg: 'EdDSA' }],
])('%s is no public key, which is said before anybody comes', async (_what, made) => {
  const key = typeof made === 'function' ? await made() : made;
  const settings = readTokenSettings({ AUTH_PUBLIC_JWK_2: JSON.stringify(key) });
  await expect(checkKeys(settings)).rejects.toThrow(/^The setting AUTH_PUBLIC_JWK_2 is no public key for \w+: /);
});

test.each(['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'Ed25519'])('a key for %s is one', async (alg) => {
  await checkKeys(readTokenSettings({ AUTH_PUBLIC_JWK: JSON.stringify({ ...(await jwk(alg)), alg }) }));
});

test('what is empty is not set', () => {
  const empty = {
    AUTH_SECRET: '',
    AUTH_SECRET_2: '',
    AUTH_PUBLIC_JWK: '',
    AUTH_PUBLIC_JWK_2: '',
    AUTH_TOKEN_SECONDS: '',
  };
  expect(readTokenSettings(empty)).toEqual(readTokenSettings({}));
  expect(readTokenSettings({}).keys).toEqual([]);
});

test('any claims that are signed, and any text, are a verdict that fits a close frame', async () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.double(),
    fc.constantFrom('lobby', ['lobby'], 'p2pcf-ws', SECONDS, SECONDS + 60),
  );
  const names = ['aud', 'exp', 'iat', 'nbf', 'sub', 'rooms', 'prefix', 'max', 'host', '__proto__'];
  const claims = fc.dictionary(fc.constantFrom(...names), value);
  const check = (verdict: Awaited<ReturnType<typeof verify>>): void => {
    if ('refusal' in verdict) {
      expect([4401, 4403]).toContain(verdict.refusal.code);
      expect(bytes(verdict.refusal.reason).length).toBeLessThanOrEqual(123);
      return;
    }
    const { until, sub = 'x', max = 1, hash = '0'.repeat(32) } = verdict.claims;
    expect([until > NOW - 20_000, until < NOW + 100_000_000, sub !== '', max > 0, hash.length]).toEqual([
      true,
      true,
      true,
      true,
      32,
    ]);
  };
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(claims, fc.nat(500), fc.string({ maxLength: 4 }), async (each, at, piece) => {
      const token = await make({ claims: each }).catch(() => ''); // jose signs no claims of the wrong kind
      const verdict = await verify(token);
      if ('claims' in verdict) opened++;
      check(verdict);
      check(await verify(token.slice(0, at) + piece + token.slice(at + piece.length)));
    }),
    { numRuns: 3_000 },
  );
  expect(opened).toBeGreaterThan(100);
});
