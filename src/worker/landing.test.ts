import { expect, test } from 'vitest';
import { landingPage, wantsPage } from './landing.ts';

const ask = (url: string, init: RequestInit = {}): Request => new Request(url, init);

test.each([
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', true],
  ['TEXT/HTML', true],
  ['*/*', false],
  ['application/json', false],
  ['text/htmlish', false],
  [undefined, false],
])('Accept: %s wants the page: %s', (accept, expected) => {
  const request = ask('https://server.test/', accept === undefined ? {} : { headers: { Accept: accept } });
  expect(wantsPage(request)).toBe(expected);
});

// A Host header may hold anything, and behind a proxy it is not the address of the page.
test('the page has nothing of the request in it, and no link but relative ones', async () => {
  const text = async (url: string): Promise<string> =>
    (await landingPage(ask(url)).text()).replaceAll(/nonce="[^"]*"/g, '');
  expect(await text('https://server.test/')).toBe(await text('http://a"b.test/?<c>'));
  const links = Array.from((await text('http://a.test/')).matchAll(/(?:href|src)="([^"]*)"/g), ([, to]) => to);
  expect(links).toEqual(['data:,', 'demo/', 'health']);
});

test('HTML and JSON are told apart by caches, and taken for nothing else', () => {
  const { headers } = landingPage(ask('http://a.test/'));
  expect([headers.get('Vary'), headers.get('X-Content-Type-Options')]).toEqual(['Accept', 'nosniff']);
});

test('the page runs no script and no style but its own', async () => {
  const [first, second] = [landingPage(ask('http://a.test/')), landingPage(ask('http://a.test/'))];
  const policy = first.headers.get('Content-Security-Policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  const nonce = /style-src 'nonce-([\w-]+)'/.exec(policy)?.[1];
  expect(policy).toContain(`script-src 'nonce-${nonce}';`);
  const text = await first.text();
  expect(text).toContain(`<style nonce="${nonce}">`);
  expect(text).toContain(`<script nonce="${nonce}">`);
  expect(second.headers.get('Content-Security-Policy')).not.toBe(policy);
});

test('HEAD gets the same without the page', async () => {
  const response = landingPage(ask('http://a.test/', { method: 'HEAD' }));
  expect(response.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
  expect(await response.text()).toBe('');
});
