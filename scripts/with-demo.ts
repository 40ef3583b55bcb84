/** The Worker for a machine of one's own: with the demo, which on Cloudflare is static assets and never reaches it. */
import worker from '../src/index.ts';
import { MAX_POLL_BYTES } from '../src/protocol/poll.ts';
import type { Env } from '../src/worker/signaling-room.ts';

export { SignalingRoom } from '../src/index.ts';

/** How long an answer waits for the rest of a body, in ms: nginx has all of it before, others may never send it. */
const READ_OUT_WITHIN_MS = 1_000;

/** What scripts/workerd.ts binds: the demo's files, by their paths in URLs. */
interface WithDemo extends Env {
  DEMO: Record<string, { headers: Record<string, string>; body: string }>;
}

export default {
  async fetch(request, env) {
    const response = await answer(request, env);
    if (request.body && !request.bodyUsed)
      await Promise.race([readOut(request.body).catch(() => undefined), scheduler.wait(READ_OUT_WITHIN_MS)]);
    return response;
  },
} satisfies ExportedHandler<WithDemo>;

function answer(request: Request<unknown, IncomingRequestCfProperties>, env: WithDemo): Response | Promise<Response> {
  const pathname = URL.parse(request.url)?.pathname ?? '';
  if (pathname === '/demo') return new Response(null, { status: 307, headers: { Location: 'demo/' } });
  const file = env.DEMO[pathname];
  if (!file || !['GET', 'HEAD'].includes(request.method)) return worker.fetch(request, env);
  return new Response(request.method === 'HEAD' ? null : file.body, { headers: file.headers });
}

/**
 * Reads a body that nobody wanted, as far as docs/self-host.md has nginx let it through. Where it is not read, workerd
 * resets the connection, mostly before nginx has the answer, and for that nginx gives up the whole server (2026-11).
 */
async function readOut(body: ReadableStream<Uint8Array>): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_POLL_BYTES) return;
  }
}
