/** Real nginx in front of servers, set up as the documents tell. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './listen.ts';
import { runProxy } from './proxy-process.ts';
import type { Server } from './server.ts';

interface Nginx {
  /** Reads its configuration again and ends the connections that it has. */
  reload(): void;
  stop(): Promise<void>;
}

/** The block that a document has for nginx. */
async function nginxBlock(document: string): Promise<string> {
  const text = await readFile(new URL(`../../${document}`, import.meta.url), 'utf8');
  const block = /```nginx\n(.*?)\n```/s.exec(text)?.[1];
  if (block === undefined) throw new Error(`${document} has no block for nginx any more`);
  return block;
}

/** Runs nginx with `http` in its http block. Ready when `isUp` says so. */
async function runNginx(http: string, isUp: () => Promise<boolean>): Promise<Nginx> {
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
  const args = ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')];
  const path = `${process.env['PATH']}:/usr/sbin`;
  const { proxy: nginx, ended } = await runProxy('nginx', args, { PATH: path }, isUp);
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
  const prefix = /^location (\S+?)\/ \{/m.exec(location)?.[1];
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

export interface TlsNginx extends Nginx {
  url: string;
  /** What its certificate is to be trusted by. */
  ca: Buffer;
}

/** nginx with TLS over these servers, as docs/self-host.md has it. */
export async function startTlsNginx(first: Server, second: Server): Promise<TlsNginx> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-'));
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync('openssl', ['req', '-x509', '-nodes', ...ec, ...files, ...subject], { stdio: 'pipe' });
  const ca = await readFile(certificate);
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const block = (await nginxBlock('docs/self-host.md'))
    .replace('127.0.0.1:8787', new URL(first.url).host)
    .replace('127.0.0.1:8788', new URL(second.url).host)
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('/etc/ssl/signaling.example.com.pem', certificate)
    .replace('/etc/ssl/signaling.example.com.key', key);
  const isUp = (): Promise<boolean> =>
    new Promise((resolve) => {
      get(`${url}/health`, { ca, agent: false }, ({ statusCode }) => resolve(statusCode === 200)).on('error', () =>
        resolve(false),
      );
    });
  const { reload, stop } = await runNginx(block, isUp);
  return {
    url,
    ca,
    reload,
    async stop() {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}
