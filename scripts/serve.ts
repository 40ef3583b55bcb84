/**
 * `npm run serve`: the server for production on a machine of your own (docs/self-host.md). With `-- --build <folder>` it
 * only writes that folder, for a container, which needs no Node.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer, writeServer } from './workerd.ts';

const { env } = process;
const [HOST, PORT, STORAGE] = [env['HOST'] || '127.0.0.1', env['PORT'] || '8787', env['STORAGE'] || 'storage'];

try {
  const { build } = parseArgs({ options: { build: { type: 'string' } } }).values;
  if (build === undefined) await serve();
  else await writeServer(build, {});
} catch (error) {
  fail(String(Object(error).message));
}

async function serve(): Promise<void> {
  let workerd: ChildProcess | undefined;
  let isToEnd = false;
  // Asked politely, workerd waits for every WebSocket to end and lets nobody in meanwhile (seen for 20 s, 2026-11).
  // Killed, its connections end at once, which clients take as a reason to come back, and what it stored is in SQLite.
  const end = (): void => {
    isToEnd = true;
    if (workerd) workerd.kill('SIGKILL');
    else process.exit(); // which ends a server that is about to listen
  };
  process.on('SIGTERM', end).on('SIGINT', end).on('SIGHUP', end);
  // Read once, by workerd as it starts: several servers may be started from one clone.
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const started = await writeServer(folder, {})
    .then(() => startServer(folder, { HOST, PORT, STORAGE: resolve(STORAGE) }, 'inherit'))
    .finally(() => rm(folder, { recursive: true }));
  workerd = started;
  started.once('exit', (code, signal) => {
    if (!isToEnd) console.error(`workerd ended by itself: ${signal ?? code}.`);
    process.exitCode ||= isToEnd ? 0 : 1;
  });
  const everywhere = ['0.0.0.0', '[::]', '*'];
  const url = `http://${everywhere.includes(HOST) ? '127.0.0.1' : HOST}:${PORT}`;
  const fault = await faultAt(url);
  if (fault === undefined) return console.log(`P2PCF-WS is at ${url}, and stores in ${resolve(STORAGE)}.`);
  fail(fault);
  end();
}

/** For whoever runs it, who needs no stack. */
function fail(reason: string): void {
  console.error(`${reason.trim()}\ndocs/self-host.md says what can be set, and how.`);
  process.exitCode = 1;
}

/** What is wrong with the server at `url`, as far as it can be told; undefined for nothing. */
async function faultAt(url: string): Promise<string | undefined> {
  try {
    const health = await fetch(`${url}/health`);
    return health.ok ? undefined : await health.text();
  } catch (error) {
    return `Nothing answers at ${url}, which HOST and PORT say: ${Object(error).cause ?? error}.`;
  }
}
