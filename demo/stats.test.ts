import { expect, test } from 'vitest';
import { type Report, read } from './stats.ts';

function reports(own: Report, other: Report, pair: Report = {}, streams: Report[] = []): Map<string, Report> {
  return new Map<string, Report>([
    ['transport', { type: 'transport', selectedCandidatePairId: 'pair' }],
    ['pair', { type: 'candidate-pair', localCandidateId: 'own', remoteCandidateId: 'other', ...pair }],
    ['own', own],
    ['other', other],
    ...streams.map((stream, index): [string, Report] => [`in${index}`, { type: 'inbound-rtp', ...stream }]),
  ]);
}

const host = (address?: string): Report => ({ candidateType: 'host', address });

test.each([
  [host('192.168.1.2'), host('192.168.1.3'), 'the same network'],
  [host('fd00::1'), host('fd00::2'), 'the same network'],
  [host('172.16.0.1'), host('172.32.0.1'), 'direct'],
  [host('192.168.1.2'), { candidateType: 'prflx' }, 'the same network'],
  [host('10.0.0.1'), host('a-b.local'), 'the same network'],
  [host('192.168.1.2'), { candidateType: 'prflx', address: '203.0.113.9' }, 'direct'],
  [host('2001:db8::1'), host('2001:db8:1::2'), 'direct'],
  [host('2001:db8::1'), host('2001:db8::a:2'), 'the same network'],
  [host('2001:db8:0:0:1:2:3:4'), host('2001:db8::1'), 'the same network'],
  [host('198.51.100.7'), host('198.51.100.7'), 'the same network'],
  [host('198.51.100.7'), host('198.51.101.7'), 'direct'],
  [{ candidateType: 'srflx', address: '192.168.1.2' }, host('192.168.1.3'), 'direct'],
  [{ candidateType: 'relay', address: '192.168.1.2' }, host('192.168.1.3'), 'relayed'],
  [host('192.168.1.2'), { candidateType: 'relay', address: '203.0.113.9' }, 'relayed'],
])('from %j to %j the way is %s', (own, other, way) => {
  expect(read(reports(own, other), 0).way).toBe(way);
});

test('before there is a pair, nothing is known', () => {
  const reading = read(new Map(), 0);
  expect(reading).toMatchObject({ way: 'unknown', roundTrip: undefined, loss: undefined, bitrate: undefined });
});

test('Firefox marks the pair itself', () => {
  const firefox = reports(host('10.0.0.1'), host('10.0.0.2'), { selected: true });
  firefox.delete('transport');
  expect(read(firefox, 0).way).toBe('the same network');
});

test('loss and bitrate are those since the reading before', () => {
  const [own, other] = [host('10.0.0.1'), host('10.0.0.2')];
  const first = reports(own, other, { bytesSent: 1000, bytesReceived: 1000 }, [
    { packetsReceived: 10, packetsLost: 5 },
  ]);
  const { totals } = read(first, 1000);
  const pair = { bytesSent: 2000, bytesReceived: 2500, currentRoundTripTime: 0.012 };
  const streams = [
    { packetsReceived: 60, packetsLost: 5 },
    { packetsReceived: 30, packetsLost: 20 },
  ];
  const reading = read(reports(own, other, pair, streams), 3000, totals);
  expect(reading).toMatchObject({ roundTrip: 12, loss: 0.2, bitrate: 10_000 });
});

test('addresses are written as they are, or not at all', () => {
  const candidates = reports(
    { ...host('fd00::1'), port: 5000, protocol: 'udp' },
    { ...host(), port: 9, protocol: 'tcp' },
  );
  expect(read(candidates, 0).addresses).toEqual(['[fd00::1]:5000 udp', 'hidden by the browser:9 tcp']);
});
