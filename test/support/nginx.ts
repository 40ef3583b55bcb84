/** Real nginx in front of a server, set up as README.md tells. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './listen.ts';
import type { Server } from './server.ts';

/** The server is below the address that this returns, which has README's prefix in it. */
export async function startNginx(server: Server): Promise<Pick<Server, 'url' | 'stop'>> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const location = /```nginx\n(location (\S+?)\/ \{.*?\n\})\n```/s.exec(readme);
  if (!location?.[1]) throw new Error('README.md has no location for nginx any more');
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`);
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; error_log stderr; pid ${folder}/pid;
events {}
http {
  access_log off; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port};
    ${location[1].replace('http://127.0.0.1:8787', server.url)}
  }
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
  const url = `http://127.0.0.1:${port}${location[2]}`;
  const isUp = (): Promise<boolean> =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  const isDown = ended.then(() => true);
  while (!(await isUp())) {
    const pause = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50));
    if (await Promise.race([isDown, pause])) throw new Error(`nginx did not start:\n${errors}`);
  }
  return {
    url,
    async stop() {
      nginx.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
