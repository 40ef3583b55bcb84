import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import worker from '../../src/index.ts';

test.each([
  ['MAX_PEERS_PER_ROOM', 0],
  ['MAX_PEERS_PER_ROOM', -5],
  ['MAX_PEERS_PER_ROOM', 'lots'],
  ['MAX_PEERS_PER_ROOM', 100_000],
  ['MAX_PEERS_PER_ROOM', undefined],
  ['MAX_MESSAGE_BYTES', 0],
  ['MAX_MESSAGE_BYTES', '64k'],
  ['MAX_MESSAGE_BYTES', 1e9],
  ['MAX_MESSAGE_BYTES', ''],
  ['MESSAGES_PER_SECOND', -1],
  ['MESSAGES_PER_SECOND', 1.5],
  ['MESSAGES_PER_SECOND', Number.NaN],
  ['MESSAGES_PER_SECOND', true],
  ['MESSAGES_PER_SECOND', null],
  ['RESUME_GRACE_SECONDS', -1],
  ['RESUME_GRACE_SECONDS', undefined],
  ['GHOST_AFTER_SECONDS', 0],
])('with %s = %j every request gets 500 and a sentence that names it', async (name, value) => {
  for (const path of ['/', '/health', '/nothing', '/ws/room/lobby']) {
    const response = await worker.fetch(new Request(`http://p2pcf-ws.test${path}`), { ...env, [name]: value });
    expect(response.status).toBe(500);
    expect(await response.text()).toMatch(new RegExp(`^The setting ${name} is .*wrangler\\.toml.*\\.\n$`));
  }
});

test.each([
  ['MAX_PEERS_PER_ROOM', '50'],
  ['MAX_MESSAGE_BYTES', 1_048_576],
  ['MESSAGES_PER_SECOND', 0],
])('%s = %j is fine', async (name, value) => {
  const response = await worker.fetch(new Request('http://p2pcf-ws.test/health'), { ...env, [name]: value });
  expect(response.status).toBe(200);
});
