import { describe, expect, test } from 'vitest';
import {
  fingerprintsOf,
  isFirefox,
  restartsIce,
  type Signaling,
  type Situation,
  type Step,
  stepFor,
  stepForNeededOffer,
  wayFor,
} from './negotiation.ts';

/** A connection that is new: nothing has been sent or heard. */
const fresh: Situation = {
  attempt: 'ours',
  isInitiator: true,
  polls: false,
  isOursFirefox: false,
  isTheirsFirefox: false,
  signalingState: 'stable',
  isMakingOffer: false,
  hasAnsweredAhead: false,
  theirSdp: undefined,
  theirOffer: undefined,
  theirAnswer: undefined,
  isPolite: true,
  isOfferLost: false,
  isConnected: false,
  isAlive: false,
  fingerprint: undefined,
  isPinned: false,
};
const offered: Situation = { ...fresh, signalingState: 'have-local-offer' };
const making: Situation = { ...fresh, isMakingOffer: true };
const answered: Situation = { ...fresh, theirSdp: 'taken', theirOffer: 'taken', theirAnswer: 'taken' };
const ofWorded = { theirSdp: 'v=0\r\na=ice-ufrag:abcd\r\n' };
const worded: Situation = { ...answered, ...ofWorded };
const silent: Situation = { ...answered, isConnected: true, isPinned: true };
const connected: Situation = { ...silent, isAlive: true };
const renegotiating: Situation = { ...connected, signalingState: 'have-local-offer' };
const impolite = { isPolite: false };
const lost = { isOfferLost: true };
const dead = { isAlive: false };
const withFirefox = { isTheirsFirefox: true };
const inFirefox = { isOursFirefox: true };

type Case = [name: string, ours: Situation, sdp: string, attempt: string, step: Step];

describe('an offer', () => {
  test.each<Case>([
    ['the first', fresh, 'new', 'theirs', 'answer'],
    ['the first, unmarked', fresh, 'new', 'ours', 'answer'],
    ['the offer that is to get the answer made ahead', { ...offered, hasAnsweredAhead: true }, 'new', 'theirs', 'pair'],
    ['the next, when connected', connected, 'new', 'ours', 'answer'],
    ['the next, when only answered', answered, 'new', 'ours', 'answer'],

    ['again, the answer was lost', answered, 'taken', 'ours', 'resend answer'],
    ['again, when connected', connected, 'taken', 'ours', 'resend answer'],
    ['again, while we offer', renegotiating, 'taken', 'ours', 'resend answer'],
    ['again, after an answer', { ...connected, theirSdp: 'answer' }, 'taken', 'ours', 'drop'],
    ['again, after an answer, while we offer', { ...renegotiating, theirSdp: 'answer' }, 'taken', 'ours', 'drop'],
    ['the same text for another connection', answered, 'taken', 'theirs', 'renew'],

    ['of Firefox, while we renegotiate', { ...renegotiating, ...withFirefox }, 'new', 'ours', 'resend offer'],
    ['of Firefox, while we make one', { ...connected, isMakingOffer: true, ...withFirefox }, 'new', 'ours', 'ignore'],
    ['to Firefox, that renegotiates', { ...renegotiating, ...impolite, ...inFirefox }, 'new', 'ours', 'answer'],
    ['of Firefox to Firefox', { ...renegotiating, ...inFirefox, ...withFirefox }, 'new', 'ours', 'answer'],
    ['of Firefox, while we offer the first', { ...offered, ...withFirefox }, 'new', 'theirs', 'renew'],

    ['for a new connection, when answered', answered, 'new', 'theirs', 'renew'],
    ['for a new connection, when connected', silent, 'new', 'theirs', 'renew'],
    ['for a new connection, when connected to a peer that is there', connected, 'new', 'theirs', 'drop'],
    ['for a new connection, while we renegotiate', { ...renegotiating, ...dead }, 'new', 'theirs', 'renew'],
    ['the same, impolite', { ...renegotiating, ...dead, ...impolite }, 'new', 'theirs', 'renew'],

    ['first offers crossed, polite', offered, 'new', 'theirs', 'renew'],
    ['first offers crossed, polite, unmarked', offered, 'new', 'ours', 'renew'],
    ['first offers crossed, impolite', { ...offered, ...impolite }, 'new', 'theirs', 'resend offer'],
    ['first offers crossed, impolite, unmarked', { ...offered, ...impolite }, 'new', 'ours', 'resend offer'],
    ['while we make our first, polite', making, 'new', 'theirs', 'renew'],
    ['while we make our first, impolite', { ...making, ...impolite }, 'new', 'theirs', 'ignore'],
    ['our first is lost, polite', { ...offered, ...lost }, 'new', 'theirs', 'renew'],
    ['our first is lost, impolite', { ...offered, ...lost, ...impolite }, 'new', 'theirs', 'renew'],

    ['later offers crossed, polite: rolled back', renegotiating, 'new', 'ours', 'answer'],
    ['later offers crossed, impolite', { ...renegotiating, ...impolite }, 'new', 'ours', 'resend offer'],
    ['while we make a later one, polite', { ...connected, isMakingOffer: true }, 'new', 'ours', 'answer'],
    [
      'while we make a later one, impolite',
      { ...connected, isMakingOffer: true, ...impolite },
      'new',
      'ours',
      'ignore',
    ],
    ['our later one is lost, impolite', { ...renegotiating, ...lost, ...impolite }, 'new', 'ours', 'answer'],
  ])('%s', (_name, ours, sdp, attempt, step) => {
    expect(stepFor({ type: 'offer', sdp }, attempt, ours)).toBe(step);
  });
});

