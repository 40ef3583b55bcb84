import { expect, test } from 'vitest';
import { badRoom, deviceTrouble, pairTrouble, refusal, serverTrouble, strangerTrouble } from './trouble.ts';

const error = (name: string): Error => Object.assign(new Error('as the browser says'), { name });

test.each([
  ['NotAllowedError', 'may not use your camera'],
  ['NotFoundError', 'No camera was found'],
  ['OverconstrainedError', 'No camera was found'],
  ['NotReadableError', 'Another app'],
  ['InsecureContextError', 'secure pages'],
  ['TypeError', 'could not start your camera'],
])('%s has a sentence of its own', (name, title) => {
  const trouble = deviceTrouble('camera', error(name));
  expect(trouble?.title).toContain(title);
  expect(trouble?.text).not.toBe('');
});

test('to show no screen after all is no trouble', () => {
  expect(deviceTrouble('screen', error('NotAllowedError'))).toBeUndefined();
});

const refused = (code: number): Error => Object.assign(new Error('As the server says.'), { code });
const attempt = { room: 'lobby', token: '', origin: 'https://a.test', isSecure: true };

test('a full room and a closed room lead on in different ways', () => {
  expect(refusal(refused(4003), attempt)).toMatchObject({
    title: 'This room is full.',
    way: 'retry or new room',
  });
  expect(refusal(refused(4009), attempt)).toMatchObject({ way: 'new room' });
  expect(refusal(new Error('No key.'), attempt).title).toBe('The link is not complete.');
  expect(refusal(new Error('No key.'), { ...attempt, isSecure: false }).title).toContain('the key in the link');
  expect(badRoom(new Error('roomId is "abc": it must be a string of at least four characters')).text).toContain('4 to');
  expect(badRoom(new Error('There is no WebRTC here.'))).toMatchObject({
    text: 'There is no WebRTC here.',
    way: 'retry',
  });
});

test.each([
  [4401, '', 'This server lets you in only with a room token.', 'token'],
  [4401, 'ey', 'This room token does not open the room.', 'token'],
  [4403, 'ey', 'This room token does not open the room.', 'token'],
  [4403, '', 'This page may not use this server.', 'retry'],
])('refused with %s, with the token %j: %s', (code, token, title, way) => {
  expect(refusal(refused(code), { ...attempt, token })).toEqual({
    title,
    text: expect.stringMatching(
      token ? /^As the server says\..* lobby/ : way === 'token' ? /^Ask.* lobby/ : /https:\/\/a\.test/,
    ),
    way,
  });
});

test('what the server says is told without what the library adds for developers', () => {
  const error = Object.assign(new Error('The room refused: The token has expired. (4401).'), { code: 4401 });
  expect(refusal(error, { ...attempt, token: 'ey' }).text).toMatch(/^The token has expired\. Ask /);
});

test('camera and microphone that are both missing, or both forbidden, are one trouble', () => {
  expect(deviceTrouble('camera and microphone', error('NotFoundError'))?.title).toBe(
    'No camera and no microphone were found.',
  );
  expect(deviceTrouble('camera and microphone', error('NotAllowedError'))?.title).toContain(
    'your camera and microphone',
  );
});

test('who is connected need not fear for the server', () => {
  expect(serverTrouble('reconnecting', undefined, 2)?.title).toContain('still connected to each other');
  expect(serverTrouble('reconnecting', undefined, 0)?.title).not.toContain('connected to each other');
  expect(serverTrouble('connecting', 'Nothing answers.', 0)?.text).toContain('Nothing answers.');
  expect(serverTrouble('closed', undefined, 2)?.title).toContain('no longer lets you in');
  expect(serverTrouble('connecting', undefined, 0)).toBeUndefined();
  expect(serverTrouble('open', undefined, 0)).toBeUndefined();
});

test.each([
  [
    "Nothing answers at https://a.test/health. Check workerUrl (http or https?), the page's Content-Security-Policy, the network and the server.",
    'Nothing answers at https://a.test/health. This page keeps trying.',
  ],
  [
    'https://a.test/health answers 500: It is broken.',
    'https://a.test/health answers 500: It is broken. This page keeps trying.',
  ],
])('who is in a call need not know what an option is: %s', (reason, text) => {
  expect(serverTrouble('connecting', reason, 0)?.text).toBe(text);
});

test('a pair without a way is named, and why', () => {
  const { title, text } = pairTrouble('Ada', 'ICE failed.');
  expect(title).toContain('Ada');
  expect(text).toContain('ICE failed.');
  expect(strangerTrouble('It has the wrong key.').text).toContain('It has the wrong key.');
});
