/** `npm run build`: the npm package, into dist/. */
import { execFileSync } from 'node:child_process';
import { glob, readFile, rm, writeFile } from 'node:fs/promises';
import { type BuildOptions, build, type Plugin } from 'esbuild';

// What runs in browsers of the last two years: private fields, ??=, findLast.
const common: BuildOptions = { bundle: true, minify: true, sourcemap: true, target: 'es2022' };

/** Loaded from beside the file that needs it, and only when it does, by a script tag's file too. */
const sealedBeside: Plugin = {
  name: 'sealed.js stands beside',
  setup({ onResolve }) {
    onResolve({ filter: /\/sealed\/index\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './sealed.js', external: true } : undefined,
    );
  },
};

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: {
    index: 'src/client/index.ts',
    signaling: 'src/client/signaling.ts',
    protocol: 'src/protocol/index.ts',
    sealed: 'src/client/sealed/index.ts',
  },
  plugins: [sealedBeside],
  format: 'esm',
  outdir: 'dist',
});
await build({
  ...common,
  stdin: { contents: `export { P2PCF as default } from './src/client/index.ts';`, resolveDir: '.' },
  plugins: [sealedBeside],
  format: 'iife',
  globalName: 'P2PCF',
  footer: { js: 'P2PCF=P2PCF.default;' },
  outfile: 'dist/p2pcf-ws.script.js',
});
execFileSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
// A program that uses the package looks for x.d.ts where it reads './x.js', not where it reads './x.ts'.
for await (const file of glob('dist/types/**/*.d.ts')) {
  await writeFile(file, (await readFile(file, 'utf8')).replaceAll(/(from '\.[^']+)\.ts'/g, "$1.js'"));
}
