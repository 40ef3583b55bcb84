import { expect, test } from 'vitest';
import { type Attempt, failureReason } from './ice-failure.ts';

const sdp = (...candidates: string[]): { sdp: string } => ({
  sdp: ['v=0', ...candidates.map((each) => `a=candidate:${each}`)].join('\r\n'),
});
const mdns = '1 1 udp 2113937151 0b5cc2d8-1a2b.local 50000 typ host generation 0';
const host = '1 1 udp 2113937151 192.168.0.7 50000 typ host generation 0';
const reflexive = '2 1 udp 1677729535 198.51.100.7 50000 typ srflx raddr 0.0.0.0 rport 0';
const relayed = '3 1 udp 33562367 203.0.113.7 50000 typ relay raddr 0.0.0.0 rport 0';
const tcp = '4 1 tcp 1518280447 192.168.0.7 9 typ host tcptype active';
const turn = 'turn:a.dev:3478?transport=udp';
const reachable: Attempt = {
  localDescription: sdp(host, reflexive, relayed),
  remoteDescription: sdp(host, reflexive),
  iceConnectionState: 'failed',
  servers: ['stun:a.dev', turn],
  errors: [],
};

test.each<[string, Partial<Attempt>, string]>([
  ['nothing is missing', {}, 'a firewall may be between'],
  ['no answer', { remoteDescription: null }, 'The other has not answered.'],
  [
    'no answer, relay alone, and TURN that refuses',
    { remoteDescription: null, localDescription: sdp(), errors: [{ url: turn, errorCode: 401, errorText: '' }] },
    `The other has not answered, ${turn} answered 401.`,
  ],
  ['no channel', { iceConnectionState: 'connected' }, 'ICE connected, but the data channel did not open.'],
  ['no channel', { iceConnectionState: 'completed' }, 'ICE connected, but the data channel did not open.'],
  ['no STUN answer', { localDescription: sdp(host) }, `no relay of ${turn}, no STUN answer`],
  ...['8.8.4.4', '172.32.0.1', '100.128.0.1', '11.0.0.1', '192.169.0.1'].map(
    (address): [string, Partial<Attempt>, string] => [
      `no STUN answer is missed at the public address ${address}`,
      { localDescription: sdp(mdns, host.replace('192.168.0.7', address)), servers: ['stun:a.dev'] },
      'no TURN server',
    ],
  ),
  ...['10.0.0.1', '172.31.0.1', '100.64.0.1', '169.254.1.1', '127.0.0.1', '0.0.0.0', '2001:db8::1'].map(
    (address): [string, Partial<Attempt>, string] => [
      `a STUN answer is missed at ${address}`,
      { localDescription: sdp(host.replace('192.168.0.7', address)), servers: ['stun:a.dev'] },
      'no STUN answer, no TURN server',
    ],
  ),
  ['no UDP, and STUN needs it', { localDescription: sdp(tcp) }, `no relay of ${turn}, no STUN answer, no UDP`],
  ['no candidates of ours', { localDescription: sdp(), servers: [turn] }, `no relay of ${turn}, no candidates of ours`],
  ['none of the other', { remoteDescription: sdp() }, 'no candidates of the other'],
  [
    'only mDNS of ours',
    { localDescription: sdp(mdns), servers: [turn] },
    `no relay of ${turn}, only mDNS candidates of ours`,
  ],
  ['only mDNS of the other', { remoteDescription: sdp(mdns, mdns) }, 'only mDNS candidates of the other'],
  ['no TURN server', { servers: ['stun:a.dev'] }, 'no TURN server'],
  [
    'TURN that refuses, told for each network',
    {
      localDescription: sdp(host, reflexive),
      errors: [
        { url: turn, errorCode: 401, errorText: 'Unauthorized' },
        { url: turn, errorCode: 401, errorText: 'Unauthorized' },
        { url: 'turns:b.dev', errorCode: 701, errorText: 'TLS connection failed' },
        { url: 'stun:a.dev', errorCode: 701, errorText: 'timed out' },
      ],
    },
    `${turn} answered 401 Unauthorized, turns:b.dev answered 701 TLS connection failed`,
  ],
  [
    'TURN that says nothing, of two servers',
    { localDescription: sdp(host, reflexive), servers: [turn, 'turns:b.dev'] },
    `no relay of ${turn} or turns:b.dev`,
  ],
  [
    'TURN that does not answer on one of our networks',
    { errors: [{ url: turn, errorCode: 701, errorText: 'timed out' }] },
    'a firewall may be between',
  ],
])('%s', (_name, attempt, words) => {
  const reason = failureReason({ ...reachable, ...attempt }, false);
  expect(reason.replace(/^ICE found no way to the other: (.*)\.$/, '$1')).toBe(words);
});

test('a peer that polls may be of a kind that cannot connect', () => {
  expect(failureReason(reachable, true)).toContain('It polls, as P2PCF does');
});
