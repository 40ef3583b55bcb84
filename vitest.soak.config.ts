import { defineConfig } from 'vitest/config';

/** What takes minutes of real time: `npm run test:soak`, by hand. */
export default defineConfig({ test: { include: ['test/soak/**/*.test.ts'], testTimeout: 600_000 } });
