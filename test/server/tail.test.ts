/** `npm run tail`: what the real wrangler prints of a join. The API that hands it the log is a stand-in's. */
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { SignalingClient } from '../../src/client/signaling.ts';
import { listen } from '../support/listen.ts';
import { WAIT } from '../support/wait.ts';

const ROOT = new URL('../..', import.meta.url);
const SECRETS = ['the-room-token', 'the metadata'];
const written = (secret: string): string[] => [secret, btoa(secret), btoa(JSON.stringify(secret))].map(unpadded);
const unpadded = (base64: string): string => base64.replace(/=+$/, '');

let api: Server;
let apiUrl: string;
const asked: string[] = [];
const tails: WebSocket[] = [];
const joins: IncomingMessage[] = [];

beforeAll(async () => {
  api = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    const result = { id: 'tail', url: `${apiUrl.replace('http', 'ws')}/the-tail`, expires_at: '2099-01-01T00:00:00Z' };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ success: true, errors: [], messages: [], result }));
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: ([first = '']) => first });
  api.on('upgrade', (request, socket, head) => {
    if (request.url !== '/the-tail') joins.push(request);
    sockets.handleUpgrade(request, socket, head, (ws) => {
      if (request.url !== '/the-tail') return;
      ws.pause(); // wrangler's first frame is not masked, which `ws` takes for a fault
      tails.push(ws);
    });
  });
  apiUrl = `http://127.0.0.1:${await listen(api)}`;
});
afterAll(() => {
  api.closeAllConnections();
  api.close();
});

/** A join of the library, as the log of Cloudflare has it: every header, but those whose names tell of secrets. */
async function loggedJoin(): Promise<string> {
  const [token = '', metadata] = SECRETS;
  const client = new SignalingClient({ workerUrl: apiUrl, roomId: 'the-room', token, metadata });
  client.start().catch(() => undefined);
  await vi.waitFor(() => expect(joins).toHaveLength(1), WAIT);
  client.stop();
  const { url = '', headers = {} } = joins[0] ?? {};
  const request = {
    method: 'GET',
    url: `https://example.com${url}`,
    headers: { ...headers, 'sec-websocket-key': 'REDACTED' },
  };
  return JSON.stringify({
    outcome: 'ok',
    scriptName: 'p2pcf-ws',
    eventTimestamp: Date.now(),
    event: { request },
    logs: [{ level: 'log', message: ['{"event":"joined"}'], timestamp: Date.now() }],
    exceptions: [],
  });
}

test('npm run tail shows requests, without token and metadata, also where its output goes to a file', async () => {
  const logged = await loggedJoin();
  for (const secret of SECRETS) expect(written(secret).some((form) => logged.includes(form))).toBe(true);
  let output = '';
  const env = {
    ...process.env,
    CLOUDFLARE_API_BASE_URL: apiUrl,
    CLOUDFLARE_API_TOKEN: 'the-api-token',
    CLOUDFLARE_ACCOUNT_ID: 'the-account',
  };
  const tail = spawn('npm', ['run', 'tail'], { cwd: ROOT, env, detached: true });
  for (const stream of [tail.stdout, tail.stderr])
    stream.on('data', (text) => {
      output += text;
    });
  try {
    await vi.waitFor(() => expect(tails).toHaveLength(1), WAIT);
    expect(asked).toContain('POST /accounts/the-account/workers/scripts/p2pcf-ws/tails');
    tails[0]?.send(logged);
    await vi.waitFor(() => expect(output).toContain('joined'), WAIT);
    expect(output).toContain('/ws/room/the-room');
    for (const secret of SECRETS.flatMap(written)) expect(output).not.toContain(secret);
  } finally {
    if (tail.pid) process.kill(-tail.pid);
  }
});
