/** `npm run package`: the npm package, into dist/, and the folders by which old resolvers find its other entries. */
import { execFileSync } from 'node:child_process';
import { cp, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { minify } from 'terser';
import manifest from '../package.json' with { type: 'json' };
import { TARGETS } from './targets.ts';

const ENTRIES = {
  index: 'src/client/index.ts',
  signaling: 'src/client/signaling.ts',
  protocol: 'src/protocol/index.ts',
  react: 'src/react/index.ts',
  yjs: 'src/yjs/index.ts',
};

const common: BuildOptions = {
  bundle: true,
  minify: true,
  sourcemap: true,
  target: TARGETS,
};

/** Loaded when it is used, by a script tag's file and from CommonJS, too; all load the one module. */
const sealedAt = (path: string): Plugin => ({
  name: 'sealed.js stands by itself',
  setup({ onResolve }) {
    onResolve({ filter: /\/sealed\/index\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
});

/** A script tag's file finds it by its tag. */
const sealedByTag: Plugin = {
  name: 'sealed.js stands where the tag says',
  setup({ onResolve }) {
    onResolve({ filter: /\/sealed-chunk\.ts$/ }, () => ({ path: resolve('src/client/sealed-chunk-of-script.ts') }));
  },
};

/** The app brings React and Yjs, and has one copy of the library, whichever entries it uses. */
const besideOthers: Plugin = {
  name: 'entries stand beside each other',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/client\/index\.ts$/ }, () => ({ path: './index.js', external: true }));
  },
};
const external = Object.keys(manifest.peerDependencies);

await rm('dist', { recursive: true, force: true });
const { metafile } = await build({
  ...common,
  entryPoints: { ...ENTRIES, sealed: 'src/client/sealed/index.ts' },
  plugins: [sealedAt('./sealed.js'), besideOthers],
  external,
  format: 'esm',
  outdir: 'dist',
  metafile: true,
});
await build({
  ...common,
  entryPoints: ENTRIES,
  plugins: [sealedAt('../sealed.js'), besideOthers],
  external,
  format: 'cjs',
  outdir: 'dist/cjs',
});
await build({
  ...common,
  stdin: { contents: `export { P2PCF as default } from './src/client/index.ts';`, resolveDir: '.' },
  plugins: [sealedByTag, sealedAt('./sealed.js')],
  format: 'iife',
  globalName: 'P2PCF',
  footer: { js: 'P2PCF=P2PCF.default;' },
  outfile: 'dist/p2pcf-ws.script.js',
});
for await (const file of glob('dist/*.js')) await minifyAgain(file);
await writeFile('dist/LICENSES.txt', await licensesOf(Object.keys(metafile.inputs)));
await declareTypes();
await cp('dist/types', 'dist/cjs/types', { recursive: true });
await writeFile('dist/cjs/package.json', '{ "type": "commonjs" }\n');
for (const entry of ['signaling', 'protocol', 'react', 'yjs'] as const) await writeStub(entry);

/**
 * What esbuild has minified terser makes some 3 % smaller, gzipped; by itself it does worse than both (2026-11). Not for
 * CommonJS: it leaves out the dead code by which Node finds the names that a module exports.
 */
async function minifyAgain(file: string): Promise<void> {
  const map = `${file}.map`;
  const { code, map: newMap } = await minify(
    { [basename(file)]: await readFile(file, 'utf8') },
    {
      module: !file.endsWith('.script.js'),
      ecma: 2020,
      compress: { passes: 2, directives: false }, // 'use client'
      sourceMap: { content: await readFile(map, 'utf8'), url: basename(map), includeSources: true },
    },
  );
  if (code === undefined || typeof newMap !== 'string') throw new Error(`terser has nothing to say about ${file}`);
  await Promise.all([writeFile(file, `${code}\n`), writeFile(map, newMap)]);
}

/** The licences of other packages that are in the bundles. */
async function licensesOf(inputs: string[]): Promise<string> {
  const folders = new Set(inputs.flatMap((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  const texts = [...folders].map(async (folder) => {
    const { name, version }: { name: string; version: string } = JSON.parse(
      await readFile(join(folder, 'package.json'), 'utf8'),
    );
    return `The files here contain parts of ${name} ${version}:\n\n${await readFile(join(folder, 'LICENSE'), 'utf8')}`;
  });
  return (await Promise.all(texts)).join('\n');
}

/** The declarations that an entry leads to; the others are of no use to anybody. */
async function declareTypes(): Promise<void> {
  execFileSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
  const needed = new Set(Object.values(ENTRIES).map((path) => resolve(path.replace('src', 'dist/types'))));
  for (const path of needed) {
    const file = path.replace(/\.ts$/, '.d.ts');
    const declared = await readFile(file, 'utf8');
    for (const [, imported = ''] of declared.matchAll(/from '(\.[^']+)'/g))
      needed.add(resolve(dirname(path), imported));
    const published = declared
      // A program that uses the package looks for x.d.ts where it reads './x.js', not where it reads './x.ts'.
      .replaceAll(/(from '\.[^']+)\.ts'/g, "$1.js'")
      // TypeScript before 5.7 has no type parameter here; this is the same type in both.
      .replaceAll('Uint8Array<ArrayBuffer>', "ReturnType<Uint8Array['slice']>");
    await writeFile(file, published);
  }
  for await (const file of glob('dist/types/**/*.d.ts')) {
    if (!needed.has(resolve(file.replace(/\.d\.ts$/, '.ts')))) await rm(file);
  }
}

/** For what does not read `exports`: Parcel, older Metro, TypeScript's node10. */
async function writeStub(entry: Exclude<keyof typeof ENTRIES, 'index'>): Promise<void> {
  const { import: esm, require: cjs } = manifest.exports[`./${entry}`];
  await mkdir(entry, { recursive: true });
  const paths = { main: cjs.default, module: esm.default, types: esm.types };
  const stub = Object.fromEntries(Object.entries(paths).map(([field, path]) => [field, `.${path}`]));
  await writeFile(join(entry, 'package.json'), `${JSON.stringify({ ...stub, sideEffects: false }, null, 2)}\n`);
}
