/** The npm package as its users get it: packed, installed elsewhere, used from TypeScript and plain JavaScript. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
let folder: string;
let tarball: string;

const run = (command: string, args: string[], cwd = folder): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'p2pcf-ws-'));
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--silent', '--pack-destination', folder], root));
  tarball = join(folder, packed.filename);
  writeFileSync(join(folder, 'package.json'), '{"name":"app","private":true,"type":"module"}');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('it brings no dependency', () => {
  expect(run('ls', ['node_modules']).trim()).toBe('p2pcf-ws');
});

test('plain JavaScript imports all three entries', () => {
  writeFileSync(
    join(folder, 'app.js'),
    `import P2PCF, { P2PCF as named } from 'p2pcf-ws';
     import { SignalingClient } from 'p2pcf-ws/signaling';
     import { parseSignal } from 'p2pcf-ws/protocol';
     console.log(P2PCF === named, typeof SignalingClient, typeof parseSignal);
     try { new P2PCF('name', 'room', {}); } catch (error) { console.log(error.message); }
     try { new P2PCF('me', 'room', {}); } catch (error) { console.log(error.message); }`,
  );
  const [imported, noUrl, shortName] = run('node', ['app.js']).trim().split('\n');
  expect(imported).toBe('true function function');
  expect(noUrl).toMatch(/^workerUrl is missing/);
  expect(shortName).toMatch(/^clientId is "me": it must be/);
});

test('TypeScript, strict and checking the library too, knows the events', () => {
  writeFileSync(
    join(folder, 'app.ts'),
    `import P2PCF, { type Peer } from 'p2pcf-ws';
     import { SignalingClient } from 'p2pcf-ws/signaling';
     import type { ServerMessage } from 'p2pcf-ws/protocol';
     const room = new P2PCF('name', 'room', { workerUrl: 'https://example.com' });
     room.on('msg', (peer: Peer, data: ArrayBuffer) => console.log(peer.client_id, data.byteLength));
     const client = new SignalingClient({ workerUrl: 'https://example.com', roomId: 'room' });
     client.on('leave', ({ clientId, timestamp }) => console.log(clientId, timestamp.toFixed()));
     // @ts-expect-error: the event is called peerconnect
     room.on('peer_connect', () => undefined);
     // @ts-expect-error: a message has no such type
     const message: ServerMessage = { type: 'hello' };
     console.log(message);`,
  );
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--lib', 'es2024,dom', '--types', ''];
  expect(run(bin('tsc'), [...options, 'app.ts'])).toBe('');
});

test('the file for a script tag makes one global', () => {
  const script = readFileSync(join(folder, 'node_modules/p2pcf-ws/dist/p2pcf-ws.script.js'), 'utf8');
  expect(runInNewContext(`${script}; P2PCF.name && typeof P2PCF`)).toBe('function');
});

test('publint and arethetypeswrong have nothing to say', () => {
  expect(run(bin('publint'), [tarball, '--strict'])).toContain('All good!');
  expect(() => run(bin('attw'), [tarball, '--profile', 'esm-only']), 'it exits with 1 for a problem').not.toThrow();
});
