/**
 * What deploys and publishes: by the rules of the Deploy to Cloudflare button and of npm's trusted publishing
 * (2026-11).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { unstable_readConfig as readConfig } from 'wrangler';
import { parse } from 'yaml';
import manifest from '../../package.json' with { type: 'json' };
import { llmsText } from '../../scripts/llms.ts';
import { readTokenSettings } from '../../src/worker/tokens.ts';
import { type App, newApp } from '../support/app.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');

const secrets = Object.fromEntries(
  Array.from(read('.dev.vars.example').matchAll(/^# (\w+)="?(.*?)"?$/gm), ([, name = '', value = '']) => [name, value]),
);

test('the button: each setting and secret is described, and no `build` script takes the place of what Wrangler does', () => {
  expect(manifest.scripts).not.toHaveProperty('build');
  expect(manifest.scripts.deploy).toBe('wrangler deploy');
  expect(manifest.packageManager).toMatch(/^npm@11\.\d+\.\d+$/);
  const { vars }: { vars: object } = readConfig({ config: `${root}wrangler.toml` });
  for (const name of [...Object.keys(vars), ...Object.keys(secrets)])
    expect(manifest.cloudflare.bindings, name).toHaveProperty(name);
  for (const { description } of Object.values(manifest.cloudflare.bindings)) expect(description).toMatch(/\.$/);
});

test('the sample of secrets has none: a server that takes it as it is is open, and gives no TURN credentials', () => {
  expect(Object.values(secrets).every((value) => value === '')).toBe(true);
  expect(read('.dev.vars.example'), 'the button wants a value for whatever is no comment').not.toMatch(/^[^#\n]/m);
  expect(Object.keys(secrets)).toEqual(expect.arrayContaining(['AUTH_SECRET', 'TURN_SECRET', 'LOG_KEY']));
  expect(readTokenSettings(secrets).keys).toEqual([]);
});

test('llms.txt is what `node scripts/llms.ts` makes', () => {
  expect(read('llms.txt')).toBe(llmsText(read));
});

interface Job {
  needs?: string;
  container?: { image: string; options: string };
  permissions?: Record<string, string>;
  steps: { run?: string; with?: Record<string, unknown> }[];
}

test('the release: tested first, from the lock file, by whom npm trusts, with provenance', () => {
  const { on, permissions, jobs }: { on: unknown; permissions: unknown; jobs: { check: Job; publish: Job } } = parse(
    read('.github/workflows/release.yml'),
  );
  const { check, publish } = jobs;
  expect(on).toEqual({ push: { tags: ['v*'] } });
  expect(permissions).toEqual({ contents: 'read' });

  const checking = check.steps.flatMap(({ run }) => run ?? []);
  expect(check.container, 'whose user does not own the clone: git asks whether it is trusted').toEqual({
    image: expect.stringMatching(/^node:/),
    options: '--privileged', // or the tests behind NATs are skipped
  });
  expect(checking).toEqual(['git config --global --add safe.directory "$GITHUB_WORKSPACE"', '.ci/run']);
  expect(check.permissions).toBeUndefined();
  const ci = read('.ci/run');
  expect(ci.indexOf('npm ci\n')).toBeGreaterThan(0);
  expect(ci.indexOf('npm run check\n')).toBeGreaterThan(ci.indexOf('npm ci\n'));
  expect(manifest.scripts.check).toMatch(/&& npm test$/);

  expect(publish.needs).toBe('check');
  expect(publish.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
  const settings = publish.steps.find(({ with: given }) => given?.['registry-url'])?.with;
  expect(settings).toMatchObject({ 'node-version': 24 });
  expect(String(settings?.['registry-url']).split(/\/\/|\./)).toEqual(['https:', 'registry', 'npmjs', 'org']);
  const commands = publish.steps.flatMap(({ run }) => run ?? []);
  const [, npm = ''] = /^npm install --global npm@(\S+)$/.exec(commands[0] ?? '') ?? [];
  expect(npm, 'trusted publishing needs 11.5.1').toSatisfy((version: string) => {
    const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
    return major > 11 || (major === 11 && (minor > 5 || (minor === 5 && patch >= 1)));
  });
  expect(manifest.packageManager).toBe(`npm@${npm}`);
  expect(commands[1]).toBe('npm ci');
  expect(commands.at(-1)).toBe('npm publish --access public --provenance');
});

test('the release: its shell commands do what they say, in a package of that name', () => {
  const workflow = read('.github/workflows/release.yml');
  expect(workflow, 'a token would be used in place of trust').not.toMatch(/TOKEN/);
  const app: App = newApp();
  try {
    app.write('package.json', read('package.json'));
    const env = { ...process.env, GITHUB_REPOSITORY: 'somebody/p2pcf-ws', GITHUB_REF_NAME: `v${manifest.version}` };
    const run = (command: string): string =>
      execFileSync('sh', ['-ec', command], { cwd: app.folder, env, encoding: 'utf8' });
    const [, checkTag = ''] = /- run: (test .*)/.exec(workflow) ?? [];
    run(checkTag);
    expect(() => run(checkTag.replace('$GITHUB_REF_NAME', 'v9.9.9'))).toThrow();
    const [, name = ''] = /run: \|\n((?: {10}npm pkg set .*\n)+)/.exec(workflow) ?? [];
    run(name);
    const written: unknown = JSON.parse(readFileSync(`${app.folder}/package.json`, 'utf8'));
    expect(written).toMatchObject({
      repository: { type: 'git', url: 'git+https://github.com/somebody/p2pcf-ws.git' },
      homepage: 'https://github.com/somebody/p2pcf-ws#readme',
      bugs: { url: 'https://github.com/somebody/p2pcf-ws/issues' },
    });
  } finally {
    app.remove();
  }
});

test('`npm run docs`: every entry is there, and every link leads somewhere', () => {
  const app: App = newApp();
  try {
    const out = join(app.folder, 'reference');
    execFileSync('npm', ['run', 'docs', '--', '--out', out], { cwd: root, stdio: 'pipe' });
    const pages = globSync('**/*.html', { cwd: out });
    const broken = pages.flatMap((page) =>
      Array.from(
        readFileSync(join(out, page), 'utf8').matchAll(/<a [^>]*href="([^"#:]+)(?:#[^"]*)?"/g),
        ([, to = '']) => to,
      )
        .filter((to) => !existsSync(join(out, page, '..', to)))
        .map((to) => `${page} -> ${to}`),
    );
    expect(broken).toEqual([]);
    for (const name of ['P2PCF', 'SignalingClient', 'parseSignal', 'useRoom', 'YjsProvider'])
      expect(
        pages.some((page) => page.endsWith(`.${name}.html`)),
        name,
      ).toBe(true);
  } finally {
    app.remove();
  }
});
