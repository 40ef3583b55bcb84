/** `npm run serve`, as docs/self-host.md says it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import wrtc from 'node-datachannel/polyfill';
import { afterEach, expect, test } from 'vitest';
import { P2PCF } from '../../src/client/index.ts';
import { SignalingClient } from '../../src/client/signaling.ts';
import { freePort } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const started: ChildProcess[] = [];

interface Serving {
  said(): string;
  /** Its exit code, once it has ended. */
  ended: Promise<number | null>;
  end(signal: NodeJS.Signals): void;
}

function serve(
  env: Record<string, string>,
  [command, ...args]: [string, ...string[]] = ['npm', 'run', 'serve'],
): Serving {
  // In a group of its own, so that a test that fails leaves no workerd behind.
  const child = spawn(command, args, {
    cwd: root,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  return {
    said: () => said,
    ended: new Promise((resolve) => child.once('close', resolve)),
    end: (signal) => void child.kill(signal),
  };
}

afterEach(() => {
  for (const { pid } of started.splice(0)) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // The whole group has ended, as it should have.
    }
  }
});

const untilServed = (serving: Serving): Promise<void> =>
  expect.poll(() => serving.said(), WAIT).toContain('P2PCF-WS is at');

test('two peers meet; terminated, it ends though they stay, and started again it has them back', async () => {
  const storage = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const env = { PORT: String(await freePort()), STORAGE: storage, MAX_PEERS_PER_ROOM: '2' };
  const workerUrl = `http://127.0.0.1:${env.PORT}`;
  const first = serve(env);
  await untilServed(first);

  const page = await fetch(`${workerUrl}/demo/`);
  expect(await page.text(), 'the demo').toContain('src="demo.js"');
  expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
  for (const [file, type] of Object.entries({ 'demo.js': 'text/javascript', 'style.css': 'text/css' }))
    expect((await fetch(`${workerUrl}/demo/${file}`)).headers.get('Content-Type')).toContain(type);
  expect((await fetch(`${workerUrl}/demo`)).url).toBe(`${workerUrl}/demo/`);

  const roomId = newRoom();
  const member = (name: string): P2PCF => new P2PCF(name, roomId, { workerUrl, stunIceServers: [], wrtc });
  const [alice, bob, carol] = [member('Alice'), member('Bobby'), member('Carol')];
  const log: string[] = [];
  for (const room of [alice, bob]) {
    room.on('peerconnect', (peer) => log.push(`${room.clientId} meets ${peer.client_id}`));
    room.on('msg', (_peer, data) => log.push(`${room.clientId} hears ${new TextDecoder().decode(data)}`));
  }
  await alice.start();
  await bob.start();
  await expect.poll(() => log.toSorted(), WAIT).toEqual(['Alice meets Bobby', 'Bobby meets Alice']);
  await expect(carol.start(), 'the setting in the environment').rejects.toMatchObject({ code: 4003 });

  first.end('SIGTERM');
  expect(await first.ended).toBe(0);
  await expect(fetch(`${workerUrl}/health`)).rejects.toThrow();
  await expect.poll(() => [alice.state, bob.state], WAIT).toEqual(['reconnecting', 'reconnecting']);
  await alice.broadcast('still here');
  await expect.poll(() => log.at(-1), WAIT).toBe('Bobby hears still here');

  const second = serve(env);
  await untilServed(second);
  await expect.poll(() => [alice.state, bob.state], WAIT).toEqual(['open', 'open']);
  expect(log, 'their connection has lasted').toHaveLength(3);
  expect(await readdir(storage)).toEqual(['SignalingRoom']);
  for (const room of [alice, bob]) room.destroy();
  second.end('SIGTERM');
  expect(await second.ended).toBe(0);
  await rm(storage, { recursive: true });
});

test.each([
  [{ HOST: 'nowhere.invalid' }, 'nowhere.invalid'],
  [{ HOST: '::1' }, "HOST is '::1': it must be an address alone, IPv6 in brackets"],
  [{ HOST: '127.0.0.1:80' }, "HOST is '127.0.0.1:80': it must be an address alone"],
  [{ HOST: '[::1]:80' }, "HOST is '[::1]:80': it must be an address alone"],
  [{ HOST: 'http://localhost' }, "HOST is 'http://localhost': it must be an address alone"],
  [{ STORAGE: '/proc/1' }, "STORAGE is '/proc/1': it must be a folder that the user"],
  [{ PORT: 'http' }, "PORT is 'http': it must be a number"],
  [{ GHOST_AFTER_SECONDS: 'soon' }, 'The setting GHOST_AFTER_SECONDS is "soon"; it must be a whole number'],
  [{ AUTH_SECRET: "it's short" }, 'The secret AUTH_SECRET is too short'],
])('what cannot be is said, and nothing is served: %j', async (env, sentence) => {
  const storage = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const serving = serve({ PORT: String(await freePort()), STORAGE: storage, ...env });
  expect(await serving.ended).toBe(1);
  expect(serving.said()).toContain(sentence);
  expect(serving.said()).toContain('docs/self-host.md says');
  expect(serving.said(), 'no stack').not.toMatch(/^ +at /m);
  await rm(storage, { recursive: true });
});

