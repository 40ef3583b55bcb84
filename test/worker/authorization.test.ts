import { env } from 'cloudflare:workers';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import worker from '../../src/index.ts';
import { ownedId } from '../../src/protocol/owned-id.ts';
import { JSON_TYPE } from '../support/poller.ts';
import { SECRET, signToken } from '../support/room-token.ts';

const NEW_SECRET = 'another secret, of more than thirty-two bytes';
const SETTINGS = { ...env, ALLOWED_ORIGINS: 'https://*.example.com', AUTH_SECRET: SECRET, AUTH_SECRET_2: '' };
const RESUME = '0123456789abcdef0123456789abcdef0123';
const GOOD_ORIGIN = 'https://app.example.com';

interface Request_ {
  room: string;
  token: string;
  origin?: string | undefined;
  settings?: typeof SETTINGS;
}

/** A way in: the code and the sentence of a refusal, or undefined. */
type Way = (request: Request_) => Promise<{ code: number; reason: string } | undefined>;

const makeToken = (claims: Record<string, unknown> = {}, secret = SECRET): Promise<string> =>
  signToken({ rooms: ['team-1'], ...claims }, secret);

async function enter(path: string, subprotocols: string[], { origin, settings = SETTINGS }: Request_): ReturnType<Way> {
  const headers = new Headers({ Upgrade: 'websocket' });
  if (subprotocols.length > 0) headers.set('Sec-WebSocket-Protocol', subprotocols.join(', '));
  if (origin !== undefined) headers.set('Origin', origin);
  // What the Worker hands the room: a client's own is never read.
  headers.set('X-P2PCF-WS-Join', JSON.stringify({ roomId: 'team-1', clientId: 'forged', ahead: false }));
  const { webSocket } = await worker.fetch(new Request(`http://p2pcf-ws.test${path}`, { headers }), settings);
  if (!webSocket) throw new Error('no WebSocket: a page would not learn why');
  const answer = new Promise<{ code: number; reason: string } | undefined>((resolve) => {
    webSocket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
    webSocket.addEventListener('message', ({ data }) => {
      const { type, yourId } = JSON.parse(String(data));
      if (type !== 'peers') return;
      if (yourId === 'forged') throw new Error('the room has read what a client wrote');
      resolve(undefined);
    });
  });
  webSocket.accept();
  const refusal = await answer;
  webSocket.close(1000);
  return refusal;
}

const base64Url = (text: string): string => btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

const poll =
  (body: object, more: Record<string, string> = {}): Way =>
  async ({ room, token, origin, settings = SETTINGS }) => {
    const headers = new Headers({ ...JSON_TYPE, ...more });
    if (origin !== undefined) headers.set('Origin', origin);
    const init = { method: 'POST', headers, body: JSON.stringify({ r: room, k: 'a context', ...body }) };
    const url = `http://p2pcf-ws.test/?token=${encodeURIComponent(token)}`;
    const response = await worker.fetch(new Request(url, init), settings);
    const reason = (await response.text()).replace(/\.$/, '');
    expect(response.headers.get('Vary')).toBe('Origin');
    if (response.status === 401 || response.status === 403) return { code: 4000 + response.status, reason };
    expect([200, 404]).toContain(response.status);
    return undefined;
  };

const entry = ['a session', 'a label', false, `${'A'.repeat(43)}=`, 1, []];
const WAYS: Record<string, Way> = {
  'a socket, token as subprotocol': (to) =>
    enter(`/ws/room/${encodeURIComponent(to.room)}`, ['p2pcf-ws', `p2pcf-ws.token.${base64Url(to.token)}`], to),
  'a socket, token in the query': (to) =>
    enter(`/ws/room/${encodeURIComponent(to.room)}?token=${encodeURIComponent(to.token)}`, [], to),
  'a resumed socket': (to) =>
    enter(
      `/ws/room/${encodeURIComponent(to.room)}?clientId=${ownedId(RESUME)}`,
      ['p2pcf-ws', `p2pcf-ws.resume.${base64Url(RESUME)}`, `p2pcf-ws.token.${base64Url(to.token)}`],
      to,
    ),
  'a poll that asks': poll({}),
  'a poll that posts': (to) => poll({ d: entry, t: Date.now(), x: 60_000, p: [] })(to),
  'a poll that leaves': (to) =>
    poll({ d: entry, t: Date.now(), x: 60_000, dk: 'a key' }, { 'X-Worker-Method': 'DELETE' })(to),
};

const NOT_HERE = { code: 4403, reason: 'The token is not for this room' };
const NOT_FROM_THERE = { code: 4403, reason: 'Pages of this origin may not come in' };
const isNotOurs = { code: 4401, reason: 'The token is not signed by a key of this server' };

