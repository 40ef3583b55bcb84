import { expect, test } from 'vitest';
import { isRelayed, trafficOf } from './path.ts';

const relay = ['L', { type: 'local-candidate', candidateType: 'relay' }] as const;
const pair = { type: 'candidate-pair', nominated: true, state: 'succeeded', localCandidateId: 'L' };

test.each([
  ['by a TURN server', [relay, ['P', pair]], true],
  [
    'by a way of its own',
    [
      ['L', { type: 'local-candidate', candidateType: 'host' }],
      ['P', pair],
    ],
    false,
  ],
  ['by a way that the browser does not name', [['P', pair]], false],
  ['by another, and there is one by a TURN server', [relay, ['P', { ...pair, nominated: false }]], false],
  ['by none any more', [relay, ['P', { ...pair, state: 'failed' }]], false],
  ['by none: it is closed', [], false],
] as const)('a connection goes %s', (_way, stats, expected) => {
  expect(isRelayed(new Map<string, unknown>(stats))).toBe(expected);
});

const transport = ['T', { type: 'transport', selectedCandidatePairId: 'P' }] as const;
const counts = { ...pair, requestsSent: 5, responsesReceived: 4, requestsReceived: 3, packetsReceived: 200 };

test.each([
  ['counted', [transport, ['P', counts]], { checks: 5, heard: 207 }],
  ['counted, not that of a path it has left', [['O', pair], transport, ['P', counts]], { checks: 5, heard: 207 }],
  ['counted in part', [transport, ['P', { ...counts, packetsReceived: undefined }]], undefined],
  ['not counted', [transport, ['P', pair]], undefined],
  ['of a path that is not named', [['P', counts]], undefined],
  ['none: it is closed', [], undefined],
] as const)('the traffic of a connection is %s', (_how, stats, expected) => {
  expect(trafficOf(new Map<string, unknown>(stats))).toEqual(expected);
});
