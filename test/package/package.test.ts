/** The npm package as it is packed: what is in it, and how it is found. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type App, newApp, newest, oldest } from '../support/app.ts';

let app: App;
beforeAll(() => {
  app = newApp();
});
afterAll(() => app.remove());

const packed = (path: string): string => readFileSync(join(app.folder, 'node_modules/p2pcf-ws', path), 'utf8');

test('it brings no dependency', () => {
  expect(app.run('ls', ['node_modules']).trim()).toBe('p2pcf-ws');
});

const USE = `console.log(P2PCF === named, typeof SignalingClient, typeof parseSignal);
  console.log([P2PCF.name, SignalingClient.name], new SignalingClient({ workerUrl: 'ws://a', roomId: 'r', WebSocket: Map }));
  try { new P2PCF('name', 'room', {}); } catch (error) { console.log(error.message); }
  try { new P2PCF('me', 'room', {}); } catch (error) { console.log(error.message); }
  try { new P2PCF('name', 'room', { workerUrl: 'https://example.com' }); } catch (error) { console.log(error.message); }`;
const IMPORT = `import P2PCF, { P2PCF as named } from 'p2pcf-ws';
  import { SignalingClient } from 'p2pcf-ws/signaling';
  import { parseSignal } from 'p2pcf-ws/protocol';`;
const REQUIRE = `const { default: P2PCF, P2PCF: named } = require('p2pcf-ws');
  const { SignalingClient } = require('p2pcf-ws/signaling');
  const { parseSignal } = require('p2pcf-ws/protocol');`;

// As a server does that renders pages: there is no window, and nothing is missed before a room is made.
test.each([
  ['Node 20', oldest('node')],
  ['the newest Node', newest('node')],
])('%s imports and requires all three entries, and a room says what it needs', (_name, node) => {
  app.write('app.mjs', IMPORT + USE);
  app.write('app.cjs', REQUIRE + USE);
  for (const file of ['app.mjs', 'app.cjs']) {
    const lines = app.run(node, [file]).trim().split('\n');
    const [imported, names] = lines;
    const [noUrl, shortName, noWebRtc] = lines.slice(-3);
    expect(imported).toBe('true function function');
    expect(names).toMatch(/^\[ 'P2PCF', 'SignalingClient' \] SignalingClient \{/); // minified, and printed as what it is
    expect(noUrl).toMatch(/workerUrl|WebRTC/);
    expect(shortName).toMatch(/^clientId is "me": it must be a string of at least four characters/);
    expect(noWebRtc).toMatch(/^There is no WebRTC here\. Construct P2PCF in the browser/);
  }
});

test('the file for a script tag makes one global', () => {
  expect(runInNewContext(`${packed('dist/p2pcf-ws.script.js')}; P2PCF.name && typeof P2PCF`)).toBe('function');
});

test.each(['index.js', 'signaling.js', 'protocol.js', 'p2pcf-ws.script.js', 'cjs/index.js'])(
  'the source map of %s has the sources in it',
  (file) => {
    expect(packed(`dist/${file}`)).toMatch(/\/\/# sourceMappingURL=\S+\.map\s*$/);
    const { sources, sourcesContent }: { sources: string[]; sourcesContent: (string | null)[] } = JSON.parse(
      packed(`dist/${file}.map`),
    );
    expect(sources.some((source) => source.includes('src/'))).toBe(true);
    expect(sourcesContent.map(Boolean)).toEqual(sources.map(() => true));
  },
);

test('it has its licence, and those of what is bundled', () => {
  expect(packed('LICENSE')).toContain('MIT License');
  const { sources }: { sources: string[] } = JSON.parse(packed('dist/index.js.map'));
  const bundled = sources.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  expect(bundled).toContain('ohash');
  for (const name of bundled) expect(packed('dist/LICENSES.txt')).toContain(`parts of ${name} `);
  expect(packed('dist/LICENSES.txt')).toContain('Permission is hereby granted');
});

test('publint and arethetypeswrong have nothing to say', () => {
  const tarball = inject('tarball');
  expect(app.run(newest('publint'), [tarball, '--strict'])).toContain('All good!');
  expect(() => app.run(newest('attw'), [tarball]), 'it exits with 1 for a problem').not.toThrow();
});
