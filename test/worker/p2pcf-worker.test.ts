/**
 * P2PCF's own worker, unmodified, and ours are sent the same requests, in rooms of pollers alone, and their answers are
 * compared field by field. They differ on purpose, in what is named here and nothing else:
 *
 * - An error of ours is P2PCF's words, a colon and a sentence. The room id is not quoted back.
 * - Where P2PCF's worker fails with an exception, ours answers 400, or 404 to a farewell that names no session.
 * - The order in `ps` and `pk`: P2PCF's is that of its store's slots, ours that of arrival.
 * - The content type of a reply is `application/json`, and a page may read every refusal.
 * - P2PCF lists what has lapsed until it sweeps its store, every thirty seconds at most. So here it sweeps whenever time
 *   passes.
 * - p2pcf.rn's postings are not written every three seconds, so the `t` they are listed with may be older, and one that
 *   goes without a word may be gone sooner after its last poll, by half the time it asked for.
 * - A posting is kept for 30 s at least; and after it has lapsed, its session id is kept for its context for a while.
 *
 * And the requests leave out what ours refuses and P2PCF lets pass, each to be found in the tests of poll.ts,
 * polling.ts and polling.ts: bodies over 64 KiB; another context's session; a `from` that is not one's own; a time that
 * is over already; `d` and `p` of a kind that P2PCF's clients never send, which its worker stores and may then fail at.
 * Nor do p2pcf and p2pcf.rn share a room.
 */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import fc from 'fast-check';
import p2pcf from 'p2pcf/src/worker.js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  // P2PCF sweeps its store some seconds after the poll that made it; here, at once.
  const { setTimeout } = globalThis;
  vi.spyOn(console, 'log').mockImplementation(() => undefined); // it tells of each sweep
  vi.spyOn(globalThis, 'setTimeout').mockImplementation((callback: () => void) => setTimeout(callback, 0));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

type Send = (request: Request) => Promise<Response>;

const theirs: Send = async (request) => {
  const context = createExecutionContext();
  const response = await p2pcf.fetch(request, { BUCKET: env.BUCKET }, context);
  await waitOnExecutionContext(context);
  return response;
};
const ours: Send = (request) => exports.default.fetch(request);

const URL = 'http://p2pcf.test/';
const JSON_TYPE = { 'Content-Type': 'application/json' };
const CORS = ['access-control-allow-origin', 'access-control-allow-methods', 'access-control-max-age', 'vary'];

interface Answer {
  status: number;
  /** The name of the fault. */
  fault: string;
  reply: Record<string, unknown>;
  headers: (string | null)[];
}

async function answerOf(send: Send, init: RequestInit): Promise<Answer | 'exception'> {
  let response: Response;
  try {
    response = await send(new Request(URL, init));
  } catch {
    return 'exception';
  }
  const text = await response.text();
  // The one header that theirs forgets: a preflight allows what it was asked for, and varies with that.
  const isForgotten = (name: string): boolean =>
    name === 'vary' && response.headers.get(name) === 'Access-Control-Request-Headers';
  const headers = [...CORS, 'access-control-allow-headers'].map((name) =>
    isForgotten(name) ? null : response.headers.get(name),
  );
  const reply = response.ok && text !== '' ? JSON.parse(text) : {};
  const fault = response.ok ? '' : text.replace(/^(Bad room id|[^:]*).*$/s, '$1');
  return { status: response.status, fault, reply, headers };
}

const sorted = (value: unknown): unknown =>
  Array.isArray(value) ? [...value].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value;

/** What must be the same. */
function compared({ status, fault, reply, headers }: Answer, isReactNative: boolean): object {
  const { ps, pk, dk, ...rest } = reply;
  const entries = Array.isArray(ps) && isReactNative ? ps.map((entry: unknown[]) => entry.slice(0, -1)) : ps;
  return { status, fault, ps: sorted(entries), pk: sorted(pk), hasKey: dk !== undefined, rest, headers };
}

/** A page as the two servers know it. */
class Page {
  readonly room: string;
  readonly context: string;
  readonly isReactNative: boolean;
  session = '';
  postedAt = 0;
  keys: [theirs: unknown, ours: unknown] = ['none', 'none'];

  constructor(room: string, context: string, isReactNative = false) {
    this.room = room;
    this.context = context;
    this.isReactNative = isReactNative;
    this.reload();
  }

  reload(): void {
    const id = crypto.randomUUID().replaceAll('-', '');
    this.session = this.isReactNative ? id : `p2pcf${id.slice(0, 15)}`;
  }

  body(): Record<string, unknown> {
    const d = [this.session, `${this.context}'s label`, false, `${'A'.repeat(43)}=`, 1, ['203.0.113.7', '2001:db8::7']];
    return {
      r: this.room,
      k: this.context,
      d,
      t: this.postedAt || Date.now(),
      x: this.isReactNative ? 60_000 : 120_000,
    };
  }
}

/** How many answers of each kind were compared. */
const tally: Record<string, number> = {};