describe('an answer', () => {
  test.each<Case>([
    ['to our first offer', offered, 'new', 'ours', 'take'],
    ['to a later offer', renegotiating, 'new', 'ours', 'take'],
    ['whoever is polite', { ...offered, ...impolite }, 'new', 'ours', 'take'],
    ['again', answered, 'taken', 'ours', 'drop'],
    ['again, when connected', connected, 'taken', 'ours', 'drop'],
    ['again, while our next offer is out', renegotiating, 'taken', 'ours', 'drop'],
    [
      'again, after an offer, while our next offer is out',
      { ...renegotiating, theirSdp: 'offer' },
      'taken',
      'ours',
      'drop',
    ],
    ['again, while ICE restarts', { ...renegotiating, ...dead }, 'taken', 'ours', 'drop'],
    ['while we make our offer', making, 'new', 'ours', 'drop'],
    [
      'while the answer that we made ahead waits for its offer',
      { ...offered, hasAnsweredAhead: true },
      'new',
      'theirs',
      'drop',
    ],
    ['to an offer that we gave up, while the next is out', offered, 'new', 'theirs', 'drop'],
    ['to an offer that we gave up, when connected', connected, 'new', 'theirs', 'drop'],
    ['to an offer we know nothing of', fresh, 'new', 'theirs', 'start over'],
    ['to an offer we know nothing of, unmarked', fresh, 'new', 'ours', 'start over'],
    ['to an offer that we gave up for theirs', answered, 'new', 'theirs', 'start over'],
    ['that we have had, from another connection', answered, 'taken', 'theirs', 'drop'],
    ['again, in other words', worded, 'v=1\r\na=ice-ufrag:abcd\r\n', 'ours', 'drop'],
    [
      'again, in other words, while it is silent',
      { ...silent, ...ofWorded },
      'v=1\r\na=ice-ufrag:abcd\r\n',
      'ours',
      'drop',
    ],
    ['again, from a new connection of the other', worded, 'v=0\r\na=ice-ufrag:efgh\r\n', 'ours', 'start over'],
    ['the same, while it is silent', { ...silent, ...ofWorded }, 'v=0\r\na=ice-ufrag:efgh\r\n', 'ours', 'start over'],
    [
      'the same, while the connection lives',
      { ...connected, ...ofWorded },
      'v=0\r\na=ice-ufrag:efgh\r\n',
      'ours',
      'drop',
    ],
  ])('%s', (_name, ours, sdp, attempt, step) => {
    expect(stepFor({ type: 'answer', sdp }, attempt, ours)).toBe(step);
  });
});

