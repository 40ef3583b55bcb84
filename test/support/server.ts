/** Starts the signaling server as a process of its own, for tests, benchmarks and `npm run try`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer, type WorkerdOptions, writeServer } from '../../scripts/workerd.ts';
import { freePort } from './listen.ts';
import { commandAt, type Spot } from './nat.ts';
import { WAIT } from './wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Server {
  /** e.g. `http://127.0.0.1:8787`, no trailing slash. */
  url: string;
  /** The process that holds the sockets, for workerd; npm's, for `npm run dev`. */
  pid: number;
  /** Ends the process and waits until it is gone. Not politely: scripts/serve.ts says why. */
  stop(): Promise<void>;
}

/**
 * wrangler finds itself a port for what is behind its own, and another may take that first: then it has to be begun
 * again.
 */
const TAKEN = 'Address already in use';
const TRIES = 5;

/** `npm run dev`, as the README says it, on a free port if none is given. Ready when /health answers. */
export async function startDev(
  { port, config }: { port?: number; config?: string } = {},
  tries = TRIES,
): Promise<Server> {
  const listening = port ?? (await freePort());
  const options = ['--port', String(listening), ...(config ? ['--config', config] : [])];
  const child = spawn('npm', ['run', 'dev', '--', ...options], {
    cwd: root,
    detached: true, // a group of its own: npm, wrangler and workerd end together
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = collectOutput(child);
  const url = `http://127.0.0.1:${listening}`;
  const server = { url, ...stopper(child, (pid) => process.kill(-pid, 'SIGKILL')) };
  const deadline = Date.now() + WAIT.timeout;
  for (;;) {
    const health = await healthAt(url);
    if (health === 'OK') return server;
    const isTaken = output().includes(TAKEN);
    if (isTaken || health || child.exitCode !== null || Date.now() > deadline) {
      await server.stop();
      if (isTaken && tries > 1) return startDev({ ...(port && { port }), ...(config && { config }) }, tries - 1);
      throw new Error(`npm run dev did not start:\n${health || output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A server on workerd alone. */
export interface Workerd extends Server {
  /** Kills the process as a crash would and starts it again at the same address, with what it has stored. */
  restart(): Promise<void>;
  /** What it has logged since it was started. */
  log(): string;
}

/** A Worker on workerd alone: no proxy in between, one process, one thread; `at`: elsewhere than on our loopback. */
export async function startWorkerd({ at, ...options }: WorkerdOptions & { at?: Spot } = {}): Promise<Workerd> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  await writeServer(folder, options);
  const address = { HOST: at?.address ?? '127.0.0.1', PORT: String(await freePort()) };
  const serve = async (): Promise<Pick<Workerd, 'pid' | 'stop' | 'log'>> => {
    const child = await startServer(folder, { ...address, STORAGE: join(folder, 'storage') }, 'pipe', (command) =>
      commandAt(at, command),
    );
    return { ...stopper(child, () => child.kill('SIGKILL')), log: collectOutput(child) };
  };
  let running = await serve();
  return {
    url: `http://${address.HOST}:${address.PORT}`,
    get pid() {
      return running.pid;
    },
    async stop() {
      await running.stop();
      await rm(folder, { recursive: true });
    },
    async restart() {
      await running.stop();
      running = await serve();
    },
    log: () => running.log(),
  };
}

function stopper(child: ChildProcess, kill: (pid: number) => void): Pick<Server, 'pid' | 'stop'> {
  const pid = child.pid;
  if (pid === undefined) throw new Error('the server process did not start');
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) kill(pid);
    await exited;
  };
  return { pid, stop };
}

function collectOutput(child: ChildProcess): () => string {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  return () => output;
}

/** What the Worker answers: OK, or which setting makes no sense. Empty as long as it is not there. */
async function healthAt(url: string): Promise<string> {
  try {
    const health = await fetch(`${url}/health`);
    return health.headers.has('X-Content-Type-Options') ? (await health.text()).trim() : '';
  } catch {
    return ''; // nothing listens there yet
  }
}
