/** A small app of somebody else's, in a folder of its own, that has the package installed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The oldest that the package promises to work with: `react`, `yjs`. */
export const oldestModule = (name: string): string => join(root, 'test/package/oldest-tools/node_modules', name);
/** The same of commands: `node`, `tsc`. */
export const oldest = (name: string): string => oldestModule(join('.bin', name));
export const newest = (name: string): string => join(root, 'node_modules/.bin', name);

export interface App {
  folder: string;
  write(file: string, contents: string): string;
  /** Returns what the command writes to stdout; throws, with what it has written, if it fails. */
  run(command: string, args: string[]): string;
  remove(): void;
}

export function newApp(): App {
  const folder = mkdtempSync(join(tmpdir(), 'p2pcf-ws-'));
  const app: App = {
    folder,
    write(file, contents) {
      writeFileSync(join(folder, file), contents);
      return file;
    },
    run(command, args) {
      return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
  app.write('package.json', '{"name":"app","private":true,"type":"module"}');
  app.run('npm', ['install', '--offline', '--no-audit', '--no-fund', inject('tarball')]);
  return app;
}
