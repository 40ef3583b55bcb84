import { loadavg } from 'node:os';

/**
 * How many processes ran or waited for a processor, on average of the last minute: with it goes what a figure is worth.
 */
export function machineLoad(): string {
  return loadavg()[0]?.toFixed(1) ?? '';
}
