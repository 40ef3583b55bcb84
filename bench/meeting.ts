/**
 * Plots what a long meeting measured each minute: `SOAK_LOG=soak.jsonl npm run test:soak meeting`, then
 * `node bench/meeting.ts soak.jsonl` makes meeting.svg.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** What is read of a line of the log: see test/soak/meeting.test.ts. */
interface Sample {
  minute: number;
  heapBytes: number;
  sdpBytes: number;
}

const WIDTH = 760;
const LEFT = 60;
const RIGHT = WIDTH - 40;
/** Of one plot, the space for its title included. */
const HEIGHT = 140;
const PLOT_HEIGHT = 100;
/** So many marks on each axis, beside zero. */
const MARKS = 4;

const STYLE = `
  svg { --ground: #fff; --ink: #1f2328; --faint: #d1d9e0; --line: #0969da }
  @media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --ink: #e6edf3; --faint: #30363d; --line: #58a6ff } }
  text { font: 13px system-ui, sans-serif; fill: var(--ink) }
  line { stroke: var(--faint) }
  polyline { fill: none; stroke: var(--line); stroke-width: 2 }
  .end { text-anchor: end }
  .middle { text-anchor: middle }`;

const [, , log = ''] = process.argv;
const samples = readFileSync(log, 'utf8')
  .trim()
  .split('\n')
  .map((line): Sample => JSON.parse(line));
const minutes = samples.at(-1)?.minute ?? 1;
const x = (minute: number): string => (LEFT + (minute / minutes) * (RIGHT - LEFT)).toFixed(1);

/** One value over the time, from zero to `most`. */
function plot(title: string, top: number, most: number, read: (sample: Sample) => number): string {
  const bottom = top + 30 + PLOT_HEIGHT;
  const y = (value: number): string => (bottom - (value / most) * PLOT_HEIGHT).toFixed(1);
  const values = Array.from({ length: MARKS + 1 }, (_, n) => (most * n) / MARKS);
  const grid = values.map(
    (value) =>
      `<line x1="${LEFT}" x2="${RIGHT}" y1="${y(value)}" y2="${y(value)}"/><text class="end" x="${LEFT - 8}" y="${Number(y(value)) + 4}">${value}</text>`,
  );
  const points = samples.map((sample) => `${x(sample.minute)},${y(read(sample))}`).join(' ');
  return `<text x="${LEFT}" y="${top + 18}">${title}</text>\n${grid.join('\n')}\n<polyline points="${points}"/>`;
}

const bottom = 2 * HEIGHT + 40;
const times = Array.from({ length: MARKS + 1 }, (_, n) => (minutes * n) / MARKS).map(
  (minute) => `<text class="middle" x="${x(minute)}" y="${bottom - 8}">${Math.round(minute)} min</text>`,
);
const title = `A meeting of four pages, ${minutes} minutes`;
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom}" role="img" aria-label="${title}">
<style>${STYLE}
</style>
<rect width="${WIDTH}" height="${bottom}" fill="var(--ground)"/>
${plot('JavaScript heap of all pages, garbage collected, in MB', 0, 8, ({ heapBytes }) => heapBytes / 1e6)}
${plot('Longest description of any connection, in kB', HEIGHT, 20, ({ sdpBytes }) => sdpBytes / 1e3)}
${times.join('\n')}
</svg>
`;
writeFileSync(new URL('meeting.svg', import.meta.url), svg);
