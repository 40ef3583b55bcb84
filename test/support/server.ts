/** Starts the signaling server as a process of its own, for tests, benchmarks and `npm run try`. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unstable_readConfig as readConfig } from 'wrangler';
import { freePort } from './listen.ts';

/** The part of wrangler.toml used here; wrangler's own types need packages that it does not bring along. */
interface WranglerConfig {
  compatibility_date: string;
  vars: Record<string, string | number>;
  durable_objects: { bindings: { name: string; class_name: string }[] };
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = join(root, 'node_modules/.bin');

export interface Server {
  /** e.g. `http://127.0.0.1:8787`, no trailing slash. */
  url: string;
  /** The process that holds the sockets, for workerd; npm's, for `npm run dev`. */
  pid: number;
  /** Ends the process and waits until it is gone. Not politely: told to terminate, workerd waits for every socket. */
  stop(): Promise<void>;
}

/** `npm run dev`, as the README says it, on a free port if none is given. Ready when /health answers. */
export async function startDev(port?: number): Promise<Server> {
  port ??= await freePort();
  const child = spawn('npm', ['run', 'dev', '--', '--port', String(port)], {
    cwd: root,
    detached: true, // a group of its own: npm, wrangler and workerd end together
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = collectOutput(child);
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 60_000;
  while (!(await isHealthy(url))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`npm run dev did not start:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url, ...stopper(child, (pid) => process.kill(-pid, 'SIGKILL')) };
}

export interface WorkerdOptions {
  /** The Worker's entry, relative to the repository; src/index.ts if not given. */
  main?: string;
  /** Laid over the [vars] of wrangler.toml. */
  vars?: Record<string, string | number>;
}

/** A server on workerd alone. */
export interface Workerd extends Server {
  /** Kills the process as a crash would and starts it again at the same address, with what it has stored. */
  restart(): Promise<void>;
}

/** Bundles a Worker with wrangler and serves it on workerd alone: no proxy in between, one process, one thread. */
export async function startWorkerd({ main = 'src/index.ts', vars = {} }: WorkerdOptions = {}): Promise<Workerd> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const script = await bundle(main, folder);
  const address = `127.0.0.1:${await freePort()}`;
  const config: WranglerConfig = readConfig({ config: join(root, 'wrangler.toml') });
  const bindings = Object.entries({ ...config.vars, ...vars }).map(
    ([name, value]) => `(name = "${name}", json = ${JSON.stringify(JSON.stringify(value))})`,
  );
  const rooms = config.durable_objects.bindings.map(
    ({ name, class_name }) => `(name = "${name}", durableObjectNamespace = "${class_name}")`,
  );
  const classes = config.durable_objects.bindings.map(
    ({ class_name }) => `(className = "${class_name}", uniqueKey = "${class_name}", enableSql = true)`,
  );
  await mkdir(join(folder, 'storage'));
  await writeFile(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "storage", disk = (path = "${folder}/storage", writable = true)),
  ],
  sockets = [(name = "http", address = "${address}", http = (), service = "main")]
);
const worker :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "${script}")],
  compatibilityDate = "${config.compatibility_date}",
  bindings = [${[...bindings, ...rooms].join(', ')}],
  durableObjectNamespaces = [${classes.join(', ')}],
  durableObjectStorage = (localDisk = "storage"), # in memory it has no SQL (workerd, 2026-11)
);
`,
  );
  let running = await serve(folder);
  return {
    url: `http://${address}`,
    get pid() {
      return running.pid;
    },
    async stop() {
      await running.stop();
      await rm(folder, { recursive: true });
    },
    async restart() {
      await running.stop();
      running = await serve(folder);
    },
  };
}

/** Ready when it listens. */
async function serve(folder: string): Promise<Pick<Server, 'pid' | 'stop'>> {
  // Its install script puts the real binary here, so the pid is workerd's own.
  const child = spawn(join(bin, 'workerd'), ['serve', '--control-fd=3', 'config.capnp'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const output = collectOutput(child);
  if (!(await isListening(child))) throw new Error(`workerd did not start:\n${output()}`);
  return stopper(child, () => child.kill('SIGKILL'));
}

/** Returns the name of the bundle in `folder`. */
async function bundle(main: string, folder: string): Promise<string> {
  await promisify(execFile)(join(bin, 'wrangler'), ['deploy', main, '--dry-run', '--outdir', folder], { cwd: root });
  return basename(main).replace(/\.ts$/, '.js');
}

/** Whether workerd tells on its control pipe that it listens, rather than to end. */
async function isListening(child: ChildProcess): Promise<boolean> {
  const control = child.stdio[3];
  if (!(control instanceof Readable)) throw new Error('workerd was started without a control pipe');
  for await (const line of createInterface({ input: control })) {
    const { event }: { event?: string } = JSON.parse(line);
    if (event === 'listen') return true;
  }
  return false;
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

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false; // nothing listens there yet
  }
}
