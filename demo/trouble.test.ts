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

test('a room that is full, and one that lets nobody in, lead on in different ways', () => {
  expect(refusal(4003, new Error('x'))).toMatchObject({ title: 'This room is full.', way: 'retry' });
  expect(refusal(4009, new Error('Id is taken'))).toMatchObject({ way: 'new room' });
  expect(refusal(0, new Error('No key.')).title).toContain('the key in the link');
  expect(badRoom(new Error('Room ID must be at least four characters')).text).toContain('four characters. Check');
});

test('who is connected need not fear for the server', () => {
  expect(serverTrouble('reconnecting', undefined, 2)?.title).toContain('still connected to each other');
  expect(serverTrouble('reconnecting', undefined, 0)?.title).not.toContain('connected to each other');
  expect(serverTrouble('connecting', 'Nothing answers.', 0)?.text).toContain('Nothing answers.');
  expect(serverTrouble('closed', undefined, 2)?.title).toContain('no longer lets you in');
  expect(serverTrouble('connecting', undefined, 0)).toBeUndefined();
  expect(serverTrouble('open', undefined, 0)).toBeUndefined();
});

test('a pair without a way is named, and why', () => {
  const { title, text } = pairTrouble('Ada', 'ICE failed.');
  expect(title).toContain('Ada');
  expect(text).toContain('ICE failed.');
  expect(strangerTrouble('It has the wrong key.').text).toContain('It has the wrong key.');
});
