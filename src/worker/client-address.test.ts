import { expect, test } from 'vitest';
import { hashedAddress, networkOf, readAddressHeader } from './client-address.ts';

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:0DB8:0001:0002::1', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['::', '0:0:0:0'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['64:ff9b::192.0.2.1', '192.0.2.1'],
  ['192.0.2.1:50000', '192.0.2.1'],
  ['[2001:db8:1:2::1]:50000', '2001:db8:1:2'],
  ['[2001:db8:1:2::1]', '2001:db8:1:2'],
  ['192.0.2.1:', '192.0.2.1'],
])('%s is of the network %s', (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});

test.each(['1', '1.', '1.1.1.', 'a:', ':1', '1.1.1.1 '])(
  'a header of nothing but %j is read as far as an address goes',
  (part) => {
    expect(networkOf(part.repeat(1_000_000)).length).toBeLessThanOrEqual(64);
  },
);

const request = (headers: Record<string, string>): Request => new Request('https://a.dev', { headers });

test('the address is Cloudflare’s word, or that of the header that is named', async () => {
  const cloudflare = await hashedAddress(request({ 'CF-Connecting-IP': '192.0.2.1' }), {});
  expect(cloudflare).toMatch(/^[0-9a-f]{32}$/);
  const named = { TRUSTED_ADDRESS_HEADER: 'X-Forwarded-For' };
  const behind = (list: string): Promise<string | undefined> =>
    hashedAddress(request({ 'CF-Connecting-IP': '203.0.113.9', 'X-Forwarded-For': list }), named);
  expect(await behind('192.0.2.1')).toBe(cloudflare);
  expect(await behind('203.0.113.9, 198.51.100.1,192.0.2.1')).toBe(cloudflare); // a client writes the rest
  expect(await hashedAddress(request({ 'X-Forwarded-For': '192.0.2.1' }), {})).toBeUndefined();
  expect(await hashedAddress(request({ 'CF-Connecting-IP': '192.0.2.1' }), named)).toBeUndefined();
});

test.each([5, 'X Forwarded', 'a:b', true])('%j is the name of no header', (TRUSTED_ADDRESS_HEADER) => {
  expect(() => readAddressHeader({ TRUSTED_ADDRESS_HEADER })).toThrow(/^The setting TRUSTED_ADDRESS_HEADER is/);
});