async function compare(page: Page, init: RequestInit | [theirs: RequestInit, ours: RequestInit]): Promise<void> {
  const [their, our] = Array.isArray(init) ? init : [init, init];
  const [expected, actual] = [await answerOf(theirs, their), await answerOf(ours, our)];
  if (actual === 'exception') throw new Error('ours fails');
  if (expected === 'exception') {
    tally['exception'] = (tally['exception'] ?? 0) + 1;
    expect(`${actual.status} ${actual.fault}`).toMatch(/^(400 (Bad|Missing) .+|404 No delete key)$/);
    expect(actual.headers[0]).toBe('*');
    return;
  }
  // A page may read every refusal of ours.
  if (expected.headers[0] === null && !(actual.status < 400)) actual.headers = expected.headers;
  const { status, reply } = actual;
  const kind = Array.isArray(reply['pk']) && reply['pk'].length > 0 ? 'packages' : reply['dk'] ? 'key' : `${status}`;
  tally[kind] = (tally[kind] ?? 0) + 1;
  const context = JSON.stringify(our);
  expect(compared(actual, page.isReactNative), context).toEqual(compared(expected, page.isReactNative));
  const keys = [expected.reply['dk'], actual.reply['dk']] as const;
  if (keys[0] !== undefined) {
    // A page that comes back under its context gets the key it had, from both or from neither.
    expect(keys[1] === page.keys[1], context).toBe(keys[0] === page.keys[0]);
    page.keys = [...keys];
  }
}

const post = (body: unknown, headers: HeadersInit = {}, method = 'POST'): RequestInit => ({
  method,
  headers: { ...JSON_TYPE, ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

async function sweep(room: string): Promise<void> {
  await env.BUCKET.delete(`rooms/${room}/next_vacuum`);
  await theirs(new Request(URL, post({ r: room })));
}

const DAY_MS = 86_400_000;
const without = (index: number, value: unknown) => (body: Record<string, unknown>) => ({
  ...body,
  d: Array.isArray(body['d']) ? body['d'].with(index, value) : body['d'],
});
const withField = (fields: Record<string, unknown>) => (body: Record<string, unknown>) => ({ ...body, ...fields });

/** What may be wrong with a body. */
const FAULTS: ((body: Record<string, unknown>) => unknown)[] = [
  () => '',
  () => '{"r":',
  () => 'null',
  () => '[]',
  () => '7',
  () => '"lobby"',
  ...[undefined, null, '', 'abc', 'x'.repeat(65), 'a room', 'lobby\n', '../lobby', 7, {}].map((r) => withField({ r })),
  withField({ r: ['lobb', 'y'] }),
  withField({ r: ['l', 'o', 'b', 'b', 'y'] }),
  ...[undefined, null, 0, '120000', DAY_MS + 1, true, []].map((x) => withField({ x })),
  ...[undefined, null, 0, '7', 7, Number.MAX_SAFE_INTEGER, -1, false, {}].map((t) => withField({ t })),
  ...[undefined, null, '', 'k'.repeat(65), false, 0].map((k) => withField({ k })),
  ...[[], [1], {}, 7, true, 'x'].map((d) => withField({ d })),
  ...[undefined, null, '', 'x'.repeat(65), 0, false].map((id) => without(0, id)),
  ...[undefined, null, '', 'x'.repeat(65), 0, false].map((id) => without(1, id)),
  ...[undefined, null, '', 0, 1, 'true', []].map((symmetric) => without(2, symmetric)),
  ...[undefined, null, '', 7, 'A'.repeat(43), 'A'.repeat(45), '-'.repeat(44)].map((print) => without(3, print)),
  without(3, `${'A'.repeat(42)}===`.slice(0, 44)),
  without(3, '='.repeat(44)),
  ...[undefined, null, 0, '1', true].map((startedAt) => without(4, startedAt)),
  ...[undefined, null, '', 0, 7, 'x', true].map((ips) => without(5, ips)),
  ...[['x'], ['router.local'], ['1.2.3'], ['1.2.3.4.5'], ['1.2.3.4', 'x'], [7], [null]].map((ips) => without(5, ips)),
  ...[0, '', null, false].map((p) => withField({ p })),
];

/** What may be unusual about it. */
const VARIANTS: ((body: Record<string, unknown>) => unknown)[] = [
  withField({ extra: { field: 1 } }),
  withField({ x: DAY_MS }),
  withField({ x: 45_000 }),
  withField({ x: 900_001 }),
  withField({ x: 30_000.5 }),
  without(1, 'ラベル 🎉'),
  without(1, 'x'.repeat(64)),
  without(2, true),
  without(3, 'A'.repeat(44)),
  without(3, `${'A'.repeat(42)}==`),
  without(4, -1.5),
  without(5, []),
  without(5, ['::', '::1', 'fe80::1', '2001:db8:0:0:1:2:3:4', '::ffff:203.0.113.7', '999.1.1.1']),
];

const page = fc.nat({ max: 6 });
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('look' as const), page }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('listen' as const), page }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('post' as const),
      page,
      isNew: fc.boolean(),
      to: fc.array(page, { maxLength: 4 }),
      variant: fc.option(fc.constantFrom(...VARIANTS)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const), page }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('leave' as const),
      page,
      keyOf: page,
      key: fc.constantFrom('own', 'own', 'own', 'another', 'wrong', 'none', 'empty'),
      naming: fc.constantFrom('itself', 'itself', 'itself', 'nobody', 'nothing'),
      method: fc.constantFrom('DELETE', 'POST'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      page,
      fault: fc.constantFrom(...FAULTS),
      leaves: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('header' as const),
      page,
      headers: fc.constantFrom<Record<string, string>>(
        { 'Content-Type': 'text/plain' },
        { 'Content-Type': 'application/json; charset=utf-8' },
        { 'Content-Type': ' application/json ' },
        { 'Content-Type': 'Application/JSON' },
        { 'Content-Type': '' },
        { 'X-Worker-Method': 'GET' },
        { Origin: 'https://app.test' },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('options' as const),
      headers: fc.subarray([
        ['Origin', 'https://app.test'],
        ['Access-Control-Request-Method', 'POST'],
        ['Access-Control-Request-Headers', 'content-type,x-worker-method'],
      ] as [string, string][]),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 3000, 3000, 60_000, 90_000, 120_000, 899_999, 900_000, 3_600_000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

let runs = 0;

/** Two rooms of p2pcf and one of p2pcf.rn; in the first, two tabs share a context, as a duplicated tab does. */
const newPages = (): Page[] => {
  const run = `run-${++runs}-`;
  const contexts = [`${run}a`, `${run}a`, `${run}b`, `${run}c`, `${run}d`];
  const pages = contexts.map((context, n) => new Page(run + (n < 3 ? 'one' : 'two'), context));
  return [...pages, new Page(`${run}rn`, `${run}e`, true), new Page(`${run}rn`, `${run}f`, true)];
};

test('a thousand requests, answered as P2PCF answers them', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 50, maxLength: 50 }), async (steps) => {
      const pages = newPages();
      for (const step of steps) await take(step, pages);
    }),
    { numRuns: 25 },
  );
  expect(Object.values(tally).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1000);
  expect(Object.keys(tally).sort()).toEqual(['200', '400', '404', 'exception', 'key', 'packages']);
});

