import { expect, test } from 'vitest';
import { isAllowed, readOrigins } from './origins.ts';

const allowed = readOrigins({
  ALLOWED_ORIGINS: 'https://App.example.com, https://*.example.org http://localhost:5173',
});

test.each(['https://app.example.com', 'https://a.example.org', 'https://a.b.example.org', 'http://localhost:5173'])(
  'a page of %s may come in',
  (origin) => {
    expect(isAllowed(origin, allowed)).toBe(true);
  },
);

test.each([
  null,
  'null',
  '',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com.evil.dev',
  'https://app.example.com/',
  'https://app-example.com',
  'https://sub.app.example.com',
  'https://example.org',
  'https://evilexample.org',
  'https://a.example.org.evil.dev',
  'https://evil.dev#.example.org',
  'https://evil.dev/.example.org',
  'https://a@b.example.org',
  'https://a.example.org:8443',
  'http://a.example.org',
  'http://localhost',
  'https://localhost:5173',
])('a page of %j may not', (origin) => {
  expect(isAllowed(origin, allowed)).toBe(false);
});

test.each([undefined, ''])('with %j every page may', (ALLOWED_ORIGINS) => {
  for (const origin of [null, 'null', 'https://anywhere.dev'])
    expect(isAllowed(origin, readOrigins({ ALLOWED_ORIGINS }))).toBe(true);
});

test.each([
  '*',
  'app.example.com',
  'https://',
  'https://*',
  'https://*.com',
  'https://*.com.',
  'https://*.192.0.2.1',
  'https://a.*.com',
  'https://*.*.com',
  'https://a.com/path',
  'https://a.com/',
  'ftp://a.com',
  'null',
  'https://u@a.com',
  'https://a.com\\evil',
  'https://a.com;b.com',
  ',',
  ' ',
  ['https://a.com'],
  5,
  true,
])('%j is no setting, and the sentence says so', (ALLOWED_ORIGINS) => {
  expect(() => readOrigins({ ALLOWED_ORIGINS })).toThrow(
    /^The setting ALLOWED_ORIGINS has .* in it; it must be a text of origins/,
  );
});
