/** Wrangler's build command: the demo, into public/, where the Worker's static assets come from. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { build } from 'esbuild';
import { TARGETS } from './targets.ts';

const { outputFiles } = await build({
  entryPoints: ['demo/demo.ts', 'demo/style.css', 'demo/index.html'],
  loader: { '.html': 'copy' },
  bundle: true,
  format: 'esm',
  minify: true,
  target: TARGETS,
  outdir: 'public/demo',
  write: false,
});
const headers = { path: 'public/_headers', contents: await readFile('demo/_headers') };
for (const { path, contents } of [...outputFiles, headers]) {
  // A running `npm run dev` restarts its server, and drops its sockets, when an asset is written.
  if ((await readFile(path).catch(() => undefined))?.equals(contents)) continue;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, contents);
}
