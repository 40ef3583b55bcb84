/**
 * `npm run serve`: the server for production on a machine of your own (docs/self-host.md). With `-- --build <folder>` it
 * only writes that folder, for a container, which needs no Node.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer, writeServer } from './workerd.ts';

const { HOST = '127.0.0.1', PORT = '8787', STORAGE = 'storage' } = process.env;

const { build } = parseArgs({ options: { build: { type: 'string' } } }).values;
if (build === undefined) await serve();
else await writeServer(build, {});

async function serve(): Promise<void> {
  // Read once, by workerd as it starts: several servers may be started from one clone.
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  await writeServer(folder, {});
  const workerd = await startServer(folder, { HOST, PORT, STORAGE: resolve(STORAGE) }, 'inherit').finally(() =>
    rm(folder, { recursive: true }),
  );
  // Asked politely, workerd waits for every WebSocket to end and lets nobody in meanwhile (seen for 20 s, 2026-11).
  // Killed, its connections end at once, which clients take as a reason to come back, and what it stored is in SQLite.
  let isToEnd = false;
  const end = (): void => {
    isToEnd = true;
    workerd.kill('SIGKILL');
  };
  process.on('SIGTERM', end).on('SIGINT', end);
  workerd.once('exit', (code, signal) => {
    if (!isToEnd) console.error(`workerd ended by itself: ${signal ?? code}.`);
    process.exitCode ||= isToEnd ? 0 : 1;
  });
  const everywhere = ['0.0.0.0', '[::]', '*'];
  const url = `http://${everywhere.includes(HOST) ? '127.0.0.1' : HOST}:${PORT}`;
  const health = await fetch(`${url}/health`);
  if (health.ok) return console.log(`P2PCF-WS is at ${url}, and stores in ${resolve(STORAGE)}.`);
  console.error(await health.text());
  process.exitCode = 1;
  end();
}
