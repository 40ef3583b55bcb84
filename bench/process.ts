/** What Linux tells of another process. */
import { readdirSync, readFileSync } from 'node:fs';

if (process.platform !== 'linux') {
  throw new Error('The benchmark reads the CPU and the memory of its servers from /proc, which only Linux has.');
}

/**
 * Seconds of CPU that the threads of the process have used so far, in user and in kernel mode. The scheduler counts
 * nanoseconds, where /proc/pid/stat counts ticks of 10 ms: so rounds can be short, and a disturbance spoils only a few.
 */
export function cpuSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  // proc(5): the first of the three numbers is the time spent on the CPU.
  const nanoseconds = readdirSync(tasks).map((task) =>
    Number.parseInt(readFileSync(`${tasks}/${task}/schedstat`, 'utf8'), 10),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9;
}

/** Bytes of memory that are the process's own: without the program file, which every workerd on a machine shares. */
export function anonymousBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}
