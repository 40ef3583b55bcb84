/**
 * `node scripts/sizes.ts` puts the sizes of what `npm run package` has made into README.md. With `--check` it fails if the
 * table there is another. In whole kB, so that not every change of the client changes it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

/** The files of dist/ that a page loads. */
const FILES = {
  'index.js': 'the library',
  'sealed.js': 'private rooms, identities and `sas`: loaded when used',
  'signaling.js': '`p2pcf-ws/signaling` alone',
  'react.js': '`p2pcf-ws/react`, beside the library and React',
  'yjs.js': '`p2pcf-ws/yjs`, beside the library and Yjs',
};

const rows = Object.entries(FILES).map(([file, what]) => {
  const bytes = gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length;
  return `| \`${file}\` | ${what} | ${Math.ceil(bytes / 1000)} kB |\n`;
});
const table = `| File | | minified and gzipped, at most |\n|---|---|---:|\n${rows.join('')}`;
const readme = readFileSync('README.md', 'utf8');
const current = readme.replace(/(?<=<!-- Made by `node scripts\/sizes\.ts`\. -->\n).*?(?=<!-- -->)/s, () => table);
if (!current.includes(table)) throw new Error('README.md has no place for the table of sizes any more');
if (process.argv.includes('--check')) {
  if (current !== readme) throw new Error('The sizes in README.md are out of date. Run: node scripts/sizes.ts');
} else writeFileSync('README.md', current);
