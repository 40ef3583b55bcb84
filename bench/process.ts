/** What Linux tells of another process. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

if (process.platform !== 'linux') throw new Error('The benchmark reads the server’s CPU and memory from /proc: run it on Linux.');

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Seconds of CPU the process has used so far, user and system, all its threads: exact to a clock tick, mostly 10 ms. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // proc(5): field 2 is the program's name in parentheses, spaces and all; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[14 - 3]) + Number(fields[15 - 3])) / ticksPerSecond;
}

/** Bytes of memory that are the process's own: without the program file, which every workerd on a machine shares. */
export function anonymousBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}
