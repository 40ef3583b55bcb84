/** Wrangler and the Worker with everything set that wrangler.toml and .dev.vars.example name. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unstable_readConfig } from 'wrangler';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { placeOf } from '../support/place.ts';
import { signToken } from '../support/room-token.ts';
import { startDev } from '../support/server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8');
const SECRET = randomBytes(32).toString('base64');

async function publicKey(): Promise<string> {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  return JSON.stringify({ ...(await exportJWK(publicKey)), alg: 'ES256' });
}

let folder: string;
let config: string;
beforeAll(async () => {
  await mkdir(join(root, '.wrangler'), { recursive: true });
  folder = await mkdtemp(join(root, '.wrangler', 'configured-'));
  config = join(folder, 'wrangler.toml');
  const up = relative(folder, root);
  const toml = await read('wrangler.toml');
  await writeFile(
    config,
    toml
      .replaceAll(/^# (\[\[.*|\w+ = .*)$/gm, '$1') // what stands there as a comment
      .replace('main = "', `main = "${up}/`)
      .replace('directory = "', `directory = "${up}/`)
      .replace('ALLOWED_ORIGINS = ""', 'ALLOWED_ORIGINS = "https://*.example.com"')
      .replace('TRUSTED_ADDRESS_HEADER = ""', 'TRUSTED_ADDRESS_HEADER = "X-Real-IP"'),
  );
  const secrets = await read('.dev.vars.example');
  await writeFile(
    join(folder, '.dev.vars'),
    [
      secrets
        .replaceAll(/^# (?=\w+=)/gm, '')
        .replace('TURN_URLS=""', 'TURN_URLS="turn:turn.example.com"')
        .replaceAll('=""', `="${SECRET}"`),
      // What README.md names beside these, and stands in neither file.
      `AUTH_PUBLIC_JWK=${await publicKey()}`,
      `AUTH_PUBLIC_JWK_2=${await publicKey()}`,
      'AUTH_TOKEN_SECONDS=3600',
      'TURN_SECONDS=7200',
      'TURN_OPEN=true',
      'ICE_SERVERS=[{"urls":"stun:stun.example.com"}]',
    ].join('\n'),
  );
});
afterAll(() => rm(folder, { recursive: true }));

test('it can be deployed, with the bindings that stand in wrangler.toml as comments', async () => {
  const args = ['deploy', '--dry-run', '--config', config, '--outdir', join(folder, 'out')];
  const { stdout } = await promisify(execFile)('npx', ['wrangler', ...args], { cwd: root });
  for (const binding of ['JOIN_LIMITER', 'POLL_LIMITER', 'EVENTS', 'SIGNALING_ROOM'])
    expect(stdout).toContain(`env.${binding}`);
});

test('npm run dev lets in who has a token and the origin, and gives TURN credentials', async () => {
  const server = await startDev({ config });
  try {
    const roomId = newRoom();
    const token = await signToken({ rooms: [roomId], sub: 'alice' }, SECRET);
    const enter = async (origin: string, query: Record<string, string> = {}): Promise<unknown> => {
      const client = await Client.connect(placeOf(server, { Origin: origin }), roomId, 'alice', query);
      return await Promise.race([client.next(), client.closed]);
    };
    expect(await enter('https://other.example', { token })).toMatchObject({ code: 4403 });
    expect(await enter('https://app.example.com')).toMatchObject({ code: 4401 });
    expect(await enter('https://app.example.com', { token })).toMatchObject({
      yourId: 'alice',
      iceServers: [{ urls: 'stun:stun.example.com' }, { urls: ['turn:turn.example.com'] }],
      iceServersSeconds: 7200,
    });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  } finally {
    await server.stop();
  }
});

test('errors are logged, and no URL of a request: its query may hold a token', () => {
  const { observability } = unstable_readConfig({ config: join(root, 'wrangler.toml') });
  expect(observability).toEqual({
    enabled: true,
    head_sampling_rate: 1,
    redact_query_string: true,
    logs: { enabled: true, invocation_logs: false },
    traces: { enabled: false },
  });
});

test('a secret in .dev.vars that cannot be is said at once by what starts npm run dev, as npm run try does', async () => {
  await writeFile(join(folder, '.dev.vars'), 'AUTH_SECRET=short');
  await expect(startDev({ config })).rejects.toThrow('The secret AUTH_SECRET is too short');
});
