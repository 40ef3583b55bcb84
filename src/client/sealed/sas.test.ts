import { expect, test } from 'vitest';
import { EMOJI } from './emoji.ts';
import { sas } from './sas.ts';

const fingerprint = (byte: string): string => `sha-256 ${Array.from({ length: 32 }, () => byte).join(':')}`;
const sdp = (byte: string): string => `v=0\r\na=fingerprint:${fingerprint(byte)}\r\n`;

test('both ends see the same six digits and seven emoji', async () => {
  const ours = await sas(sdp('AA'), fingerprint('BB'));
  expect(await sas(sdp('BB'), fingerprint('AA'))).toEqual(ours);
  expect(ours.digits).toMatch(/^\d{3} \d{3}$/);
  expect(ours.emoji).toHaveLength(7);
  expect(ours.emoji.every((each) => EMOJI.includes(each))).toBe(true);
});

test('with somebody in between they do not', async () => {
  const [ours, theirs] = await Promise.all([sas(sdp('AA'), fingerprint('CC')), sas(sdp('BB'), fingerprint('CC'))]);
  expect(ours.digits).not.toBe(theirs.digits);
  expect(ours.emoji).not.toEqual(theirs.emoji);
});

test('there are 64 emoji, each once, so that each is six bits', () => {
  expect(new Set(EMOJI).size).toBe(64);
});

test('before the other is known there is none, and an error says so', async () => {
  await expect(sas(undefined, undefined)).rejects.toThrow('before the peer is connected');
});