describe.each(Object.entries(WAYS))('%s', (_name, way) => {
  test('origins', async () => {
    const token = await makeToken();
    expect(await way({ room: 'team-1', token, origin: GOOD_ORIGIN })).toBeUndefined();
    for (const origin of [undefined, 'null', 'https://example.com', 'https://a.example.com.evil.dev'])
      expect(await way({ room: 'team-1', token, origin })).toEqual(NOT_FROM_THERE);
    // A token is no way around an origin, nor an origin around a token.
    expect(await way({ room: 'team-1', token: '', origin: GOOD_ORIGIN })).toMatchObject({ code: 4401 });
  });

  test('rooms and prefixes', async () => {
    const to = { origin: GOOD_ORIGIN };
    expect(await way({ ...to, room: 'team-10', token: await makeToken() })).toEqual(NOT_HERE);
    expect(await way({ ...to, room: 'team-1', token: await makeToken({ rooms: ['team-10', 'team'] }) })).toEqual(
      NOT_HERE,
    );
    expect(await way({ ...to, room: 'team-1', token: await makeToken({ rooms: ['*', 'team-*'] }) })).toEqual(NOT_HERE);
    expect(await way({ ...to, room: 'team-10', token: await makeToken({ prefix: 'team-1' }) })).toBeUndefined();
    expect(await way({ ...to, room: 'my-team-1', token: await makeToken({ prefix: 'team-' }) })).toEqual(NOT_HERE);
  });

  test('expiry, audience, size, rotation', async () => {
    const to = { room: 'team-1', origin: GOOD_ORIGIN };
    const now = Math.floor(Date.now() / 1000);
    expect(await way({ ...to, token: await makeToken({ exp: now - 60 }) })).toEqual({
      code: 4401,
      reason: 'The token has expired',
    });
    expect(await way({ ...to, token: await makeToken({ exp: now + 90_000 }) })).toMatchObject({ code: 4401 });
    expect(await way({ ...to, token: await makeToken({ aud: 'my-app' }) })).toMatchObject({ code: 4401 });
    expect(await way({ ...to, token: await makeToken({ more: 'x'.repeat(4_000) }) })).toMatchObject({ code: 4401 });
    const rotated = { ...SETTINGS, AUTH_SECRET: NEW_SECRET, AUTH_SECRET_2: SECRET };
    expect(await way({ ...to, token: await makeToken({}, NEW_SECRET) })).toEqual(isNotOurs);
    for (const secret of [SECRET, NEW_SECRET])
      expect(await way({ ...to, token: await makeToken({}, secret), settings: rotated })).toBeUndefined();
    const over = { ...SETTINGS, AUTH_SECRET: NEW_SECRET };
    expect(await way({ ...to, token: await makeToken(), settings: over })).toEqual(isNotOurs);
  });

  test('algorithms and types', async () => {
    const to = { room: 'team-1', origin: GOOD_ORIGIN };
    const payload = { aud: 'p2pcf-ws', exp: Math.floor(Date.now() / 1000) + 600, rooms: ['team-1'] };
    const sign = (key: Parameters<SignJWT['sign']>[0], alg: string, typ = 'p2pcf-ws+jwt'): Promise<string> =>
      new SignJWT(payload).setProtectedHeader({ alg, typ }).sign(key);
    const secret = new TextEncoder().encode(SECRET);
    const unsigned = `${base64Url('{"alg":"none","typ":"p2pcf-ws+jwt"}')}.${base64Url(JSON.stringify(payload))}.`;
    for (const token of [unsigned, new UnsecuredJWT(payload).encode(), await sign(secret, 'HS256', 'JWT')])
      expect(await way({ ...to, token })).toMatchObject({ code: 4401 });

    const [ours, theirs] = [await generateKeyPair('RS256'), await generateKeyPair('RS256')];
    const jwk = { ...(await exportJWK(ours.publicKey)), alg: 'RS256' };
    const settings = { ...SETTINGS, AUTH_SECRET: '', AUTH_PUBLIC_JWK: JSON.stringify(jwk) };
    const enters = (token: string): ReturnType<Way> => way({ ...to, token, settings });
    expect(await enters(await sign(ours.privateKey, 'RS256'))).toBeUndefined();
    expect(await enters(unsigned)).toMatchObject({ code: 4401 });
    expect(await enters(await sign(theirs.privateKey, 'RS256'))).toEqual(isNotOurs);
    expect(await enters(await sign(secret, 'HS256'))).toMatchObject({ code: 4401 });
    // What everybody may know, as the secret of an HMAC.
    for (const known of [await exportSPKI(ours.publicKey), JSON.stringify(jwk)])
      expect(await enters(await sign(new TextEncoder().encode(known), 'HS256'))).toMatchObject({ code: 4401 });
    const both = { ...settings, AUTH_SECRET: SECRET };
    expect(await way({ ...to, token: await sign(secret, 'HS256'), settings: both })).toBeUndefined();
    expect(await way({ ...to, token: await sign(ours.privateKey, 'RS256'), settings: both })).toBeUndefined();
  });

  test('with nothing set everybody may come', async () => {
    const open = { ...SETTINGS, ALLOWED_ORIGINS: '', AUTH_SECRET: '' };
    for (const origin of [undefined, 'null', 'https://anywhere.dev'])
      expect(await way({ room: 'team-1', token: '', origin, settings: open })).toBeUndefined();
  });
});

test.each([
  [{ ALLOWED_ORIGINS: '*' }, /^The setting ALLOWED_ORIGINS/],
  [{ AUTH_SECRET: 'short' }, /^The secret AUTH_SECRET is too short/],
  [{ AUTH_PUBLIC_JWK: '{}' }, /^The setting AUTH_PUBLIC_JWK/],
  [{ AUTH_PUBLIC_JWK: '{"kty":"EC","crv":"P-256","alg":"ES256"}' }, /^The setting AUTH_PUBLIC_JWK is no public key/],
])('with %j every request gets 500 and the sentence', async (wrong, complaint) => {
  for (const path of ['/', '/health', '/ws/room/lobby']) {
    const response = await worker.fetch(new Request(`http://p2pcf-ws.test${path}`), { ...env, ...wrong });
    expect([response.status, await response.text()]).toEqual([500, expect.stringMatching(complaint)]);
  }
});
