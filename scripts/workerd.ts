/**
 * The Worker on workerd alone, with no proxy of Wrangler's in between: a folder that `npm run serve`, the container,
 * tests and benchmarks start, all by the same script.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unstable_readConfig as readConfig } from 'wrangler';
import manifest from '../package.json' with { type: 'json' };
import type { Settings } from '../src/worker/settings.ts';

/** The part of wrangler.toml used here; wrangler's own types need packages that it does not bring along. */
interface WranglerConfig {
  compatibility_date: string;
  compatibility_flags: string[];
  /** Text, a number, or what else TOML has: a list of ICE servers. */
  vars: Values;
  durable_objects: { bindings: { name: string; class_name: string }[] };
}

type Values = Record<string, unknown>;

/** What is Cloudflare's own, and left out here. */
type OnCloudflare = 'JOIN_LIMITER' | 'POLL_LIMITER' | 'EVENTS';

/** What may be set: each of it is described where Cloudflare's Deploy button looks for that. */
const described: Record<Exclude<keyof Settings, OnCloudflare>, { description: string }> = manifest.cloudflare.bindings;

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules/.bin');

export interface WorkerdOptions {
  /** The Worker's entry, relative to the repository; the one with the demo if not given. */
  main?: string;
  /** Laid over the [vars] of wrangler.toml. */
  vars?: Values;
  /** `host:port` of a server that gets all requests of the Worker, in plain HTTP, whatever their address. */
  outbound?: string;
}

/**
 * Bundles a Worker with Wrangler and writes what workerd needs to serve it. `start` in that folder runs it: with HOST,
 * PORT, STORAGE and the settings from its environment, where they are set, and its arguments handed to workerd.
 */
export async function writeServer(
  folder: string,
  { main = 'scripts/with-demo.ts', vars = {}, outbound }: WorkerdOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await promisify(execFile)(join(bin, 'wrangler'), ['deploy', main, '--dry-run', '--outdir', folder], { cwd: root });
  const config: WranglerConfig = readConfig({ config: join(root, 'wrangler.toml') });
  // What is set by no one is the empty text, which means "not set": workerd would make null of a missing variable.
  const unset = Object.fromEntries(Object.keys(described).map((name) => [name, '']));
  const settings = { ...unset, ...config.vars, ...vars };
  const script = basename(main).replace(/\.ts$/, '.js');
  await writeFile(join(folder, 'demo.json'), JSON.stringify(await builtDemo()));
  await writeFile(join(folder, 'config.capnp'), capnp(config, script, Object.keys(settings), outbound));
  await writeFile(join(folder, 'start'), startScript(settings));
  await chmod(join(folder, 'start'), 0o755);
}

/** The demo's files as Wrangler has had them built, with the headers of demo/_headers, by their paths in URLs. */
async function builtDemo(): Promise<Record<string, { headers: Record<string, string>; body: string }>> {
  const lines = (await readFile(join(root, 'public/_headers'), 'utf8')).matchAll(/^ +([\w-]+): (.*)$/gm);
  const common = Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
  const served = async (file: string, type: string): Promise<{ headers: Record<string, string>; body: string }> => ({
    headers: { ...common, 'Content-Type': `${type}; charset=utf-8` },
    body: await readFile(join(root, 'public/demo', file), 'utf8'),
  });
  return {
    '/demo/': await served('index.html', 'text/html'),
    '/demo/demo.js': await served('demo.js', 'text/javascript'),
    '/demo/style.css': await served('style.css', 'text/css'),
  };
}

function capnp(
  { compatibility_date, compatibility_flags, durable_objects }: WranglerConfig,
  script: string,
  settings: string[],
  outbound?: string,
): string {
  const { bindings } = durable_objects;
  const demo = '(name = "DEMO", json = embed "demo.json")';
  const fromEnvironment = settings.map((name) => `(name = "${name}", fromEnvironment = "${name}")`);
  const rooms = bindings.map(({ name, class_name }) => `(name = "${name}", durableObjectNamespace = "${class_name}")`);
  const classes = bindings.map(
    ({ class_name }) => `(className = "${class_name}", uniqueKey = "${class_name}", enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "storage", disk = (writable = true)),
    ${outbound ? `(name = "outbound", external = (address = "${outbound}", http = ())),` : ''}
  ],
  sockets = [(name = "http", http = (), service = "main")]
);
const worker :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "${script}")],
  compatibilityDate = "${compatibility_date}",
  compatibilityFlags = ${JSON.stringify(compatibility_flags)},
  bindings = [${[demo, ...fromEnvironment, ...rooms].join(', ')}],
  durableObjectNamespaces = [${classes.join(', ')}],
  ${outbound ? 'globalOutbound = "outbound",' : ''}
  durableObjectStorage = (localDisk = "storage"), # in memory it has no SQL (workerd, 2026-11)
);
`;
}

function startScript(settings: Values): string {
  const exported = Object.entries(settings).map(
    ([name, value]) => `[ -n "$${name}" ] || ${name}=${quoted(asText(value))}; export ${name}`,
  );
  return `#!/bin/sh
set -e
${exported.join('\n')}
fail() { echo "$1" >&2; exit 1; }
HOST="\${HOST:-127.0.0.1}"
case "$HOST" in
  \\[*\\]) ;;
  *[:/]*) fail "HOST is '$HOST': it must be an address alone, IPv6 in brackets, such as 127.0.0.1 or [::1]. The port is PORT.";;
esac
PORT="\${PORT:-8787}"
case "$PORT" in *[!0-9]*) fail "PORT is '$PORT': it must be a number, such as 8787.";; esac
STORAGE="\${STORAGE:-storage}"
# What is stored has the secrets by which clients come back to their places: for no other user of the machine.
umask 077
mkdir -p "$STORAGE" && [ -z "$(find "$STORAGE" -type d ! -exec test -w {} \\; -print)" ] ||
  fail "STORAGE is '$STORAGE': it must be a folder that the user $(id -u) may write into."
# Each room that was ever awake leaves a file, of one page if nothing is stored (workerd, 2026-11): they fill the disk.
find "$STORAGE" -name '*.sqlite' -size 4096c -exec sh -c '
  for file do [ -s "$file-wal" ] || printf "%s\\0" "$file" "$file-wal" "$file-shm"; done' sh {} + | xargs -0 rm -f || :
exec workerd serve "$(dirname "$0")/config.capnp" \\
  --socket-addr "http=$HOST:$PORT" --directory-path "storage=$STORAGE" "$@"
`;
}

/** As the Worker reads it from an environment, which has nothing but text. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** One word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * Starts what writeServer has written, with this environment beside our own; `within` may put a command before it.
 * Resolves when it listens; rejects with Error if it ends instead. The pid is that of workerd itself. It ends with us,
 * unless we are killed.
 */
export async function startServer(
  folder: string,
  env: Record<string, string>,
  output: 'inherit' | 'pipe',
  within: (command: [string, ...string[]]) => [string, ...string[]] = (command) => command,
): Promise<ChildProcess> {
  const [command, ...parameters] = within([join(folder, 'start'), '--control-fd=3']);
  const child = spawn(command, parameters, {
    // workerd's install script puts the real binary into bin, so it takes the place of the shell.
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, ...env },
    stdio: ['ignore', output, output, 'pipe'],
  });
  const end = (): boolean => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += chunk));
  if (!(await isListening(child))) throw new Error(`workerd did not start. ${said}`);
  return child;
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
