/** Real Caddy in front of a server, set up as docs/self-host.md tells. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './listen.ts';
import { runProxy } from './proxy-process.ts';

export interface Caddy {
  url: string;
  /** What its certificate is to be trusted by. */
  ca: Buffer;
  /** An answer's text. */
  ask(path: string, init?: { method?: string; headers?: Record<string, string>; body?: string }): Promise<string>;
  stop(): Promise<void>;
}

/** With a certificate of its own making: no authority gives one to 127.0.0.1. */
export async function startCaddy(serverUrl: string): Promise<Caddy> {
  const document = await readFile(new URL('../../docs/self-host.md', import.meta.url), 'utf8');
  const site = /```\n(signaling\.example\.com \{\n.*?)\n```/s.exec(document)?.[1];
  if (site === undefined) throw new Error('docs/self-host.md has no block for Caddy any more');
  const folder = await mkdtemp(join(tmpdir(), 'p2pcf-ws-caddy-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const options = 'admin off\nauto_https disable_redirects\nlocal_certs\nskip_install_trust';
  const here = site
    .replace('signaling.example.com', `https://${host}`)
    .replace('127.0.0.1:8787', new URL(serverUrl).host);
  await writeFile(join(folder, 'Caddyfile'), `{\n${options}\n}\n${here}\n`);
  const ask =
    (ca: Buffer): Caddy['ask'] =>
    (path, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const asked = request(`https://${host}${path}`, { ca, agent: false, method, headers }, (answer) => {
          answer.setEncoding('utf8');
          let text = '';
          answer.on('data', (part) => (text += part)).once('end', () => resolve(text));
        });
        asked.once('error', reject).end(body);
      });
  const root = join(folder, 'caddy/pki/authorities/local/root.crt');
  const args = ['run', '--config', join(folder, 'Caddyfile')];
  const { proxy, ended } = await runProxy(
    'caddy',
    args,
    { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    async () => {
      const health = readFile(root).then((ca) => ask(ca)('/health'));
      return (await health.catch(() => '')) !== '';
    },
  );
  const ca = await readFile(root);
  return {
    url: `https://${host}`,
    ca,
    ask: ask(ca),
    async stop() {
      proxy.kill('SIGKILL'); // politely, it waits for its WebSockets to end
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