test.each([
  [['--port', '3000'], "Unknown option '--port'"],
  [['--build'], "Option '--build <value>' argument missing"],
  [['--build', 'package.json'], 'package.json'],
])('npm run serve -- %j: what is wrong is said, with no stack', async (args, sentence) => {
  const serving = serve({}, ['npm', 'run', 'serve', '--', ...args]);
  expect(await serving.ended).toBe(1);
  expect(serving.said()).toContain(sentence);
  expect(serving.said()).toContain('docs/self-host.md says');
  expect(serving.said(), 'no stack').not.toMatch(/^ +at /m);
});

function poll(port: number, r: string, k: string): Promise<Response> {
  const d = [`session of ${k}`, 'label', false, 'A'.repeat(44), 1, []];
  return fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ r, k, x: 60_000, t: Date.now(), p: [], d }),
  });
}

test('the unit for systemd: built once, it runs as nobody, where it can write nothing but its own', async () => {
  const unit = /^```ini\n(.*?)^```/ms.exec(await readFile(join(root, 'docs/self-host.md'), 'utf8'))?.[1] ?? '';
  const values = (key: string): string[] =>
    [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, v = '']) => v);
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const at = (text: string): string =>
    text.replaceAll('/opt/p2pcf-ws/server', join(folder, 'server')).replaceAll('/opt/p2pcf-ws/', root);
  execFileSync('npm', ['run', 'serve', '--', '--build', join(folder, 'server')], { cwd: root, stdio: 'pipe' });
  const storage = join(folder, 'storage');
  await mkdir(storage);
  await chmod(folder, 0o755);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(storage, 65534, 65534);
  const port = String(await freePort());
  const env = Object.fromEntries(
    values('Environment').flatMap((line) =>
      at(line)
        .split(' ')
        .map((each) => each.split('=').slice(0, 2)),
    ),
  );
  expect(env).toMatchObject({ PORT: '8787', STORAGE: '/var/lib/p2pcf-ws' });
  const child = spawn(at(values('ExecStart')[0] ?? ''), [], {
    cwd: '/',
    env: { ...env, PORT: port, STORAGE: storage },
    stdio: 'inherit',
    ...(isRoot && { uid: 65534, gid: 65534 }),
  });
  const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  const isHealthy = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  await expect.poll(isHealthy, WAIT).toBe(true);
  expect(values('KillSignal')).toEqual(['SIGKILL']);
  child.kill('SIGKILL');
  expect(await ended).toBe('SIGKILL');
  await rm(folder, { recursive: true });
});

test('what it stores is for nobody else to read: places are stored with the secrets that win them back', async () => {
  const storage = join(await mkdtemp(join(tmpdir(), 'p2pcf-ws-')), 'new');
  const port = await freePort();
  const serving = serve({ PORT: String(port), STORAGE: storage });
  await untilServed(serving);
  const reply = await poll(port, newRoom(), 'context');
  expect(reply.status).toBe(200);
  const files = (await readdir(storage, { recursive: true })).map((file) => join(storage, file));
  expect(files.some((file) => file.endsWith('.sqlite'))).toBe(true);
  for (const file of [storage, ...files]) expect((await stat(file)).mode & 0o077, file).toBe(0);
});

test('as it starts, it removes the files of rooms in which nothing is stored, and of no other', async () => {
  const storage = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const port = await freePort();
  const env = { PORT: String(port), STORAGE: storage };
  const files = async (): Promise<number> =>
    (await readdir(join(storage, 'SignalingRoom'))).filter((file) => /^[\da-f]{64}\.sqlite$/.test(file)).length;
  const first = serve(env);
  await untilServed(first);
  const client = new SignalingClient({ workerUrl: `http://127.0.0.1:${port}`, roomId: newRoom() });
  await client.start();
  client.stop();
  const roomId = newRoom();
  expect((await poll(port, roomId, 'context')).status).toBe(200);
  expect(await files()).toBe(2);
  first.end('SIGTERM');
  await first.ended;
  const second = serve(env);
  await untilServed(second);
  expect(await files()).toBe(1);
  expect(await (await poll(port, roomId, 'another')).text()).toContain('session of context');
  second.end('SIGTERM');
  expect(await second.ended).toBe(0);
  await rm(storage, { recursive: true });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends it, and workerd with it', async (signal) => {
  const env = { PORT: String(await freePort()), STORAGE: await mkdtemp(join(tmpdir(), 'p2pcf-ws-')) };
  const serving = serve(env, [process.execPath, 'scripts/serve.ts']);
  await untilServed(serving);
  serving.end(signal);
  const health = (): Promise<string> =>
    fetch(`http://127.0.0.1:${env.PORT}/health`).then(
      (answer) => answer.text(),
      () => 'nobody answers',
    );
  await expect.poll(health, WAIT).toBe('nobody answers');
  expect(await serving.ended).toBe(0);
});

test('what is set to nothing is not set', async () => {
  const serving = serve({
    HOST: '',
    PORT: String(await freePort()),
    STORAGE: await mkdtemp(join(tmpdir(), 'p2pcf-ws-')),
    MAX_PEERS_PER_ROOM: '',
    ALLOWED_ORIGINS: '',
  });
  await Promise.race([untilServed(serving), serving.ended]);
  expect(serving.said()).toContain('P2PCF-WS is at http://127.0.0.1:');
});

test('a server that is not where it should be says so, and leaves no workerd behind', async () => {
  const serving = serve({ PORT: '0', STORAGE: await mkdtemp(join(tmpdir(), 'p2pcf-ws-')) });
  expect(await serving.ended).toBe(1); // and none has what it writes to
  expect(serving.said()).toContain('Nothing answers at http://127.0.0.1:0');
});
