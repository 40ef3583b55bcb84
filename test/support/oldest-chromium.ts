/**
 * The oldest Chromium that is to be had without a download of its own: a package of npm's has the program, for Linux on
 * x64 alone. It has neither H.264 nor a back-forward cache.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { launchChromium } from './chromium.ts';

export const HAS_OLDEST_CHROMIUM = process.platform === 'linux' && process.arch === 'x64';

export async function launchOldestChromium(): Promise<Browser> {
  const module = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const folder = await mkdtemp(join(tmpdir(), 'oldest-chromium-'));
  const program = join(folder, 'chromium');
  const packed = await readFile(join(dirname(module), '../bin/chromium.br'));
  await writeFile(program, await promisify(brotliDecompress)(packed), { mode: 0o755 });
  const browser = await launchChromium([], { launcher: () => program });
  browser.once('disconnected', () => rm(folder, { recursive: true }));
  return browser;
}