describe('a certificate', () => {
  const ofBob = 'v=0\r\na=fingerprint:sha-256 AB:CD\r\nm=x\r\na=fingerprint:SHA-256 ab:cd\r\n';
  const ofEve = 'v=0\r\na=fingerprint:sha-256 EF:01\r\n';
  const bob = { fingerprint: 'sha-256 AB:CD' };
  test.each<['offer' | 'answer', string, Situation, string, string, Step]>([
    ['offer', 'of the other', { ...connected, ...bob }, ofBob, 'ours', 'answer'],
    ['offer', 'of a stranger', { ...connected, ...bob }, ofEve, 'theirs', 'refuse'],
    ['offer', 'of a stranger, unmarked', { ...connected, ...bob }, ofEve, 'ours', 'refuse'],
    ['offer', 'of a stranger, when silent', { ...silent, ...bob }, ofEve, 'theirs', 'refuse'],
    ['offer', 'of a stranger, on a new connection', { ...fresh, ...bob, isPinned: true }, ofEve, 'theirs', 'refuse'],
    ['offer', 'of none, when pinned', { ...connected, ...bob }, 'v=0', 'ours', 'refuse'],
    ['offer', 'of two', fresh, ofBob + ofEve, 'theirs', 'drop'],
    ['offer', 'of two, one of them the other’s', { ...connected, ...bob }, ofEve + ofBob, 'ours', 'drop'],
    ['offer', 'another before it is proved', { ...answered, ...bob }, ofEve, 'theirs', 'renew'],
    ['offer', 'another before it is proved, unmarked', { ...answered, ...bob }, ofEve, 'ours', 'renew'],
    ['answer', 'of the other', { ...renegotiating, ...bob }, ofBob, 'ours', 'take'],
    ['answer', 'of a stranger', { ...renegotiating, ...bob }, ofEve, 'ours', 'refuse'],
    ['answer', 'of a stranger, on a new connection', { ...offered, ...bob, isPinned: true }, ofEve, 'ours', 'refuse'],
    [
      'answer',
      'another before it is proved',
      { ...answered, ...bob, signalingState: 'have-local-offer' },
      ofEve,
      'ours',
      'drop',
    ],
    ['answer', 'the first', offered, ofBob, 'ours', 'take'],
    ['answer', 'of two', offered, ofBob + ofEve, 'ours', 'drop'],
  ])('%s: %s', (type, _name, ours, sdp, attempt, step) => {
    expect(stepFor({ type, sdp }, attempt, ours)).toBe(step);
  });

  test.each([
    ['in large letters, before the true one', `v=0\r\na=FINGERPRINT:i-am-bob\r\n${ofEve}`],
    ['in large letters, with digits', `v=0\r\nA=FINGERPRINT:sha-256 AB:CD\r\n${ofEve}`],
    ['that ends on the next line', `v=0\r\na=fingerprint:sha-256\r\nAB:CD\r\n`],
    ['without digits', `${ofBob}a=fingerprint:sha-256\r\n`],
    ['with a tab', `${ofBob}a=fingerprint:sha-256\tAB:CD\r\n`],
    ['with more behind it', `v=0\r\na=fingerprint:sha-256 AB:CD <svg/onload=alert(1)>\r\n`],
    ['with a name of its own', `${ofBob}a=fingerprint-of:sha-256 EF:01\r\n`],
    ['of letters', `v=0\r\na=fingerprint:sha-256 BO:BB:YY\r\n`],
    ['beside one behind a space', `${ofBob}a= fingerprint:sha-256 EF:01\r\n`],
    ['beside one behind a tab', `${ofBob}a=\tFingerprint:sha-256 EF:01\r\n`],
    ['beside one behind a colon', `a=:fingerprint:sha-256 EF:01\r\n${ofBob}`],
  ])('%s is none, and the description is dropped', (_what, sdp) => {
    expect(stepFor({ type: 'offer', sdp }, 'theirs', fresh)).toBe('drop');
    expect(stepFor({ type: 'answer', sdp }, 'ours', offered)).toBe('drop');
    for (const fingerprint of fingerprintsOf(sdp)) expect(fingerprint).toMatch(/^sha-256 (AB:CD|EF:01)$/);
  });

  test('is read in one form, each once', () => {
    expect(fingerprintsOf(ofBob)).toEqual(['sha-256 AB:CD']);
    expect(fingerprintsOf(ofBob + ofEve)).toEqual(['sha-256 AB:CD', 'sha-256 EF:01']);
    expect(fingerprintsOf('v=0\r\n')).toEqual([]);
  });
});

describe('an offer that comes late by the room', () => {
  const of = (version: number, session = '4611686018427387905', name = '-'): string =>
    `v=0\r\no=${name} ${session} ${version} IN IP4 127.0.0.1\r\ns=-\r\n`;
  const said: Situation = { ...connected, theirSdp: of(10), theirOffer: of(3) };
  const ofFirefox = (version: number): string => of(version, '1', 'mozilla...THIS_IS_SDPARTA-99.0');
  test.each<Case>([
    ['given up since then', said, of(9), 'ours', 'drop'],
    ['given up since then, while we offer', { ...said, signalingState: 'have-local-offer' }, of(9), 'ours', 'drop'],
    ['of Firefox, given up since then', { ...said, theirSdp: ofFirefox(2) }, ofFirefox(1), 'ours', 'drop'],
    ['made since then', said, of(11), 'ours', 'answer'],
    ['that nobody counts, as from node-datachannel', { ...said, theirSdp: of(0, '7') }, of(0, '8'), 'ours', 'answer'],
    ['of another connection, unmarked', said, of(2, '8'), 'ours', 'answer'],
    ['of another connection', { ...said, ...dead }, of(2, '8'), 'theirs', 'renew'],
    ['without an origin', said, 'v=0\r\n', 'ours', 'answer'],
    ['after a description without an origin', { ...said, theirSdp: 'v=0\r\n' }, of(9), 'ours', 'answer'],
    ['the first', fresh, of(9), 'theirs', 'answer'],
  ])('%s', (_name, ours, sdp, attempt, step) => {
    expect(stepFor({ type: 'offer', sdp }, attempt, ours)).toBe(step);
  });
});

