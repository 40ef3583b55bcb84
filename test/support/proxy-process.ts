import { type ChildProcess, spawn } from 'node:child_process';

/** Runs a proxy of Debian's. Resolves when `isUp` says so, with the process and its end. */
export async function runProxy(
  command: 'nginx' | 'caddy',
  args: string[],
  env: NodeJS.ProcessEnv,
  isUp: () => Promise<boolean>,
): Promise<{ proxy: ChildProcess; ended: Promise<void> }> {
  const proxy = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  proxy.stderr.on('data', (text) => (errors += text));
  const ended = new Promise<void>((resolve, reject) => {
    proxy.once('exit', () => resolve());
    proxy.once('error', () => reject(new Error(`No ${command} found. Run: apt-get install ${command}.`)));
  });
  const isDown = ended.then(() => true);
  while (!(await isUp())) {
    const pause = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50));
    if (await Promise.race([isDown, pause])) throw new Error(`${command} did not start:\n${errors}`);
  }
  return { proxy, ended };
}
