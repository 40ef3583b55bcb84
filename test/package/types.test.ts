/** The declarations, read by the oldest TypeScript that is promised and by the newest, as each kind of program does. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type App, newApp, newest, oldest } from '../support/app.ts';

let app: App;
beforeAll(() => {
  app = newApp();
});
afterAll(() => app.remove());

const TSC = { 'TypeScript 5.0': oldest('tsc'), 'the newest TypeScript': newest('tsc') };
const TYPESCRIPTS = Object.entries(TSC);

/** Compiles strictly, and the library's own declarations too. Returns what tsc complains of. */
function complaints(tsc: string, file: string, ...options: string[]): string {
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2022'];
  try {
    return app.run(tsc, [...strict, ...options, file]);
  } catch (error) {
    return String(Object(error).stdout);
  }
}

const ROOM = `
  const room = new P2PCF('name', 'room', { workerUrl: 'https://example.com', turnIceServers: undefined, key: undefined });
  room.on('msg', (peer: Peer, data: ArrayBuffer) => console.log(peer.client_id, data.byteLength));
  room.on('peerjoin', (peer) => peer.on('data', (bytes) => console.log(new Uint8Array(bytes.buffer).length)));
  // @ts-expect-error: the event is called peerconnect
  room.on('peer_connect', () => undefined);`;
const SIGNALING = `
  const client = new SignalingClient({ workerUrl: 'https://example.com', roomId: 'room', clientId: undefined });
  client.on('leave', ({ clientId, timestamp }) => clientId + timestamp.toFixed());
  // @ts-expect-error: a message has no such type
  const message: ServerMessage = { type: 'hello' };
  message;`;
const IMPORTS = `import P2PCF, { type Peer } from 'p2pcf-ws';
  import { SignalingClient } from 'p2pcf-ws/signaling';
  import type { ServerMessage } from 'p2pcf-ws/protocol';`;

test.each(TYPESCRIPTS)('%s: every way to find a module', (_name, tsc) => {
  for (const file of ['app.mts', 'app.cts', 'app.ts']) app.write(file, IMPORTS + ROOM + SIGNALING);
  const dom = ['--lib', 'es2022,dom'];
  for (const file of ['app.mts', 'app.cts', 'app.ts']) {
    expect(complaints(tsc, file, ...dom, '--module', 'node16', '--moduleResolution', 'node16'), file).toBe('');
  }
  expect(complaints(tsc, 'app.ts', ...dom, '--module', 'esnext', '--moduleResolution', 'bundler')).toBe('');
});

test('TypeScript 5.0: moduleResolution node10', () => {
  app.write('old.ts', IMPORTS + ROOM + SIGNALING);
  const options = ['--lib', 'es2022,dom', '--module', 'esnext', '--moduleResolution', 'node10'];
  expect(complaints(oldest('tsc'), 'old.ts', ...options)).toBe('');
});

test.each(TYPESCRIPTS)('%s: signaling and protocol need no DOM, a room says that it does', (_name, tsc) => {
  app.write('signaling.ts', `${IMPORTS.split('\n').slice(1).join('\n')}${SIGNALING}`);
  app.write('room.ts', IMPORTS.split('\n')[0] + ROOM);
  const options = ['--lib', 'es2022', '--module', 'node16', '--moduleResolution', 'node16'];
  expect(complaints(tsc, 'signaling.ts', ...options)).toBe('');
  expect(complaints(tsc, 'room.ts', ...options)).toContain("Cannot find name 'RTC");
});

test.each(TYPESCRIPTS)('%s: what is ours alone is not in the types of a peer', (_name, tsc) => {
  const names = ['_pc', '_channel', '_senderMap', 'media', 'initiate', 'introduce', 'restart', 'receive'];
  const lines = names.map((name) => `export type ${name} = Peer['${name}'];`);
  app.write('inside.ts', [`import type { Peer } from 'p2pcf-ws';`, ...lines].join('\n'));
  const options = ['--lib', 'es2022,dom', '--module', 'node16', '--moduleResolution', 'node16'];
  const said = complaints(tsc, 'inside.ts', ...options);
  for (const name of names) expect(said).toContain(`Property '${name}' does not exist`);
});
