/** Who may import whom in src/, types included: CONTRIBUTING.md, "Which file decides what". */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const files = globSync('src/**/*.ts').filter((file) => !file.endsWith('.test.ts'));
const imports = new Map(
  files.map((file) => {
    const found = readFileSync(file, 'utf8').matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.{1,2}\/[^']+\.ts)'/g);
    return [file, Array.from(found, ([, path = '']) => join(file, '..', path))];
  }),
);

const MAY_IMPORT: Record<string, string[]> = {
  protocol: ['protocol'],
  room: ['room', 'protocol'],
  worker: ['worker', 'room', 'protocol'],
  client: ['client', 'protocol'],
  react: ['client'],
  yjs: ['yjs', 'client'],
  'index.ts': ['worker', 'room', 'protocol'],
};

const folderOf = (file: string): string => file.split('/')[1] ?? '';

test('every folder imports only what it may', () => {
  const forbidden = [...imports].flatMap(([file, targets]) =>
    targets.filter((target) => !MAY_IMPORT[folderOf(file)]?.includes(folderOf(target))).map((to) => `${file} -> ${to}`),
  );
  expect(files).not.toEqual([]);
  expect(forbidden).toEqual([]);
});

test('no file imports itself by way of others', () => {
  const circles = files.filter((file) => {
    const reached = new Set<string>();
    const visit = (from: string): void => {
      for (const target of imports.get(from) ?? []) {
        if (reached.has(target)) continue;
        reached.add(target);
        visit(target);
      }
    };
    visit(file);
    return reached.has(file);
  });
  expect(circles).toEqual([]);
});

test('the demo and the examples use what the package exports, and nothing else', () => {
  const apps = globSync(['demo/**/*.ts', 'examples/**/*.{ts,tsx,html}']);
  const found = apps.flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    const own = text.match(/(?:\.|\?\.|\[['"]|[{,]\s*)_[a-z]\w*/gi) ?? []; // P2PCF's apps reach for _pc and such
    const reached = Array.from(text.matchAll(/'(\.\.\/(?!src\/client\/index\.ts')[^']*)'/g), ([, path = '']) => path);
    return [...own, ...reached].map((what) => `${file}: ${what}`);
  });
  expect(apps).not.toEqual([]);
  expect(found).toEqual([]);
});
