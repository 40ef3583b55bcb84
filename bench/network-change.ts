/**
 * `npm run bench:network`: how long two browsers behind two NATs hear nothing of each other when the network of one of them
 * changes, with ten messages a second either way. It needs root, for network namespaces. README.md says more.
 */
import { parseArgs } from 'node:util';
import type { Translation } from '../test/support/nat.ts';
import { type Change, streamThrough, TwoHomes } from '../test/support/two-homes.ts';
import { machineLoad } from './machine-load.ts';
import { median } from './statistics.ts';

const { rounds } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } }).values;

interface Case {
  name: string;
  /** Before the change. */
  translation: Translation;
  change: Change;
  /** The slowest message of each round, in ms. */
  slowest: number[];
}

const cases: Case[] = [
  { name: 'another network, ports kept', translation: 'keeps', change: 'keeps', slowest: [] },
  { name: 'another network, ports shuffled', translation: 'shuffles', change: 'shuffles', slowest: [] },
  { name: 'its router gets another address, ports kept', translation: 'keeps', change: 'another address', slowest: [] },
  { name: 'the same, ports shuffled', translation: 'shuffles', change: 'another address', slowest: [] },
];

const loadBefore = machineLoad();
let lost = 0;
const homes = await TwoHomes.open();
try {
  for (let round = 0; round < Number(rounds); round++)
    for (const { translation, change, slowest } of cases) {
      const pages = await homes.meet(translation, translation);
      const heard = await streamThrough(pages, () => homes.change(round % 2, change));
      slowest.push(Math.max(...heard.flat().map(({ sentAt, heardAt }) => heardAt - sentAt)));
      // Each page hears them in order.
      for (const messages of heard) lost += (messages.at(-1)?.number ?? 0) + 1 - messages.length;
      for (const page of pages) await page.context().close();
    }
} finally {
  await homes.stop();
}

const table = [
  ['what changes for one of the two', 'median, s', 'fastest', 'slowest'],
  ['---', '---:', '---:', '---:'],
  ...cases.map(({ name, slowest }) => [
    name,
    ...[median(slowest), Math.min(...slowest), Math.max(...slowest)].map(seconds),
  ]),
];
console.log(table.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
console.log(`\n${rounds} rounds. Messages lost: ${lost}. Load: ${loadBefore} before, ${machineLoad()} after.`);

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