async function take(step: Step, pages: readonly Page[]): Promise<void> {
  if (step.do === 'wait') return await pass(step.ms, pages);
  if (step.do === 'options') {
    const [page] = pages;
    if (page) await compare(page, { method: 'OPTIONS', headers: step.headers });
    return;
  }
  const page = pages[step.page];
  if (!page) throw new Error(`no page ${step.page}`);
  const body = page.body();
  // p2pcf.rn never polls without saying who it is.
  const look = page.isReactNative ? body : { r: page.room, k: page.context };
  switch (step.do) {
    case 'look':
      return await compare(page, post(look));
    case 'listen':
      return await compare(page, post(body));
    case 'post': {
      // p2pcf.rn never posts twice with one `t`.
      if (step.isNew || page.isReactNative) page.postedAt = Math.max(Date.now(), page.postedAt + 1);
      const neighbours = step.to.map((n) => pages[n]).filter((other) => other?.room === page.room);
      const p = neighbours.map((to, n) => [to?.session, page.session, 'ufrag', n, ['candidate']]);
      const full = { ...page.body(), p };
      // What p2pcf.rn asks for is always the same; its time is compared in `pass`.
      return await compare(page, post(step.variant && !page.isReactNative ? step.variant(full) : full));
    }
    case 'reload':
      return page.reload();
    case 'leave': {
      const other = step.key === 'another' ? pages[step.keyOf] : page;
      const { k, ...rest } = body;
      const named = { itself: body, nobody: without(0, 'nobody')(body), nothing: { r: page.room, k } }[step.naming];
      const leaving = page.keys.map((_key, server) => {
        const dk = { own: page.keys[server], another: other?.keys[server], wrong: 'wrong', none: undefined, empty: '' };
        const headers = { 'X-Worker-Method': 'DELETE' };
        return post({ ...rest, ...named, dk: dk[step.key] }, step.method === 'POST' ? headers : {}, step.method);
      });
      const [their = {}, our = {}] = leaving;
      return await compare(page, [their, our]);
    }
    case 'fault': {
      const wrong = step.fault({ ...body, p: [], ...(step.leaves ? { dk: 'key' } : {}) });
      return await compare(page, post(wrong, step.leaves ? { 'X-Worker-Method': 'DELETE' } : {}));
    }
    case 'header':
      return await compare(page, post(look, step.headers));
  }
}

async function pass(ms: number, pages: readonly Page[]): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  if (ms < 60_000) {
    // p2pcf.rn polls every three seconds; after a minute without a poll both have forgotten it.
    for (const page of pages.filter(({ isReactNative, postedAt }) => isReactNative && postedAt > 0)) {
      page.postedAt = Math.max(Date.now(), page.postedAt + 1);
      await compare(page, post({ ...page.body(), p: [] }));
    }
  }
  for (const room of new Set(pages.map(({ room }) => room))) await sweep(room);
}
