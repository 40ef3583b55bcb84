/** A small plot of the last values. */
import { drawing } from './icons.ts';

const HEIGHT = 20;

/** A line through `values`, the newest at the right of `points`. */
export function plot(values: number[], points: number): SVGSVGElement {
  const most = Math.max(...values, Number.MIN_VALUE);
  const left = points - values.length;
  const steps = values.map(
    (value, index) => `${left + index} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`,
  );
  const svg = drawing(points, HEIGHT, steps.length > 1 ? `M${steps.join('L')}` : '');
  svg.setAttribute('class', 'plot');
  svg.setAttribute('preserveAspectRatio', 'none');
  return svg;
}
