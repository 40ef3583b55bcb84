import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { WAIT } from './test/support/wait.ts';

// Nothing here is a promise of speed. A test may take longer than its waits (test/support/wait.ts), so that
// on a busy machine it is the wait that fails, and says what it waited for.
const PATIENT = { testTimeout: 300_000, hookTimeout: 300_000, expect: { poll: WAIT } };

export default defineConfig({
  test: {
    // Most of the time they wait for timers, for peers that poll and for servers: more at a time than there are cores.
    maxWorkers: 3,
    projects: [
      // Pure: plain Node, milliseconds.
      { test: { name: 'pure', include: ['{src,demo}/**/*.test.ts', 'test/*.test.ts'], ...PATIENT } },
      // Inside workerd, where a Durable Object can be put to sleep in mid-conversation.
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              r2Buckets: ['BUCKET'], // for P2PCF's own worker, which ours is compared with
              ratelimits: { THREE_A_MINUTE: { namespace_id: '1', simple: { limit: 3, period: 60 } } },
            },
          }),
        ],
        test: { name: 'worker', include: ['test/worker/**/*.test.ts'], ...PATIENT },
      },
      // Real sockets against a real server process.
      { test: { name: 'server', include: ['test/server/**/*.test.ts'], ...PATIENT } },
      // The npm package, packed and installed elsewhere.
      {
        test: {
          name: 'package',
          include: ['test/package/*.test.ts'],
          globalSetup: 'test/support/pack.ts',
          ...PATIENT,
        },
      },
      // Real Chromium pages, real WebRTC between them.
      { test: { name: 'browser', include: ['test/browser/**/*.test.ts'], ...PATIENT } },
    ],
  },
});