test('of two whose first offers cross, exactly one gives way, whatever each is doing', () => {
  for (const polite of [offered, making]) {
    for (const other of [offered, making]) {
      expect(stepFor({ type: 'offer', sdp: 'b' }, 'theirs', polite)).toBe('renew');
      const step = stepFor({ type: 'offer', sdp: 'a' }, 'theirs', { ...other, ...impolite });
      expect(step).toBe(other === making ? 'ignore' : 'resend offer');
    }
  }
});

const later = { ...fresh, isInitiator: false };
test.each<[string, Situation, string]>([
  ['connected', { ...later, isConnected: true }, 'offer'],
  ['connected, already making one', { ...connected, isMakingOffer: true }, 'drop'],
  ['connected to a peer that polls', { ...connected, polls: true }, 'offer'],
  ['the initiator', fresh, 'offer'],
  ['the initiator, making one', making, 'drop'],
  ['the other', later, 'offer later'],
  ['to a peer that polls', { ...fresh, polls: true }, 'offer later'],
])('a needed offer: %s', (_name, ours, step) => {
  expect(stepForNeededOffer(ours)).toBe(step);
});

test('Firefox and a restart of ICE are told by the description', () => {
  expect(isFirefox({ sdp: 'v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n' })).toBe(true);
  expect(isFirefox({ sdp: 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n' })).toBe(false);
  expect(isFirefox(null)).toBe(false);
  const before = { sdp: 'v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:x\r\n' };
  expect(restartsIce(before, { sdp: 'v=0\r\nm=x\r\na=ice-ufrag:abcd\r\n' })).toBe(false);
  expect(restartsIce(before, { sdp: 'v=0\r\na=ice-ufrag:efgh\r\n' })).toBe(true);
  expect(restartsIce(null, before)).toBe(false);
});

describe('a signal of ours', () => {
  const up: Signaling = { fitsRoom: true, isConnected: true, polls: false, isRestarting: false, state: 'connected' };
  const tooLarge = { fitsRoom: false };
  const unconnected = { isConnected: false };
  const disconnected = { state: 'disconnected' } as const;
  const failed = { state: 'failed' } as const;
  const restarted = { isRestarting: true };
  const polling = { polls: true };
  test.each<[name: string, signaling: Signaling, way: ReturnType<typeof wayFor>]>([
    ['while we are connected', up, 'channel'],
    ['while an offer of Firefox’s is out', { ...up, state: 'connecting' }, 'channel'],
    ['while a restart of Firefox’s is out', { ...up, ...restarted, state: 'connecting' }, 'room'],
    ['before the channel is open', { ...up, ...unconnected }, 'room'],
    ['while ICE restarts', { ...up, ...restarted }, 'room'],
    ['when ICE is disconnected', { ...up, ...disconnected }, 'room'],
    ['when ICE has failed', { ...up, ...failed }, 'room'],
    ['to a peer that polls', { ...up, ...polling }, 'channel'],
    ['to a peer that polls, when ICE has failed', { ...up, ...polling, ...failed }, 'channel'],
    ['to a peer that polls, before the channel is open', { ...up, ...polling, ...unconnected }, 'room'],

    ['too large for the room', { ...up, ...tooLarge }, 'channel'],
    ['too large, while ICE restarts', { ...up, ...tooLarge, ...restarted }, 'channel'],
    ['too large, when ICE is disconnected', { ...up, ...tooLarge, ...disconnected }, 'channel'],
    ['too large, when ICE has failed', { ...up, ...tooLarge, ...failed }, 'none'],
    ['too large, before the channel is open', { ...up, ...tooLarge, ...unconnected }, 'none'],
    ['too large, to a peer that polls, when ICE has failed', { ...up, ...tooLarge, ...polling, ...failed }, 'channel'],
  ])('%s', (_name, signaling, way) => {
    expect(wayFor(signaling)).toBe(way);
  });
});
