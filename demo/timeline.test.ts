import { expect, test } from 'vitest';
import { stages } from './timeline.ts';

test('each step begins where the one before ends', () => {
  const times = { start: 100, socket: 110, peers: 115, offer: 116, answer: 120, ice: 125, dtls: 131, channel: 133 };
  expect(stages(times)).toEqual([
    { name: 'Socket', from: 0, to: 10 },
    { name: 'Peers', from: 10, to: 15 },
    { name: 'Offer', from: 15, to: 16 },
    { name: 'Answer', from: 16, to: 20 },
    { name: 'ICE', from: 20, to: 25 },
    { name: 'DTLS', from: 25, to: 31 },
    { name: 'Channel', from: 31, to: 33 },
  ]);
});

test('an offer that was made ahead takes no time', () => {
  expect(stages({ start: 100, offer: 20, answer: 108, channel: 120 })).toEqual([
    { name: 'Offer', from: 0, to: 0 },
    { name: 'Answer', from: 0, to: 8 },
    { name: 'Channel', from: 8, to: 20 },
  ]);
});

test('what is not done yet is not shown', () => {
  expect(stages({ start: 100 })).toEqual([]);
});

test('what the browser tells of after the channel was open was done by then', () => {
  expect(stages({ start: 100, offer: 105, answer: 140, ice: 120, dtls: 150, channel: 130 })).toEqual([
    { name: 'Offer', from: 0, to: 5 },
    { name: 'Answer', from: 5, to: 30 },
    { name: 'ICE', from: 30, to: 30 },
    { name: 'DTLS', from: 30, to: 30 },
    { name: 'Channel', from: 30, to: 30 },
  ]);
});
