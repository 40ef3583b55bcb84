/** `npm run token`: what it makes opens a room. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SignalingClient } from '../../src/client/signaling.ts';
import type { Peers } from '../../src/protocol/messages.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const root = new URL('../..', import.meta.url);

let server: Server;
beforeAll(async () => {
  server = await startWorkerd({ vars: { AUTH_SECRET: SECRET } });
});
afterAll(() => server.stop());

async function run(command: string[], secret = SECRET, more: NodeJS.ProcessEnv = {}): Promise<string> {
  const [file = '', ...args] = command;
  const env = { ...process.env, AUTH_SECRET: secret, ...more };
  const { stdout } = await promisify(execFile)(file, args, { cwd: root, env });
  return stdout.trim();
}
const NPM = ['npm', 'run', '--silent', 'token', '--'];
const SCRIPT = [process.execPath, 'scripts/token.ts'];

async function enter(roomId: string, token: string): Promise<{ peers: Peers; leave: () => void }> {
  const client = new SignalingClient({ workerUrl: server.url, roomId, token });
  const peers = new Promise<Peers>((resolve) => client.once('peers', resolve));
  await client.start();
  return { peers: await peers, leave: () => client.stop() };
}

test('npm run token', async () => {
  const roomId = newRoom();
  const first = await enter(
    roomId,
    await run([...NPM, '--room', 'another', '--room', roomId, '--sub', 'alice', '--ttl', '60']),
  );
  const second = await enter(roomId, await run([...SCRIPT, '--prefix', 'room-', '--max', '2']));
  expect(Object.values(second.peers.verified ?? {})).toEqual([{ sub: 'alice' }]);
  first.leave();
  second.leave();
});

test.each([
  [[], SECRET, /Name a room/],
  [['--room', 'lobby'], 'short', /The secret AUTH_SECRET is too short/],
  [['--room', 'lobby'], 'replace-me-with-the-output-of-openssl-rand-base64-32', /is a sample/],
  [['--room', 'lobby', '--ttl', '100000'], SECRET, /expires too far ahead/],
  [['--room', 'lobby', '--ttl', 'long'], SECRET, /--ttl is long/],
  [['--room', 'lobby', '--ttl', ''], SECRET, /--ttl is : it must/],
  [['--room', ''], SECRET, /Name a room/],
  [['--room', 'lobby', '--max', 'x'], SECRET, /its max/],
  [['--room', 'lobby', '--nonsense'], SECRET, /nonsense/],
])('npm run token -- %j names what is wrong', async (args, secret, complaint) => {
  await expect(run([...SCRIPT, ...args], secret)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(complaint),
    stdout: '',
  });
});

test('a server that takes tokens for longer, or not as long, says so by AUTH_TOKEN_SECONDS here, too', async () => {
  const args = (ttl: string): string[] => [...SCRIPT, '--room', 'lobby', '--ttl', ttl];
  expect(await run(args('200000'), SECRET, { AUTH_TOKEN_SECONDS: '604800' })).toMatch(/^ey/);
  await expect(run(args('3600'), SECRET, { AUTH_TOKEN_SECONDS: '600' })).rejects.toMatchObject({ code: 1 });
});

test('.dev.vars.example has nothing in it that could be used', async () => {
  const example = await readFile(new URL('.dev.vars.example', root), 'utf8');
  const values = [...example.matchAll(/^# (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]);
  expect(values.length).toBeGreaterThan(0);
  for (const [, value] of values) expect(value).toBe('""');
});
