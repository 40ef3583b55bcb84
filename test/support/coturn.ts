/** A real STUN and TURN server: coturn, as Debian has it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './listen.ts';
import { commandAt, type Spot } from './nat.ts';
import { WAIT } from './wait.ts';

const PLACES = [process.env['TURNSERVER'], '/usr/bin/turnserver', '/usr/local/bin/turnserver'];

export interface Coturn {
  /** e.g. `127.0.0.1:3478`, for UDP. */
  readonly address: string;
  /** The secret by which it knows credentials. */
  readonly secret: string;
  /** What it has logged so far. */
  log(): string;
  stop(): Promise<void>;
}

/** Rejects with what to do if there is no coturn. */
export async function startCoturn({ at, flags = [] }: { at?: Spot; flags?: string[] } = {}): Promise<Coturn> {
  const turnserver = PLACES.find((path) => path !== undefined && existsSync(path));
  if (!turnserver) {
    throw new Error('No coturn found. Run: apt-get install coturn. Or set TURNSERVER to the path of its turnserver.');
  }
  const ip = at?.address ?? '127.0.0.1';
  const port = await freePort();
  const secret = crypto.randomUUID();
  const [command, ...parameters] = commandAt(at, [
    turnserver,
    '-n', // no configuration file
    ...['--listening-ip', ip, '--relay-ip', ip, '--listening-port', String(port)],
    ...['--use-auth-secret', '--static-auth-secret', secret, '--realm', 'test'],
    ...['--no-cli', '--no-tls', '--no-dtls', '--no-rfc5780', '--allow-loopback-peers', '--verbose'],
    ...['--log-file', 'stdout', '--pidfile', '/dev/null', '--relay-threads', '1'],
    ...flags,
  ]);
  const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const deadline = Date.now() + WAIT.timeout;
  // The last of its listeners.
  while (!log.includes('TCP listener opened on')) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`coturn did not start:\n${log}`);
    await delay(WAIT.interval);
  }
  return {
    address: `${ip}:${port}`,
    secret,
    log: () => log,
    async stop() {
      if (child.exitCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}
