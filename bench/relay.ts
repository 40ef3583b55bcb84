/** `npm run bench`: what P2PCF-WS costs beside the least a relay can cost. README.md says what is measured and how. */
import { cpus, release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import workerd from 'workerd/package.json' with { type: 'json' };
import type { WorkerdOptions } from '../scripts/workerd.ts';
import { type Server, startWorkerd } from '../test/support/server.ts';
import { enterPair, fillRoom, frameBytes, type Pair, relay, relayPaced } from './load.ts';
import { anonymousBytes, cpuSeconds } from './process.ts';
import { median, quantile } from './statistics.ts';

/** Samples have servers of their own, so that no figure hangs on how one process happened to turn out. */
const SAMPLES = 3;
/** Of signals, per sample. */
const ROUNDS = 12;
const CROWD = 1000;
const SOCKETS_IN_PAIRS = 500;
const SIGNALS = 1500;
const WARM_UP_SIGNALS = 3000;
const SIGNALS_UNDER_WAY = 32;
const PACED_SIGNALS = 200;
const PACE_MS = 2;
/** A room falls asleep after ten quiet seconds (workerd, 2026-11); nothing outside it tells. */
const ASLEEP_AFTER_MS = 12_000;

type Contender = 'ours' | 'bare';

const CONTENDERS: Record<Contender, WorkerdOptions> = {
  // The rate limiter is on, so that its cost is in the figures, and never limits.
  ours: { vars: { MESSAGES_PER_SECOND: 1_000_000, MAX_PEERS_PER_ROOM: 4096 } },
  bare: { main: 'bench/bare-relay.ts' },
};

/** One figure, measured once a round for each contender, in turn. */
interface Figure {
  readonly title: string;
  readonly digits: number;
  /** The most that a median may be: of the ratios of ours to the bare relay's, or of ours alone. */
  readonly goal?: { readonly most: number; readonly of: 'ratio' | 'ours' };
  readonly ours: number[];
  readonly bare: number[];
}

function figure(title: string, digits: number, goal?: Figure['goal']): Figure {
  return { title, digits, ours: [], bare: [], ...(goal && { goal }) };
}

const crowd = CROWD.toLocaleString('en');
const figures = {
  perSecond: figure('Signals per second, room of two', 0),
  cpu: figure('Server CPU per signal, room of two, µs', 0, { most: 1.15, of: 'ratio' }),
  cpuInCrowd: figure(`Server CPU per signal, ${crowd} idle sockets, µs`, 0, { most: 1.15, of: 'ratio' }),
  // "No dearer", give or take what the median of so many rounds strays.
  crowdFactor: figure('  the latter as a multiple of the former', 2, { most: 1.05, of: 'ours' }),
  latencyMedian: figure('One-way latency, median, ms', 2),
  latency99: figure('One-way latency, 99th percentile, ms', 2),
  joinSeconds: figure(`${crowd} peers join one room, s`, 1, { most: 1.25, of: 'ratio' }),
  joinCpu: figure(`${crowd} peers join one room, server CPU, s`, 1, { most: 1.25, of: 'ratio' }),
  memory: figure(`Memory per idle socket, room of ${crowd}, KiB`, 1, { most: 1.25, of: 'ratio' }),
  memoryInPairs: figure('Memory per idle socket, rooms of two, KiB', 1, { most: 1.25, of: 'ratio' }),
};

const servers: Promise<Server>[] = [];
try {
  for (let sample = 0; sample < SAMPLES; sample++) {
    console.error(`sample ${sample + 1} of ${SAMPLES}`);
    await takeSample(sample % 2 === 0 ? ['ours', 'bare'] : ['bare', 'ours']);
    await stopServers();
  }
} finally {
  await stopServers();
}
report();

async function takeSample(order: readonly Contender[]): Promise<void> {
  const subjects = await Promise.all(
    order.map(async (contender) => {
      const [crowd, pairs] = await Promise.all([start(contender), start(contender)]);
      return { contender, crowd, pairs };
    }),
  );
  for (const { contender, crowd, pairs } of subjects) {
    await measureJoins(contender, crowd.server);
    for (let i = 0; i < SOCKETS_IN_PAIRS / 2; i++) await fillRoom(pairs.server.url, `pair-${i}`, 2);
  }
  await delay(ASLEEP_AFTER_MS);
  for (const { contender, crowd, pairs } of subjects) {
    figures.memory[contender].push(grownBytes(crowd) / CROWD / 1024);
    figures.memoryInPairs[contender].push(grownBytes(pairs) / SOCKETS_IN_PAIRS / 1024);
  }

  const stages: Stage[] = [];
  for (const { contender, crowd } of subjects) stages.push(await enterPairs(contender, crowd.server));
  for (let round = 0; round < ROUNDS; round++) {
    const turn = round % 2 === 0 ? stages : stages.toReversed();
    for (const stage of turn) await measureSignals(stage);
    for (const stage of turn) await measureLatency(stage);
  }
}

/** A fresh server, and the memory it had before the sockets came. */
interface Subject {
  server: Server;
  bytesBefore: number;
}

async function start(contender: Contender): Promise<Subject> {
  const starting = startWorkerd(CONTENDERS[contender]);
  servers.push(starting);
  const server = await starting;
  await fillRoom(server.url, 'first', 2); // so that its code is loaded
  return { server, bytesBefore: anonymousBytes(server.pid) };
}

function grownBytes({ server, bytesBefore }: Subject): number {
  return anonymousBytes(server.pid) - bytesBefore;
}

async function measureJoins(contender: Contender, { url, pid }: Server): Promise<void> {
  const cpuBefore = cpuSeconds(pid);
  const startedAt = performance.now();
  await fillRoom(url, 'crowd', CROWD);
  figures.joinSeconds[contender].push((performance.now() - startedAt) / 1000);
  figures.joinCpu[contender].push(cpuSeconds(pid) - cpuBefore);
}

/** A warm server: two peers alone in a room, and two among the idle ones. */
interface Stage {
  contender: Contender;
  pid: number;
  two: Pair;
  inCrowd: Pair;
}

async function enterPairs(contender: Contender, { url, pid }: Server): Promise<Stage> {
  const two = await enterPair(url, 'two');
  const inCrowd = await enterPair(url, 'crowd');
  for (const pair of [two, inCrowd]) await relay(pair, WARM_UP_SIGNALS, SIGNALS_UNDER_WAY);
  return { contender, pid, two, inCrowd };
}

async function measureSignals({ contender, pid, two, inCrowd }: Stage): Promise<void> {
  const startedAt = performance.now();
  const cpu = await cpuPerSignal(pid, two);
  figures.perSecond[contender].push(SIGNALS / ((performance.now() - startedAt) / 1000));
  const cpuInCrowd = await cpuPerSignal(pid, inCrowd);
  figures.cpu[contender].push(cpu);
  figures.cpuInCrowd[contender].push(cpuInCrowd);
  figures.crowdFactor[contender].push(cpuInCrowd / cpu);
}

/** In µs. */
async function cpuPerSignal(pid: number, pair: Pair): Promise<number> {
  const before = cpuSeconds(pid);
  await relay(pair, SIGNALS, SIGNALS_UNDER_WAY);
  return ((cpuSeconds(pid) - before) / SIGNALS) * 1e6;
}

async function measureLatency({ contender, two }: Stage): Promise<void> {
  const latencies = await relayPaced(two, PACED_SIGNALS, PACE_MS);
  figures.latencyMedian[contender].push(quantile(latencies, 0.5));
  figures.latency99[contender].push(quantile(latencies, 0.99));
}

/** Servers that are still starting, too; a server that could not start is not there to be stopped. */
async function stopServers(): Promise<void> {
  await Promise.allSettled(servers.splice(0).map(async (server) => (await server).stop()));
}

function report(): void {
  const processors = cpus();
  console.log(
    `${processors[0]?.model.trim()}, ${processors.length} cores; Linux ${release()}; Node ${process.version}; workerd ${workerd.version}`,
  );
  console.log(
    `Medians of ${SAMPLES} samples (joins, memory) or ${SAMPLES * ROUNDS} rounds (signals of ${frameBytes} bytes)\n`,
  );
  console.log(row('', 'P2PCF-WS', 'bare relay', 'ratio (middle half)', 'goal'));
  for (const { title, digits, goal, ours, bare } of Object.values(figures)) {
    const ratios = ours.map((value, i) => value / (bare[i] ?? Number.NaN));
    const spread = `${median(ratios).toFixed(2)} (${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)})`;
    const isMet = goal && median(goal.of === 'ours' ? ours : ratios) <= goal.most;
    console.log(
      row(
        title,
        median(ours).toFixed(digits),
        median(bare).toFixed(digits),
        spread,
        goal ? `${goal.of} <= ${goal.most.toFixed(2)}: ${isMet ? 'met' : 'MISSED'}` : '',
      ),
    );
  }
}

function row(title: string, ours: string, bare: string, ratio: string, goal: string): string {
  return `${title.padEnd(46)}${ours.padStart(9)}${bare.padStart(12)}   ${ratio.padEnd(23)}${goal}`.trimEnd();
}
