/**
 * `node bench/processes.ts`: how many messages per second 1, 2 and 4 server processes relay, with a process of clients for
 * each. The clients need as much of the machine as the servers.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { startWorkerd } from '../test/support/server.ts';
import { enterPair, relay } from './load.ts';

const PROCESSES = [1, 2, 4];
const SIGNALS = 20_000;
const WARM_UP = 3_000;
const UNDER_WAY = 32;

const [url] = process.argv.slice(2);
if (url === undefined) await table();
else await load(url);

/** In a process of its own: says when it is ready, relays when it is told to, says when it has. */
async function load(serverUrl: string): Promise<void> {
  const pair = await enterPair(serverUrl, 'bench');
  await relay(pair, WARM_UP, UNDER_WAY);
  process.send?.('ready');
  await once(process, 'message');
  await relay(pair, SIGNALS, UNDER_WAY);
  process.send?.('done');
  process.exit();
}

async function table(): Promise<void> {
  console.log(`${availableParallelism()} cores\n\n| processes | messages per second |\n|---:|---:|`);
  for (const count of PROCESSES) {
    const perSecond = Math.round(await measure(count));
    console.log(`| ${count} | ${perSecond.toLocaleString('en')} |`);
  }
}

async function measure(count: number): Promise<number> {
  const vars = { MESSAGES_PER_SECOND: 1_000_000 };
  const servers = await Promise.all(Array.from({ length: count }, () => startWorkerd({ vars })));
  const loads = servers.map(({ url }) => fork(fileURLToPath(import.meta.url), [url.replace('http', 'ws')]));
  await Promise.all(loads.map((each) => once(each, 'message')));
  const startedAt = performance.now();
  const done = loads.map((each) => once(each, 'message'));
  for (const each of loads) each.send('go');
  await Promise.all(done);
  const seconds = (performance.now() - startedAt) / 1000;
  await Promise.all(servers.map((server) => server.stop()));
  return (count * SIGNALS) / seconds;
}
