import { expect, test } from 'vitest';
import { canSendAgain, oneWayIn } from './media.ts';

const setStreams = (): void => undefined;

test.each([
  ['nothing goes either way', 'inactive', 'video', setStreams, true],
  ['the other goes on sending', 'recvonly', 'video', setStreams, true],
  ['the other has not learned that the track was removed', 'sendrecv', 'video', setStreams, false],
  ['the same, and it sends nothing', 'sendonly', 'video', setStreams, false],
  ['it has never been negotiated', null, 'video', setStreams, false],
  ['no description has had it', null, 'video', setStreams, true, null],
  ['it may be in the offer that is being made', null, 'video', setStreams, false, null, true],
  ['it was stopped', 'stopped', 'video', setStreams, false],
  ['it is of another kind', 'inactive', 'audio', setStreams, false],
  ['the browser cannot name another stream', 'inactive', 'video', undefined, false],
])(
  'whether a transceiver sends again where %s',
  (_where, currentDirection, kind, setStreams, expected, mid: null | string = '1', isMakingOffer = false) => {
    const transceiver = Object({ mid, currentDirection, sender: { setStreams }, receiver: { track: { kind } } });
    expect(canSendAgain(transceiver, 'video', isMakingOffer)).toBe(expected);
  },
);

test('the m-lines on which the other takes nothing are found whatever the order of their lines', () => {
  const lines = [
    'm=video 9',
    'a=mid:1',
    'a=sendonly',
    'm=audio 9',
    'a=sendrecv',
    'a=mid:2',
    'm=video 9',
    'a=sendonly',
    'a=mid:x',
    'm=video 9',
    'a=mid:y',
    'a=inactive',
    'm=audio 9',
    'a=recvonly',
    'a=mid:z',
  ];
  expect(oneWayIn(`v=0\r\na=sendrecv\r\n${lines.join('\r\n')}\r\n`)).toEqual(new Set(['1', 'x', 'y']));
});
