/** The panel "Why so fast?": what it took to connect, what the server did, and how each connection is now. */
import type { Peer } from '../src/client/index.ts';
import { find, isShown, make } from './dom.ts';
import { plot } from './plot.ts';
import { type Reading, read } from './stats.ts';
import { type Steps, server, stepsTo } from './stopwatch.ts';
import { stages, type Times } from './timeline.ts';

/** How often the panel looks, in ms, and how many looks a plot shows. */
const EVERY_MS = 1_000;
const POINTS = 60;

const panel = find('why', HTMLElement);
const pairs = new Map<Peer, Pair>();
let areAddressesShown = false;

const sums = make('p');
const addresses = make('button', { type: 'button', className: 'plain' }, 'Show addresses');
addresses.addEventListener('click', () => {
  areAddressesShown = !areAddressesShown;
  addresses.textContent = areAddressesShown ? 'Hide addresses' : 'Show addresses';
  void refresh();
});
const list = make('div', { className: 'pairs' });
panel.append(make('h3', {}, 'The server'), sums, make('h3', {}, 'Each connection'), list, addresses);

/** A connection with one other, as shown. */
interface Pair {
  view: HTMLDetailsElement;
  summary: HTMLElement;
  chart: HTMLElement;
  way: HTMLElement;
  sas: HTMLElement;
  meters: HTMLElement;
  times: Times;
  /** Of the first connection; the browser may tell of them after it has opened the channel. */
  steps?: Steps | undefined;
  name: string;
  readings: Reading[];
}

/** Shows a connection from its beginning. */
export function follow(peer: Peer, name: string, times: Times): void {
  const summary = make('summary');
  const [chart, way, sas, meters] = [
    make('div'),
    make('p', { className: 'quiet way' }),
    make('p', { className: 'sas' }),
    make('dl', { className: 'meters' }),
  ];
  const view = make('details', { open: pairs.size === 0 }, summary, chart, way, sas, meters);
  list.append(view);
  pairs.set(peer, { view, summary, chart, way, sas, meters, times, name, readings: [] });
}

/** The channel is open for the first time. Returns how long that took, in ms. */
export function reached(peer: Peer): number {
  const pair = pairs.get(peer);
  if (!pair) return 0;
  const { times } = pair;
  times.channel ??= performance.now();
  // The same on both sides, unless somebody sits between. The connection may be gone before it is known.
  peer.sas.then(({ digits, emoji }) => showSas(pair.sas, digits, emoji)).catch(() => undefined);
  return times.channel - times.start;
}

function showSas(place: HTMLElement, digits: string, emoji: string[]): void {
  // The digits alone can be made to agree (SECURITY.md).
  const explanation = `Read these and ${digits} to each other: if both have the same, nobody sits between you.`;
  place.replaceChildren(make('strong', {}, emoji.join(' ')), ' ', explanation);
}

export function unfollow(peer: Peer): void {
  pairs.get(peer)?.view.remove();
  pairs.delete(peer);
  const [first] = pairs.values();
  if (first && pairs.size === 1) first.view.open = true;
}

setInterval(() => {
  if (isShown(panel)) void refresh();
}, EVERY_MS);

/** Looks again. */
export async function refresh(): Promise<void> {
  const idle = Math.floor((performance.now() - server.lastAt) / 1000);
  sums.replaceChildren(
    'Messages to the server so far: ',
    make('strong', {}, String(server.sent)),
    ', from it: ',
    make('strong', {}, String(server.received)),
    '. The server has been idle for ',
    make('strong', {}, `${idle} s`),
    '. It only introduces you: what you say, show and send goes straight to the others.',
  );
  await Promise.all([...pairs].map(([peer, pair]) => refreshPair(peer, pair)));
}

async function refreshPair(peer: Peer, pair: Pair): Promise<void> {
  const { times, name, summary, readings } = pair;
  const total = times.channel === undefined ? 'not connected yet' : `${Math.round(times.channel - times.start)} ms`;
  summary.replaceChildren(make('span', {}, name), make('strong', {}, total));
  if (peer.connected) pair.steps ??= stepsTo(peer.fingerprint);
  // With an open channel ICE and DTLS are done, even where the browser has told of neither.
  const { channel } = times;
  pair.chart.replaceChildren(chartOf({ ...times, ...(channel && { ice: channel, dtls: channel }), ...pair.steps }));
  if (!peer.connected) return;
  const reports = new Map(Object(await peer.getStats()));
  const reading = read(
    new Map([...reports].map(([id, report]) => [String(id), Object(report)])),
    performance.now(),
    readings.at(-1)?.totals,
  );
  readings.push(reading);
  if (readings.length > POINTS) readings.shift();
  const ends = areAddressesShown ? `: ${reading.addresses.join(' to ')}` : '';
  pair.way.textContent = `Way: ${reading.way}${ends}`;
  pair.meters.replaceChildren(
    ...meter('Round trip', readings, 'roundTrip', (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`),
    ...meter('Loss', readings, 'loss', (value) => `${(value * 100).toFixed(1)} %`),
    ...meter('Bitrate', readings, 'bitrate', (value) => `${(value / 1_000_000).toFixed(2)} Mbit/s`),
  );
}

/** The steps as bars of a table: a picture for the eye, numbers for everybody. */
function chartOf(times: Times): HTMLElement {
  const steps = stages(times);
  const total = Math.max(1, steps.at(-1)?.to ?? 1);
  const rows = steps.map(({ name, from, to }) => {
    const bar = make('span', { className: 'bar-of' });
    bar.style.setProperty('margin-left', `min(${(from / total) * 100}%, 100% - 3px)`); // the least that is seen
    bar.style.setProperty('width', `${((to - from) / total) * 100}%`);
    return make(
      'tr',
      {},
      make('th', { scope: 'row' }, name),
      make('td', { className: 'lane' }, bar),
      make('td', { className: 'number' }, `${(to - from).toFixed(1)} ms`),
    );
  });
  const caption =
    times.socket === undefined ? 'From their coming to the open channel' : 'From your click to the open channel';
  return make('table', { className: 'timeline' }, make('caption', {}, caption), make('tbody', {}, ...rows));
}

function meter(
  name: string,
  readings: Reading[],
  field: 'roundTrip' | 'loss' | 'bitrate',
  format: (value: number) => string,
): HTMLElement[] {
  const last = readings.at(-1)?.[field];
  const values = readings.flatMap((reading) => reading[field] ?? []); // a first one has no difference
  const value = make('dd', {}, make('span', {}, last === undefined ? '–' : format(last)));
  value.append(plot(values, POINTS));
  return [make('dt', {}, name), value];
}
