/** The Worker for a machine of one's own: with the demo, which on Cloudflare is static assets and never reaches it. */
import worker from '../src/index.ts';
import type { Env } from '../src/worker/signaling-room.ts';

export { SignalingRoom } from '../src/index.ts';

/** What scripts/workerd.ts binds: the demo's files, by their paths in URLs. */
interface WithDemo extends Env {
  DEMO: Record<string, { headers: Record<string, string>; body: string }>;
}

export default {
  fetch(request, env) {
    const pathname = URL.parse(request.url)?.pathname ?? '';
    if (pathname === '/demo') return new Response(null, { status: 307, headers: { Location: 'demo/' } });
    const file = env.DEMO[pathname];
    if (!file || !['GET', 'HEAD'].includes(request.method)) return worker.fetch(request, env);
    return new Response(request.method === 'HEAD' ? null : file.body, { headers: file.headers });
  },
} satisfies ExportedHandler<WithDemo>;
