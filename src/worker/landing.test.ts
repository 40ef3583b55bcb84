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

test.each(['https://p2pcf-ws.example.workers.dev', 'http://127.0.0.1:8787', 'http://[::1]:8787'])(
  'the page names %s, the demo and health',
  async (origin) => {
    const response = landingPage(ask(`${origin}/`));
    const text = await response.text();
    expect(text).toContain(`workerUrl: &quot;${origin}&quot;`);
    expect(text).toContain('href="/demo/"');
    expect(text).toContain('href="/health"');
    expect(response.headers.get('Vary')).toBe('Accept');
    expect(response.headers.get('X-Content-Type-Options')).toBe('nosniff');
  },
);

// What a URL's host may hold is what a Host header may put into the page.
test.each(['a"b', "a'b", 'a&lt;b', 'a`b', 'a;b', '</script>', '<img src=x>'])(
  'a Host header of %j puts nothing into the page',
  async (host) => {
    const clean = await landingPage(ask('http://server.test/')).text();
    const tags = (text: string): string[] => text.replace(/nonce="[^"]*"/, '').match(/<[^>]*>/g) ?? [];
    const url = URL.parse(`http://${host}/`);
    if (url === null) return; // no request can have it
    const text = await landingPage(ask(url.href)).text();
    expect(tags(text)).toEqual(tags(clean));
  },
);

test('the page runs no script, and no style but its own', async () => {
  const [first, second] = [landingPage(ask('http://a.test/')), landingPage(ask('http://a.test/'))];
  const policy = first.headers.get('Content-Security-Policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  const nonce = /style-src 'nonce-([\w-]+)'/.exec(policy)?.[1];
  expect(await first.text()).toContain(`<style nonce="${nonce}">`);
  expect(second.headers.get('Content-Security-Policy')).not.toBe(policy);
});

test('HEAD gets the same without the page', async () => {
  const response = landingPage(ask('http://a.test/', { method: 'HEAD' }));
  expect(response.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
  expect(await response.text()).toBe('');
});
