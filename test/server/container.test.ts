/**
 * The Dockerfile, step by step, without an engine: its stages are folders, and absolute paths are below them. `npm ci`
 * is not run again: what it has made is there already.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { freePort } from '../support/listen.ts';
import { newRoom } from '../support/new-room.ts';
import { meet } from '../support/two-peers.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'p2pcf-ws-'));
let running: ChildProcess | undefined;
afterAll(() => {
  running?.kill('SIGKILL');
  rmSync(scratch, { recursive: true });
});

/** What a stage has come to. */
interface Stage {
  folder: string;
  workdir: string;
  env: Record<string, string>;
  user?: number;
  health: string[];
  entrypoint: string[];
  stopSignal: NodeJS.Signals;
}

function newStage(name: string): Stage {
  const folder = join(scratch, name);
  mkdirSync(folder);
  chmodSync(folder, 0o755); // for a user that is not us
  return { folder, workdir: '/', env: {}, health: [], entrypoint: [], stopSignal: 'SIGTERM' };
}

/** What is copied from the repository: what git has or would take. */
function copyRepository(to: string): void {
  const files = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  for (const file of files.split('\0').filter((name) => name && existsSync(join(root, name))))
    cpSync(join(root, file), join(to, file), { recursive: true });
}

function build(dockerfile: string): Stage {
  const stages = new Map<string, Stage>();
  let stage = newStage('none');
  for (const line of dockerfile.split('\n').filter((text) => text && !text.startsWith('#'))) {
    const [instruction = '', ...words] = line.split(' ');
    const rest = words.join(' ');
    const cwd = join(stage.folder, stage.workdir);
    switch (instruction) {
      case 'FROM': {
        const name = words[2] ?? 'last';
        stage = newStage(name);
        stages.set(name, stage);
        break;
      }
      case 'WORKDIR':
        stage.workdir = rest;
        mkdirSync(join(stage.folder, rest), { recursive: true });
        break;
      case 'COPY':
        copy(words, stage, stages);
        break;
      case 'RUN':
        if (rest === 'npm ci') symlinkSync(join(root, 'node_modules'), join(cwd, 'node_modules'));
        else execFileSync('sh', ['-c', rest], { cwd, stdio: 'pipe' });
        break;
      case 'ENV': {
        const [name = '', value = ''] = rest.split('=');
        stage.env[name] = value;
        break;
      }
      case 'USER':
        stage.user = Number(rest.split(':')[0]);
        break;
      case 'STOPSIGNAL':
        expect(rest).toMatch(/^SIG(KILL|TERM|INT)$/);
        stage.stopSignal = rest === 'SIGKILL' ? 'SIGKILL' : rest === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
        break;
      case 'HEALTHCHECK':
        stage.health = JSON.parse(rest.replace(/^CMD /, ''));
        break;
      case 'ENTRYPOINT':
        stage.entrypoint = JSON.parse(rest);
        break;
      case 'VOLUME':
        expect(existsSync(join(stage.folder, rest)), 'a volume takes its owner from the folder').toBe(true);
        break;
      case 'EXPOSE':
        expect(rest).toBe(stage.env['PORT']);
        break;
      default:
        throw new Error(`This test does not know ${instruction}`);
    }
  }
  return stage;
}

function copy(words: string[], stage: Stage, stages: Map<string, Stage>): void {
  const option = (name: string): string | undefined =>
    words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const [from = '', to = ''] = words.filter((word) => !word.startsWith('--'));
  const source = option('from');
  if (source === undefined) {
    expect([from, to]).toEqual(['.', '.']);
    copyRepository(join(stage.folder, stage.workdir));
    return;
  }
  const made = join(stages.get(source)?.folder ?? '', from);
  const target = join(stage.folder, to);
  mkdirSync(dirname(target), { recursive: true });
  // What no step has made comes with the image: this machine's will do.
  cpSync(existsSync(made) ? made : from, target, { recursive: true, dereference: true });
  const owner = Number(option('chown')?.split(':')[0] ?? Number.NaN);
  if (owner && process.getuid?.() === 0) chownSync(target, owner, owner);
}

test('it builds, runs as nobody with workerd alone, says that it is well, and lets two peers meet', async () => {
  chmodSync(scratch, 0o755);
  const { folder, workdir, env, user, health, entrypoint, stopSignal } = build(
    readFileSync(join(root, 'Dockerfile'), 'utf8'),
  );
  const below = (text: string): string => text.replace(/^\/app\b/, `${folder}/app`);
  const port = await freePort();
  const options = {
    cwd: join(folder, workdir),
    // No Node on the PATH, nor anything else but what a bare system has.
    env: {
      ...env,
      PATH: `${folder}/usr/local/bin:/usr/bin:/bin`,
      PORT: String(port),
      STORAGE: below(env['STORAGE'] ?? ''),
    },
    ...(process.getuid?.() === 0 && { uid: user, gid: user }),
  };
  const isHealthy = (): boolean => {
    try {
      execFileSync(health[0] ?? '', health.slice(1), { ...options, stdio: 'pipe' });
      return true;
    } catch {
      return false;
    }
  };
  const start = (settings: Record<string, string>): ChildProcess => {
    const [command = '', ...args] = entrypoint.map(below);
    running = spawn(command, args, { ...options, env: { ...options.env, ...settings }, stdio: 'inherit' });
    return running;
  };
  const stop = (container: ChildProcess): Promise<void> => {
    const ended = new Promise<void>((resolve) => container.once('exit', () => resolve()));
    container.kill(stopSignal);
    return ended;
  };
  expect(isHealthy(), 'before it runs').toBe(false);
  const container = start({});
  await expect.poll(isHealthy, WAIT).toBe(true);
  const bytes = new Uint8Array(1000).fill(7);
  await meet(`http://127.0.0.1:${port}`, newRoom(), bytes);
  await stop(container);

  const misset = start({ MAX_PEERS_PER_ROOM: 'many' });
  const status = (): Promise<number> =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.status,
      () => 0,
    );
  await expect.poll(status, WAIT).toBe(500);
  expect(isHealthy(), 'with a setting that makes no sense').toBe(false);
  await stop(misset);
});
