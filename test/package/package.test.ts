/** The npm package as it is packed: what is in it, and how it is found. */
import { globSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type App, newApp, newest, oldest, oldestModule } from '../support/app.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
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
    expect(noWebRtc).toMatch(/^There is no WebRTC here\. Construct P2PCF in a page, not in a worker/);
  }
});

test('the provider is there with the oldest Yjs', () => {
  const apart = newApp(); // in another there is nothing beside the package
  try {
    for (const name of ['yjs', 'lib0', 'y-protocols'])
      symlinkSync(oldestModule(name), join(apart.folder, 'node_modules', name));
    apart.write('app.mjs', "import { YjsProvider } from 'p2pcf-ws/yjs'; console.log(typeof YjsProvider);");
    expect(apart.run(oldest('node'), ['app.mjs']).trim()).toBe('function');
  } finally {
    apart.remove();
  }
});

test('the file for a script tag makes one global', () => {
  expect(runInNewContext(`${packed('dist/p2pcf-ws.script.js')}; P2PCF.name && typeof P2PCF`)).toBe('function');
});

test('the hooks are marked as the browser’s, so that Next.js says so where a server component calls them', () => {
  for (const file of ['dist/react.js', 'dist/cjs/react.js'])
    expect(packed(file).slice(0, 30)).toContain('"use client";');
});

test('exactly these files are in it', () => {
  const files = app
    .run('tar', ['-tzf', inject('tarball')])
    .trim()
    .replaceAll('package/', '')
    .split('\n')
    .toSorted();
  const isTypes = (path: string): boolean => path.startsWith('dist/cjs/types/');
  expect(files.filter(isTypes).map((path) => path.replace('cjs/', ''))).toEqual(
    files.filter((path) => path.startsWith('dist/types/')),
  );
  expect(files.filter((path) => !isTypes(path)).join('\n')).toMatchInlineSnapshot(`
    "CHANGELOG.md
    LICENSE
    PROTOCOL.md
    README.md
    dist/LICENSES.txt
    dist/cjs/index.js
    dist/cjs/index.js.map
    dist/cjs/package.json
    dist/cjs/protocol.js
    dist/cjs/protocol.js.map
    dist/cjs/react.js
    dist/cjs/react.js.map
    dist/cjs/signaling.js
    dist/cjs/signaling.js.map
    dist/cjs/yjs.js
    dist/cjs/yjs.js.map
    dist/index.js
    dist/index.js.map
    dist/p2pcf-ws.script.js
    dist/p2pcf-ws.script.js.map
    dist/protocol.js
    dist/protocol.js.map
    dist/react.js
    dist/react.js.map
    dist/sealed.js
    dist/sealed.js.map
    dist/signaling.js
    dist/signaling.js.map
    dist/types/client/admission.d.ts
    dist/types/client/channel.d.ts
    dist/types/client/datagrams.d.ts
    dist/types/client/events.d.ts
    dist/types/client/ice-failure.d.ts
    dist/types/client/ice-restart.d.ts
    dist/types/client/ice-servers.d.ts
    dist/types/client/index.d.ts
    dist/types/client/limits.d.ts
    dist/types/client/negotiation.d.ts
    dist/types/client/options.d.ts
    dist/types/client/outgoing-signals.d.ts
    dist/types/client/p2pcf-events.d.ts
    dist/types/client/p2pcf.d.ts
    dist/types/client/peer-connection.d.ts
    dist/types/client/peer.d.ts
    dist/types/client/received-media.d.ts
    dist/types/client/room-token.d.ts
    dist/types/client/sealed-options.d.ts
    dist/types/client/sealed/sas.d.ts
    dist/types/client/signaling-options.d.ts
    dist/types/client/signaling.d.ts
    dist/types/client/silence.d.ts
    dist/types/protocol/close.d.ts
    dist/types/protocol/error.d.ts
    dist/types/protocol/ice-servers.d.ts
    dist/types/protocol/index.d.ts
    dist/types/protocol/join.d.ts
    dist/types/protocol/messages.d.ts
    dist/types/protocol/owned-id.d.ts
    dist/types/protocol/signal.d.ts
    dist/types/react/index.d.ts
    dist/types/yjs/index.d.ts
    dist/yjs.js
    dist/yjs.js.map
    package.json
    protocol/package.json
    react/package.json
    signaling/package.json
    yjs/package.json"
  `);
});

test('every script has a source map, with its sources in it', () => {
  const scripts = globSync('**/*.js', { cwd: join(app.folder, 'node_modules/p2pcf-ws') });
  expect(scripts).toContain('dist/sealed.js');
  for (const script of scripts) {
    expect(packed(script), script).toMatch(new RegExp(`//# sourceMappingURL=${basename(script)}\\.map\\s*$`));
    const { sources, sourcesContent }: { sources: string[]; sourcesContent: (string | null)[] } = JSON.parse(
      packed(`${script}.map`),
    );
    expect(sources.join(), script).toContain('src/');
    expect(sourcesContent.map(Boolean), script).toEqual(sources.map(() => true));
  }
});

/** Doc comments at the left edge, and the name that each is of. */
const DOCUMENTED =
  /^(\/\*\*(?:(?!\*\/).)*\*\/)\nexport (?:async )?(?:abstract )?(?:class|interface|type|function|const) (\w+)/gms;

test('what is declared has its doc comments', () => {
  const types = globSync('dist/types/**/*.d.ts', { cwd: join(app.folder, 'node_modules/p2pcf-ws') });
  for (const path of types) {
    const declared = packed(path);
    const source = readFileSync(join(root, path.replace('dist/types', 'src').replace('.d.ts', '.ts')), 'utf8');
    for (const [, comment, name] of source.matchAll(DOCUMENTED))
      if (new RegExp(`^export .*\\b${name}\\b`, 'm').test(declared)) expect(declared, name).toContain(comment);
  }
  expect(packed('dist/types/client/peer.d.ts')).toContain('  /** Closes the connection for good. */');
});

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
