import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import { SettingsError } from './settings.ts';
import { readTurn } from './turn-settings.ts';

const SHARED = { TURN_URLS: 'turn:turn.example.com', TURN_SECRET: 'a secret' };
const CLOUDFLARE = { TURN_KEY_ID: 'id', TURN_KEY_TOKEN: 'token' };
const STATIC = { ICE_SERVERS: '[{"urls":"turn:a.example","username":"u","credential":"p"}]' };
const TOKENS = { AUTH_SECRET: 'a secret of at least thirty-two bytes' };

test('nothing set is nothing given', () => {
  const nothing = { fixed: [], shared: undefined, cloudflare: undefined, seconds: 86_400 };
  expect(readTurn({})).toEqual(nothing);
  expect(readTurn({ TURN_URLS: '', TURN_SECRET: ' ', TURN_KEY_ID: '', ICE_SERVERS: '', TURN_SECONDS: '' })).toEqual(
    nothing,
  );
});

test('.dev.vars.example names what is secret, and sets nothing', () => {
  const example = readFileSync(new URL('../../.dev.vars.example', import.meta.url), 'utf8');
  expect(parseEnv(example)).toEqual({});
  const { TURN_SECRET, TURN_KEY_TOKEN, ...others } = parseEnv(example.replaceAll(/^# (?=\w+=)/gm, ''));
  expect([TURN_SECRET, TURN_KEY_TOKEN]).toEqual(['', '']);
  const turn = readTurn({ TURN_SECRET, TURN_KEY_TOKEN, ...others, ...TOKENS });
  expect([turn.shared, turn.cloudflare]).toEqual([undefined, undefined]);
});

test('a list of addresses is divided by commas or blanks', () => {
  const TURN_URLS = 'turn:a.example:3478?transport=udp, turns:a.example\nstun:a.example';
  expect(readTurn({ ...SHARED, TURN_URLS, ...TOKENS }).shared).toEqual({
    urls: ['turn:a.example:3478?transport=udp', 'turns:a.example', 'stun:a.example'],
    secret: 'a secret',
  });
});

test('a transport in capital letters, with which Firefox makes no connection, is given in small ones', () => {
  const login = { username: 'u', credential: 'p' };
  const wanted = { urls: ['turn:A.example?transport=udp', 'turns:a.example:443?transport=tcp'] };
  const written = { urls: ['turn:A.example?transport=UDP', 'turns:a.example:443?transport=Tcp'] };
  const ICE_SERVERS = JSON.stringify([
    { ...written, ...login },
    { urls: written.urls[0], ...login },
  ]);
  const turn = readTurn({ ...SHARED, TURN_URLS: written.urls.join(), ICE_SERVERS, ...TOKENS });
  expect(turn.shared?.urls).toEqual(wanted.urls);
  expect(turn.fixed).toEqual([
    { ...wanted, ...login },
    { urls: wanted.urls[0], ...login },
  ]);
});

test('servers may be JSON or, in wrangler.toml, a list', () => {
  const servers = [{ urls: ['stun:a.example'] }];
  expect(readTurn({ ICE_SERVERS: servers }).fixed).toEqual(servers);
  expect(readTurn({ ICE_SERVERS: JSON.stringify(servers) }).fixed).toEqual(servers);
});

test.each([
  ['a secret', { AUTH_SECRET: 'a secret of at least thirty-two bytes' }],
  ['a public key', { AUTH_PUBLIC_JWK: JSON.stringify({ kty: 'EC', crv: 'P-256', alg: 'ES256', x: 'x', y: 'y' }) }],
  ['origins, and it is said that they suffice', { ALLOWED_ORIGINS: 'https://a.example', TURN_OPEN: 'true' }],
  ['the same, in wrangler.toml', { ALLOWED_ORIGINS: 'https://a.example', TURN_OPEN: true }],
])('credentials of every kind are given with %s', (_name, admission) => {
  for (const kind of [SHARED, CLOUDFLARE, STATIC]) expect(() => readTurn({ ...kind, ...admission })).not.toThrow();
});

test.each([
  ['nothing', {}],
  ['an empty secret', { AUTH_SECRET: '' }],
  ['origins alone', { ALLOWED_ORIGINS: 'https://a.example' }],
  ['a word alone', { TURN_OPEN: 'true' }],
  ['origins, and it is said that they do not', { ALLOWED_ORIGINS: 'https://a.example', TURN_OPEN: 'false' }],
])('credentials of no kind are given with %s: no request is answered, and each is told why', (_name, admission) => {
  for (const kind of [SHARED, CLOUDFLARE, STATIC])
    expect(() => readTurn({ ...kind, ...admission })).toThrow(/AUTH_SECRET .*TURN_OPEN=true/);
});

test('a STUN server is no secret', () => {
  expect(readTurn({ ICE_SERVERS: '[{"urls":"stun:a.example"}]' }).fixed).toHaveLength(1);
});

test.each<[object, RegExp]>([
  [{ TURN_URLS: 'turn:a.example' }, /TURN_URLS is set and TURN_SECRET is not/],
  [{ TURN_SECRET: 's' }, /TURN_SECRET is set and TURN_URLS is not/],
  [{ TURN_KEY_ID: 'i' }, /TURN_KEY_ID is set and TURN_KEY_TOKEN is not/],
  [{ TURN_KEY_TOKEN: 't' }, /TURN_KEY_TOKEN is set and TURN_KEY_ID is not/],
  [{ ...SHARED, TURN_URLS: 'turn:a.example, a.example' }, /TURN_URLS has "a\.example" in it/],
  [{ ...SHARED, TURN_URLS: ',' }, /TURN_URLS has no address in it/],
  [{ ...SHARED, TURN_URLS: 'turn:a.example '.repeat(33) }, /TURN_URLS have 33 addresses together; 32 is the most/],
  [
    {
      ...SHARED,
      TURN_URLS: 'turn:a.example '.repeat(30),
      ICE_SERVERS: '[{"urls":["stun:a.b","stun:c.d","stun:e.f"]}]',
    },
    /ICE_SERVERS and TURN_URLS have 33 addresses/,
  ],
  [{ ICE_SERVERS: STATIC.ICE_SERVERS.replace('"p"', '"replace-me"') }, /ICE_SERVERS is a sample/],
  [{ TURN_SECONDS: 0 }, /TURN_SECONDS is 0/],
  [{ TURN_SECONDS: false }, /TURN_SECONDS is false/],
  [{ ICE_SERVERS: '[' }, /ICE_SERVERS/],
  [{ ICE_SERVERS: '{}' }, /ICE_SERVERS/],
  [{ ICE_SERVERS: '[{"urls":"turn:a.example"}]' }, /ICE_SERVERS/],
  [{ ICE_SERVERS: 5 }, /ICE_SERVERS/],
  [{ TURN_SECRET: 5, TURN_URLS: 'turn:a.example' }, /TURN_SECRET is not a text/],
  [{ ...SHARED, TURN_SECRET: 'replace-me' }, /TURN_SECRET is a sample/],
  [{ ...CLOUDFLARE, TURN_KEY_TOKEN: 'replace-me-too' }, /TURN_KEY_TOKEN is a sample/],
  [{ ...SHARED, TURN_SECRET: '"s"' }, /TURN_SECRET stands in quotation marks/],
  [{ ...CLOUDFLARE, TURN_KEY_TOKEN: "'t'" }, /TURN_KEY_TOKEN stands in quotation marks/],
  [{ TURN_SECONDS: 'a day' }, /TURN_SECONDS is "a day"/],
  [{ TURN_SECONDS: 172_801 }, /TURN_SECONDS/],
  [{ ...SHARED, TURN_OPEN: 'yes', ALLOWED_ORIGINS: 'https://a.example' }, /TURN_OPEN is "yes"/],
])('%j is refused', (settings, sentence) => {
  const read = (): unknown => readTurn({ ...TOKENS, ...settings, ...('TURN_OPEN' in settings && { AUTH_SECRET: '' }) });
  expect(read).toThrow(SettingsError);
  expect(read).toThrow(sentence);
});

test.each(['TURN_SECRET', 'TURN_KEY_TOKEN'])('%s that is a number is refused, and nobody is told it', (name) => {
  const settings = { ...SHARED, ...CLOUDFLARE, ...TOKENS, [name]: 8_675_309 };
  expect(() => readTurn(settings)).toThrow(SettingsError);
  expect(() => readTurn(settings)).not.toThrow(/8675309/);
});
