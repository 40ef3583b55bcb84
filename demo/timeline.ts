/** From click to open channel: the steps, in ms. */
import type { Steps } from './stopwatch.ts';

/** When each step was done, as performance.now(). What came before the start was made ahead. */
export interface Times extends Steps {
  start: number;
  /** For a client that joins: it opens its WebSocket first. */
  socket?: number;
  peers?: number;
  channel?: number;
}

/** One step: from when to when, in ms after the start. */
export interface Stage {
  name: string;
  from: number;
  to: number;
}

const NAMES = {
  socket: 'Socket',
  peers: 'Peers',
  offer: 'Offer',
  answer: 'Answer',
  ice: 'ICE',
  dtls: 'DTLS',
  channel: 'Channel',
} satisfies Record<Exclude<keyof Times, 'start'>, string>;

const ORDER = ['socket', 'peers', 'offer', 'answer', 'ice', 'dtls', 'channel'] as const;

/**
 * The steps that are done, in their order: each begins where the one before ends. With an open channel all are done:
 * the browser may tell of some later.
 */
export function stages(times: Times): Stage[] {
  const { channel: last = Number.POSITIVE_INFINITY } = times;
  let before = 0;
  return ORDER.flatMap((step) => {
    const at = times[step];
    if (at === undefined) return [];
    const to = Math.max(before, Math.min(at, last) - times.start);
    const stage = { name: NAMES[step], from: before, to };
    before = to;
    return [stage];
  });
}
