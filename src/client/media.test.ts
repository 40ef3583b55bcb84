import { expect, test } from 'vitest';
import { canSendAgain } from './media.ts';

const setStreams = (): void => undefined;

test.each([
  ['nothing goes either way', 'inactive', 'video', setStreams, true],
  ['the other goes on sending', 'recvonly', 'video', setStreams, true],
  ['the other has not learned that the track was removed', 'sendrecv', 'video', setStreams, false],
  ['the same, and it sends nothing', 'sendonly', 'video', setStreams, false],
  ['it has never been negotiated', null, 'video', setStreams, false],
  ['it was stopped', 'stopped', 'video', setStreams, false],
  ['it is of another kind', 'inactive', 'audio', setStreams, false],
  ['the browser cannot name another stream', 'inactive', 'video', undefined, false],
])('whether a transceiver sends again where %s', (_where, currentDirection, kind, setStreams, expected) => {
  const transceiver = Object({ currentDirection, sender: { setStreams }, receiver: { track: { kind } } });
  expect(canSendAgain(transceiver, 'video')).toBe(expected);
});
