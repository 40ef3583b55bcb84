/** What WebRTC's statistics say of a connection, as far as a person wants to know. */

/** A report as it comes from a browser: fields may be missing, and browsers differ in which. */
export type Report = Record<string, unknown>;

export type Way = 'the same network' | 'direct' | 'relayed' | 'unknown';

export interface Reading {
  way: Way;
  /** Both ends of the way, as `address:port`, or what the browser says in place of an address. */
  addresses: [own: string, other: string];
  /** ms. */
  roundTrip: number | undefined;
  /** Since the reading before: the share, 0 to 1, of the other's packets that were lost. */
  loss: number | undefined;
  /** Since the reading before, both ways together, in bits per second. */
  bitrate: number | undefined;
  /** What the next reading is compared with. */
  totals: Totals;
}

interface Totals {
  at: number;
  bytes: number;
  packets: number;
  lost: number;
}

/** `reports` by id, as getStats() gives them; `before` are the totals of the reading before. */
export function read(reports: ReadonlyMap<string, Report>, now: number, before?: Totals): Reading {
  const all = [...reports.values()];
  const pair = chosenPair(reports);
  const ends = [reports.get(text(pair?.['localCandidateId'])), reports.get(text(pair?.['remoteCandidateId']))] as const;
  const streams = all.filter(({ type }) => type === 'inbound-rtp');
  const totals = {
    at: now,
    bytes: number(pair?.['bytesSent']) + number(pair?.['bytesReceived']),
    packets: sum(streams, 'packetsReceived'),
    lost: sum(streams, 'packetsLost'),
  };
  const seconds = before ? (now - before.at) / 1000 : 0;
  const lost = totals.lost - (before?.lost ?? 0);
  const expected = totals.packets - (before?.packets ?? 0) + lost;
  const trip = pair?.['currentRoundTripTime'];
  return {
    way: wayOf(ends[0], ends[1]),
    addresses: [endOf(ends[0]), endOf(ends[1])],
    roundTrip: typeof trip === 'number' ? trip * 1000 : undefined,
    loss: before && expected > 0 ? Math.min(1, Math.max(0, lost / expected)) : undefined,
    // Another pair counts from zero again.
    bitrate:
      seconds > 0 && before && totals.bytes >= before.bytes ? ((totals.bytes - before.bytes) * 8) / seconds : undefined,
    totals,
  };
}

/** Chromium names it in the transport, Firefox (153) marks the pair as selected. */
function chosenPair(reports: ReadonlyMap<string, Report>): Report | undefined {
  const all = [...reports.values()];
  const chosen = all.find(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId);
  return reports.get(text(chosen?.['selectedCandidatePairId'])) ?? all.find(({ selected }) => selected === true);
}

function wayOf(own: Report | undefined, other: Report | undefined): Way {
  if (!own || !other) return 'unknown';
  const kinds = [own['candidateType'], other['candidateType']];
  if (kinds.includes('relay')) return 'relayed';
  const isSame = !kinds.includes('srflx') && ((isLocal(own) && isLocal(other)) || networkOf(own) === networkOf(other));
  return isSame ? 'the same network' : 'direct';
}

/** A browser that hides its local address gives none, or a name that ends in .local: either is of the same network. */
function isLocal({ address }: Report): boolean {
  const host = text(address);
  return (
    host === '' ||
    host.endsWith('.local') ||
    /^(127|10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\./.test(host) ||
    /^(::1$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)/i.test(host)
  );
}

/**
 * The first three parts of an IPv4 address, the first four of an IPv6 one: in a home, the rest tells the devices apart.
 */
function networkOf({ address }: Report): string {
  const host = text(address);
  if (!host.includes(':')) return host.split('.').slice(0, 3).join('.');
  const [head = '', tail = ''] = host.split('::');
  const zeros = host.includes('::') ? 8 - [...head.split(':'), ...tail.split(':')].filter(Boolean).length : 0;
  return [...head.split(':').filter(Boolean), ...Array<string>(zeros).fill('0')].slice(0, 4).join(':');
}

function endOf(candidate: Report | undefined): string {
  if (!candidate) return 'unknown';
  const { address, port, protocol } = candidate;
  const host = text(address) || 'hidden by the browser';
  return `${host.includes(':') ? `[${host}]` : host}:${number(port)} ${text(protocol)}`;
}

function sum(reports: Report[], field: string): number {
  return reports.reduce((total, report) => total + number(report[field]), 0);
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
