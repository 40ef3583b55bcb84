/**
 * compose.yaml without an engine, with the .env of docs/self-host.md: the server hands out credentials that coturn has.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { Client } from '../support/client.ts';
import { freePort } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'p2pcf-ws-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Service {
  env_file?: string;
  environment?: Record<string, string>;
  volumes: string[];
  command?: string[];
}

/** The variables that the document's commands put into .env. */
function dotEnv(): Record<string, string> {
  const document = readFileSync(join(root, 'docs/self-host.md'), 'utf8');
  const commands = /^cat > \.env .*?^EOF$/ms.exec(document)?.[0] ?? '';
  execFileSync('sh', ['-e', '-c', commands], { cwd: folder });
  return Object.fromEntries(
    Object.entries(parseEnv(readFileSync(join(folder, '.env'), 'utf8'))).map(([name, value = '']) => [name, value]),
  );
}

const env = dotEnv();
const interpolated = (text: string): string =>
  text.replaceAll(/\$\{(\w+)(:\?[^}]*)?\}/g, (_, name) => env[name] ?? `no ${name}`);
const { services }: { services: Record<'signaling' | 'turn', Service> } = parse(
  readFileSync(join(root, 'compose.yaml'), 'utf8'),
);

test('the server starts with these settings, and gives its pages credentials for this coturn', async () => {
  const { env_file, environment = {} } = services.signaling;
  expect(env_file).toBe('.env');
  const set = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, interpolated(value)]));
  const server = await startWorkerd({ vars: { ...env, ...set } });
  try {
    const place = placeOf(server, { Origin: 'https://app.example.com' });
    const client = await Client.connect(place, newRoom(), 'alice');
    const [{ urls, username, credential }] = Object(await client.next()).iceServers;
    expect(urls).toEqual(['turn:turn.example.com:3478', 'turn:turn.example.com:3478?transport=tcp']);
    const [secret = ''] =
      services.turn.command?.flatMap((flag) => /^--static-auth-secret=(.*)/.exec(flag)?.[1] ?? []) ?? [];
    expect(credential).toBe(createHmac('sha1', interpolated(secret)).update(username).digest('base64'));
    client.close();
  } finally {
    await server.stop();
  }
});

test('coturn takes every option of it and of turnserver.conf', async () => {
  const [mount = ''] = services.turn.volumes;
  const [file = ''] = mount.split(':');
  expect(existsSync(join(root, file)), 'an engine would make a folder of what is missing').toBe(true);
  const port = String(await freePort());
  // On loopback, and on a port that is free: the last one counts.
  const configuration = join(folder, 'turnserver.conf');
  writeFileSync(configuration, readFileSync(join(root, file), 'utf8').replace('3478', port));
  const flags = ['--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', '--pidfile=/dev/null', '--verbose'];
  const command = services.turn.command?.map(interpolated) ?? [];
  const coturn = spawn('turnserver', ['-c', configuration, ...command, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [coturn.stdout, coturn.stderr]) stream.on('data', (text) => (said += text));
  onTestFinished(() => void coturn.kill('SIGKILL'));
  await expect.poll(() => said, WAIT).toContain(`TCP listener opened on : 127.0.0.1:${port}`);
  expect(said).not.toMatch(/unrecognized|unknown|bad configuration|usage:/i);
  expect(said).toContain('Default realm: turn.example.com');
});

test.each([
  ...['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.0.1', '100.64.0.1', 'fd00::1', 'fe80::1'],
  ...['169.254.169.254', '100.100.100.200', '192.0.0.192', '168.63.129.16', 'fd00:ec2::254'], // services of clouds
  ...['fec0::1'], // private, before there was fc00::/7 (RFC 3879)
  ...['::7f00:1', '::ffff:127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1', '2002:7f00:1::'],
])('no client gets to %s through turnserver.conf', (address) => {
  const denied = new BlockList();
  const family = (ip: string): 'ipv6' | 'ipv4' => (isIPv6(ip) ? 'ipv6' : 'ipv4');
  for (const [, first = '', last = first] of readFileSync(join(root, 'turnserver.conf'), 'utf8').matchAll(
    /^denied-peer-ip=([^-\n]+)(?:-(.+))?$/gm,
  ))
    denied.addRange(first, last, family(first));
  expect(denied.check(address, family(address))).toBe(true);
  expect(denied.check('203.0.113.1'), 'and to all others').toBe(false);
  expect(denied.check('2606:4700::1111', 'ipv6')).toBe(false);
});
