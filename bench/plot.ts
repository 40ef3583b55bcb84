/** A plot of how late messages are, as SVG. */
import { quantile } from './statistics.ts';

export interface Line {
  name: string;
  /** How many ms each of those took that arrived. */
  ms: number[];
  /** How many were sent. */
  sent: number;
}

const WIDTH = 760;
const HEIGHT = 440;
/** Where the axes are, in the picture. */
const LEFT = 70;
const RIGHT = WIDTH - 24;
const TOP = 62;
const BOTTOM = HEIGHT - 58;
/** Between two marks of the axis of time, in ms. */
const STEP_MS = 100;
/** The points of a line: enough to look smooth, and the 99th percentile is one of them. */
const SHARES = Array.from({ length: 200 }, (_, n) => (n + 1) / 200);

const STYLE = `
  svg { --ground: #fff; --ink: #1f2328; --faint: #d1d9e0; --line-0: #bc4c00; --line-1: #0969da }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --ink: #e6edf3; --faint: #30363d; --line-0: #f0883e; --line-1: #58a6ff }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--ink) }
  .title { font-size: 17px; font-weight: 600 }
  .grid { stroke: var(--faint) }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .middle { text-anchor: middle }
  .end { text-anchor: end }`;

/** For each line, the share of all that were sent that has arrived after so many ms; a dot at the 99th percentile. */
export function plot(title: string, lines: readonly [Line, Line]): string {
  const most = Math.max(...lines.flatMap(({ ms }) => ms));
  const marks = Array.from({ length: Math.ceil(most / STEP_MS) + 1 }, (_, n) => n * STEP_MS);
  const x = (ms: number): string => (LEFT + (ms / (marks.at(-1) ?? most)) * (RIGHT - LEFT)).toFixed(1);
  const y = (share: number): string => (BOTTOM - share * (BOTTOM - TOP)).toFixed(1);
  const grid = [
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (share) =>
        `<path class="grid" d="M${LEFT} ${y(share)}H${RIGHT}"/>` +
        text(LEFT - 10, Number(y(share)) + 4.5, `${100 * share} %`, 'end'),
    ),
    ...marks.map((ms) => text(x(ms), BOTTOM + 22, String(ms), 'middle')),
  ];
  const curves = lines.map(({ ms, sent }, index) => {
    const steps = SHARES.map((share) => `L${x(quantile(ms, share))} ${y((share * ms.length) / sent)}`);
    const path = `M${x(0)} ${y(0)}H${x(Math.min(...ms))}${steps.join('')}H${RIGHT}`;
    return `<path class="line" stroke="var(--line-${index})" d="${path}"/>${dot(
      x(quantile(ms, 0.99)),
      y((0.99 * ms.length) / sent),
      index,
    )}`;
  });
  const legend = lines.map(({ name, ms, sent }, index) => {
    const height = BOTTOM - 54 + 27 * index;
    const lost = 100 * (1 - ms.length / sent);
    const facts = `99th percentile ${quantile(ms, 0.99).toFixed(0)} ms, ${lost > 0 ? `${lost.toFixed(1)} %` : 'none'} lost`;
    return (
      `<path class="line" stroke="var(--line-${index})" d="M${RIGHT - 390} ${height}h34"/>` +
      dot(RIGHT - 373, height, index) +
      text(RIGHT - 346, height + 4.5, `${name}: ${facts}`)
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title">`,
    `<style>${STYLE}\n</style>`,
    `<rect width="100%" height="100%" rx="8" fill="var(--ground)"/>`,
    `<text id="title" class="title" x="${LEFT}" y="34">${title}</text>`,
    ...grid,
    ...curves,
    ...legend,
    text((LEFT + RIGHT) / 2, HEIGHT - 14, 'ms after the message was sent', 'middle'),
    `<text class="middle" transform="translate(20 ${(TOP + BOTTOM) / 2}) rotate(-90)">arrived, of all that were sent</text>`,
    '</svg>\n',
  ].join('\n');
}

function text(x: number | string, y: number, words: string, where = ''): string {
  return `<text class="${where}" x="${x}" y="${y}">${words}</text>`;
}

function dot(x: number | string, y: number | string, index: number): string {
  return `<circle r="5" cx="${x}" cy="${y}" fill="var(--line-${index})" stroke="var(--ground)" stroke-width="1.5"/>`;
}
