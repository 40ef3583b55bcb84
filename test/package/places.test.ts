/** The built client where there is no browser: Node 20 against a real server, and what React Native has. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type App, newApp, oldest } from '../support/app.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
let app: App;
let server: Server;
beforeAll(async () => {
  app = newApp();
  server = await startWorkerd();
});
afterAll(async () => {
  await server.stop();
  app.remove();
});

describe('Node 20', () => {
  const ws = `import { WebSocket } from '${modules}/ws/wrapper.mjs';`;
  /** Runs a program that prints JSON. */
  function run(program: string): unknown {
    return JSON.parse(app.run(oldest('node'), [app.write('app.mjs', ws + program)]));
  }

  test('signaling alone', () => {
    const said = run(`
      import { SignalingClient } from 'p2pcf-ws/signaling';
      const room = { workerUrl: '${server.url}', roomId: '${newRoom()}', WebSocket };
      const alice = new SignalingClient({ ...room, clientId: 'alice' });
      const bob = new SignalingClient({ ...room, clientId: 'bob' });
      await alice.start();
      const heard = new Promise((resolve) => alice.once('signal', (...args) => resolve(args)));
      await bob.start();
      bob.send('alice', { any: 'JSON' });
      console.log(JSON.stringify([process.versions.node.split('.')[0], await heard]));
      alice.stop();
      bob.stop();`);
    expect(said).toEqual(['20', ['bob', { any: 'JSON' }]]);
  });

  test('two rooms, with node-datachannel', () => {
    const said = run(`
      import wrtc from '${modules}/node-datachannel/dist/esm/polyfill/index.mjs';
      import P2PCF from 'p2pcf-ws';
      const options = { workerUrl: '${server.url}', stunIceServers: [], WebSocket, wrtc };
      const rooms = ['Alice', 'Bobby'].map((name) => new P2PCF(name, '${newRoom()}', options));
      const heard = rooms.map((room) => new Promise((resolve) => room.once('msg', (peer, data) =>
        resolve([peer.client_id, new TextDecoder().decode(data)]))));
      for (const room of rooms) room.on('peerconnect', (peer) => room.send(peer, 'from ' + room.clientId));
      for (const room of rooms) await room.start();
      console.log(JSON.stringify(await Promise.all(heard)));
      for (const room of rooms) room.destroy();
      process.exit();`);
    expect(said).toEqual([
      ['Bobby', 'from Bobby'],
      ['Alice', 'from Alice'],
    ]);
  });
});

describe('React Native', () => {
  /** URL as React Native (0.76) has it. */
  class URL {
    readonly href: string;
    constructor(href: string) {
      this.href = href;
    }
    set hostname(_value: string) {
      throw new Error('not implemented');
    }
    set search(_value: string) {
      throw new Error('not implemented');
    }
    get searchParams(): never {
      throw new Error('not implemented');
    }
  }
  const globals = {
    URL,
    WebSocket,
    console,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
    queueMicrotask,
    performance: { now: () => performance.now() },
  };
  const signaling = (): string => readFileSync(join(app.folder, 'node_modules/p2pcf-ws/dist/cjs/signaling.js'), 'utf8');

  test('the signaling client works with its URL, and without TextDecoder, DOM and fetch', async () => {
    const context = createContext({ ...globals, crypto, module: {} });
    const roomId = newRoom();
    runInContext(signaling(), context);
    const options = JSON.stringify({ workerUrl: `${server.url}/`, roomId, metadata: { any: 'ö' } });
    const open = runInContext(
      `const client = new module.exports.SignalingClient(${options});
       client.start().then(() => client.state)`,
      context,
    );
    expect(await open).toBe('open');
    runInContext('client.stop()', context);
  });

  test('without crypto it says what to import', () => {
    const context = createContext({ ...globals, module: {} });
    runInContext(signaling(), context);
    expect(() =>
      runInContext(`new module.exports.SignalingClient({ workerUrl: 'https://example.com', roomId: 'room' })`, context),
    ).toThrow('import react-native-get-random-values');
  });
});
