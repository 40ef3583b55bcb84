import { afterEach, expect, test, vi } from 'vitest';
import { allIceServers } from './turn.ts';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test('a provider that fails is complained of once a minute', async () => {
  vi.stubGlobal('fetch', async () => new Response(null, { status: 401 }));
  const complain = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const turn = { fixed: [], shared: undefined, cloudflare: { keyId: 'k', token: 't' }, seconds: 3600 };
  const complaintsAt = async (now: number): Promise<number> => {
    expect(await allIceServers(turn, 'alice', now)).toBeUndefined();
    return complain.mock.calls.length;
  };
  const first = 1_790_000_000_000;
  expect(await complaintsAt(first)).toBe(1);
  expect(await complaintsAt(first + 59_999)).toBe(1);
  expect(await complaintsAt(first + 60_000)).toBe(2);
  expect(await complaintsAt(first + 119_999)).toBe(2);
  const [line] = complain.mock.calls[0] ?? [];
  expect(JSON.parse(String(line))).toEqual({ event: 'turn provider failed', reason: 'Error: HTTP 401' });
});

test('a provider that fails does not keep the credentials of our own server from being renewed', async () => {
  vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('no network')));
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const shared = { urls: ['turn:turn.example.com'], secret: 'a secret' };
  const turn = { fixed: [], shared, cloudflare: { keyId: 'k', token: 't' }, seconds: 3600 };
  const given = await allIceServers(turn, 'alice', 1_790_000_000_000);
  expect(given).toMatchObject({ iceServers: [{ urls: shared.urls, username: '1790003600:alice' }] });
  expect(given).toMatchObject({ iceServersSeconds: 3600 });
});
