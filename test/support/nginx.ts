/** Real nginx in front of servers, set up as the documents tell. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './listen.ts';
import type { Server } from './server.ts';

export interface Nginx {
  /** Reads its configuration again and ends the connections that it has. */
  reload(): void;
  stop(): Promise<void>;
}

/** The block that a document has for nginx. */
export async function nginxBlock(document: string): Promise<string> {
  const text = await readFile(new URL(`../../${document}`, import.meta.url), 'utf8');
  const block = /```nginx\n(.*?)\n```/s.exec(text)?.[1];
  if (block === undefined) throw new Error(`${document} has no block for nginx any more`);
  return block;
}

/** Runs nginx with `http` in its http block. Ready when `isUp` says so. */
export async function runNginx(http: string, isUp: () => Promise<boolean>): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`);
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; error_log stderr; pid ${folder}/pid; worker_shutdown_timeout 1s; ${user}
events {}
http {
  access_log off; ${temporary.join(' ')}
  ${http}
}`,
  );
  const nginx = spawn('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], {
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  nginx.stderr.on('data', (text) => (errors += text));
  const ended = new Promise<void>((resolve, reject) => {
    nginx.once('exit', () => resolve());
    nginx.once('error', () => reject(new Error('No nginx found. Run: apt-get install nginx.')));
  });
  const isDown = ended.then(() => true);
  while (!(await isUp())) {
    const pause = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50));
    if (await Promise.race([isDown, pause])) throw new Error(`nginx did not start:\n${errors}`);
  }
  return {
    reload: () => void nginx.kill('SIGHUP'),
    async stop() {
      nginx.kill('SIGTERM'); // not SIGKILL, which would leave its workers behind
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

/** The server is below the address that this returns, which has README's prefix in it. */
export async function startNginx(server: Server): Promise<Pick<Server, 'url' | 'stop'>> {
  const location = await nginxBlock('README.md');
  const prefix = /^location (\S+?)\/ \{/.exec(location)?.[1];
  const port = await freePort();
  const url = `http://127.0.0.1:${port}${prefix}`;
  const { stop } = await runNginx(
    `server { listen 127.0.0.1:${port}; ${location.replace('http://127.0.0.1:8787', server.url)} }`,
    () =>
      fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
  );
  return { url, stop };
}
