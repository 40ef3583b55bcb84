/** Each stack's signaling server, as a process of its own on a free port of this machine. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startCoturn } from '../../test/support/coturn.ts';
import { freePort } from '../../test/support/listen.ts';
import { startWorkerd } from '../../test/support/server.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const wrangler = join(here, '../../node_modules/.bin/wrangler');

export interface SignalingServer {
  /** e.g. `http://127.0.0.1:8787`, no trailing slash. */
  url: string;
  stop(): Promise<void>;
}

export const startOurs = (): Promise<SignalingServer> => startWorkerd();

/** Every page of that origin is given credentials for a TURN server, coturn, which is here, too. */
export async function startOursWithTurn(origin: string): Promise<SignalingServer> {
  const coturn = await startCoturn();
  const turn = { TURN_OPEN: 'true', TURN_URLS: `turn:${coturn.address}`, TURN_SECRET: coturn.secret };
  const { url, stop } = await startWorkerd({ vars: { ALLOWED_ORIGINS: origin, ...turn } });
  return {
    url,
    async stop() {
      await stop();
      await coturn.stop();
    },
  };
}

export const startBareRelay = (): Promise<SignalingServer> => startWorkerd({ main: 'bench/bare-relay.ts' });

export const startPeerJs = (): Promise<SignalingServer> =>
  startProcess((port) => [
    process.execPath,
    'node_modules/peer/dist/bin/peerjs.js',
    '--host=127.0.0.1',
    `--port=${port}`,
  ]);

export const startSocketIo = (): Promise<SignalingServer> =>
  startProcess(() => [process.execPath, 'servers/socket-io.ts']);

export const startYWebrtc = (): Promise<SignalingServer> =>
  startProcess(() => [process.execPath, 'servers/y-webrtc.ts']);

export async function startP2pcf(): Promise<SignalingServer> {
  const bucket = await mkdtemp(join(tmpdir(), 'p2pcf-'));
  const { url, stop } = await startProcess((port) => [
    ...[wrangler, 'dev', '--config=servers/p2pcf.toml', `--persist-to=${bucket}`],
    ...['--ip=127.0.0.1', `--port=${port}`, '--inspector-port=0', '--show-interactive-dev-session=false'],
  ]);
  return {
    url,
    async stop() {
      await stop();
      await rm(bucket, { recursive: true });
    },
  };
}

/** Runs a command that serves HTTP on the port it is given, also as PORT in its environment. Ready when it answers. */
async function startProcess(command: (port: number) => string[]): Promise<SignalingServer> {
  const port = await freePort();
  const [program = '', ...args] = command(port);
  const child = spawn(program, args, {
    cwd: here,
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill(); // politely: wrangler has a process of its own to end
    await exited;
  };
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 60_000;
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`${args.join(' ')} did not start:\n${output}`);
    }
    await sleep(100);
  }
  return { url, stop };
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url);
    return true;
  } catch {
    return false; // nothing listens there yet
  }
}
