import { afterEach, describe, expect, test, vi } from 'vitest';
import { Allowance, attemptFault, mLinesIn, sizeFault } from './limits.ts';

/** A description in which all m-lines are on one connection, as browsers have it. */
function shared(sdp: string): string {
  const [session = '', ...mLines] = sdp.split('\r\nm=');
  const named = mLines.map((each, n) => `\r\nm=${each}\r\na=mid:${n}`);
  return [session, '\r\na=group:BUNDLE', ...mLines.map((_, n) => ` ${n}`), ...named].join('');
}

test('a description is bounded in length', () => {
  const sdp = `v${'='.repeat(1_022)}\n`.repeat(128);
  expect(sizeFault(sdp)).toBeUndefined();
  expect(sizeFault(`${sdp}v`)).toContain('131073 characters');
});

test.each([
  ['m-lines', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 100],
  ['streams', 'a=msid:stream track', 100],
  ['candidates', 'a=candidate:1 1 udp 1 192.0.2.1 5000 typ host', 400],
])('a description has no more %s than %s %i times', (what, line, most) => {
  expect(sizeFault(shared(`v=0${`\r\n${line}`.repeat(most)}`))).toBeUndefined();
  expect(sizeFault(`v=0${`\n${line}`.repeat(most + 1)}`)).toBe(
    `The description has ${most + 1} ${what}; ${most} is the most.`,
  );
});

/** A camera's m-line as Chromium (156) has it, by the number of its lines about formats. */
const CAMERA = [
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97 98',
  ...Array(60).fill('a=rtcp-fb:96 nack'),
  ...Array(40).fill('a=fmtp:96 a=1'),
];
const cameras = (count: number): string => shared(['v=0', ...Array(count).fill(CAMERA).flat()].join('\r\n'));

test.each([
  ['feedback for all formats', 'a=rtcp-fb:* x', 150],
  ['feedback for one format', 'a=rtcp-fb:96 x', 401],
  ['formats', 'a=fmtp:96 x', 401],
])('a description has no more lines of %s than Chromium reads in a quarter of a second', (_what, line, count) => {
  const sdp = `v=0\r\n${CAMERA[0]}${`\r\n${line}`.repeat(count)}`;
  expect(sizeFault(sdp)).toBe('The description has too many lines for one m-line.');
  expect(sizeFault(`v=0${`\r\n${line}`.repeat(count * 3)}`)).toContain('too many lines'); // before any m-line
});

test.each(['a=rid:r send', 'a=rtcp-mux', 'a= msid:stream track', 'b=AS:1', ''])(
  'an m-line has no more lines like "%s" than Firefox reads in no time',
  (line) => {
    const sdp = (count: number): string => `v=0\r\n${CAMERA[0]}${`\r\n${line}`.repeat(count)}`;
    expect(sizeFault(sdp(701))).toBe('The description has too many lines for one m-line.');
    expect(sizeFault(`v=0${`\n${line}`.repeat(701)}`)).toContain('too many lines'); // before any m-line
    expect([250, 400, 700].map((count) => mLinesIn(sdp(count)))).toEqual([1, 11, 161]);
  },
);

afterEach(() => {
  vi.unstubAllGlobals();
});

test('m-lines have few header extensions that the browser does not know, and any number that it knows', () => {
  const withExtensions = (mLines: number, each: number): string => {
    const lines = Array.from({ length: each }, (_, n) => `\r\na=extmap:${n + 1} urn:${n + 1}`).join('');
    return `${shared(`v=0\r\na=extmap-allow-mixed${`\r\n${CAMERA[0]}${lines}`.repeat(mLines)}`)}\r\n`;
  };
  expect(sizeFault(withExtensions(90, 14))).toBeUndefined(); // where the browser does not tell, as in Node
  const headerExtensions = Array.from({ length: 14 }, (_, n) => ({ uri: `urn:${n + 1}` }));
  headerExtensions.push({ uri: 'http://www.webrtc.org/experiments/rtp-hdrext/video-timing' });
  vi.stubGlobal('RTCRtpReceiver', { getCapabilities: () => ({ headerExtensions }) });
  expect([mLinesIn(withExtensions(90, 14)), sizeFault(withExtensions(90, 14))]).toEqual([90, undefined]);
  expect([mLinesIn(withExtensions(99, 15)), sizeFault(withExtensions(99, 15))]).toEqual([99 + 156, undefined]);
  expect(sizeFault(withExtensions(70, 16))).toBeUndefined();
  expect(sizeFault(withExtensions(99, 17))).toContain('too many lines');
  const odd = ['', ' urn:1', 'urn:1\u{a0}', 'urn:1\u{2028}', 'urn:1"},{"uri']; // the last is in the JSON of what is known
  for (const each of odd)
    expect(sizeFault(withExtensions(90, 14).replaceAll(/urn:\d+/g, each))).toContain('too many lines');
  expect(sizeFault(withExtensions(90, 14).replaceAll(' urn:', '/\u{a0} urn:x'))).toContain('too many lines');
  const before = (count: number): string => `v=0${'\r\na=extmap:1 urn:1'.repeat(count)}`; // those of all m-lines
  expect(sizeFault(withExtensions(90, 1).replace('v=0', before(1)))).toBeUndefined();
  expect(sizeFault(withExtensions(99, 1).replace('v=0', before(3)))).toContain('too many lines');
});

test.each(['a= msid:s t', 'a=\tmsid:s t', 'a=:msid:s t', 'a=MSID:s t', 'A=msid:s t', 'a=msid s t', 'a =msid:s t'])(
  'an attribute that browsers write otherwise, as "%s", is refused',
  (line) => {
    for (const end of ['\n', '\r\n'])
      expect(sizeFault(['v=0', line, 'a=sendrecv', ''].join(end))).toContain('no browser writes');
  },
);

test('a description has no line that is longer than any of a browser', () => {
  expect(sizeFault(`v=0\r\na=group:BUNDLE${' 12'.repeat(1_300)}\r\n`)).toBeUndefined();
  expect(sizeFault(`v=0\r\na=group:BUNDLE${' 12'.repeat(1_400)}\r\n`)).toContain('no browser writes');
});

describe('m-lines that have connections of their own', () => {
  const described = (count: number, group: string, more = '', port = 9): string =>
    [
      'v=0',
      group,
      ...Array.from({ length: count }, (_, n) => `m=audio ${port} RTP/AVP 0\r\na=mid:x${n}${more}`),
      '',
    ].join('\r\n');
  const names = (count: number): string => Array.from({ length: count }, (_, n) => `x${n}`).join(' ');

  test('are few, and each counts for forty', () => {
    expect([1, 2, 5].map((count) => mLinesIn(described(count, 's=-')))).toEqual([1, 42, 165]);
    expect(sizeFault(described(5, 's=-'))).toBeUndefined();
    expect(sizeFault(described(6, 's=-'))).toContain('too many lines');
  });

  test('are not those that share one, nor those that are not used', () => {
    expect(mLinesIn(described(100, `a=group:BUNDLE ${names(100)}`))).toBe(100);
    expect(mLinesIn(described(100, `a=ice-lite\r\na=group:LS x1 x2\r\na=group:BUNDLE ${names(100)}`))).toBe(100);
    expect(mLinesIn(described(100, 's=-', '', 0))).toBe(100); // refused, or stopped
    expect(mLinesIn(described(100, `a=group:BUNDLE ${names(100)}`, '\r\na=bundle-only', 0))).toBe(100);
  });

  test.each([
    ['a group of others', 'a=group:BUNDLE 1 2 3 4', ''],
    ['several groups', `a=group:BUNDLE 1\r\na=group:BUNDLE ${names(6)}`, ''],
    ['a group of another kind', `a=group:LS ${names(6)}`, ''],
    ['a group within another line', `s=-\u2028a=group:BUNDLE ${names(6)}`, ''],
    ['a group among the m-lines', 's=-', `\r\na=group:BUNDLE ${names(6)}`],
    ['a name that all have', `a=group:BUNDLE ${names(6)} 7`, '\r\na=mid:7'],
  ])('are those with %s', (_what, group, more) => {
    expect(sizeFault(described(6, group, more))).toContain('too many lines');
  });

  test('are those that are said to share one and are in no group', () => {
    expect(sizeFault(described(6, 's=-', '\r\na=bundle-only', 0))).toContain('too many lines');
  });
});

test('twenty cameras and more are no fault, and count for little more than their m-lines', () => {
  expect(sizeFault(cameras(25))).toBeUndefined();
  expect([mLinesIn(cameras(1)), mLinesIn(cameras(3))]).toEqual([6, 18]);
  expect(mLinesIn('v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel')).toBe(1);
});

test('what is repeated in each answer is no longer than browsers and the library have it', () => {
  expect(sizeFault(`v=0\r\nm=audio 9 RTP/AVP 0\r\na=mid:${'m'.repeat(64)}\r\n`)).toBeUndefined();
  expect(sizeFault(`v=0\r\nm=audio 9 RTP/AVP 0\r\na=mid:${'m'.repeat(66)}\r\n`)).toContain('no browser writes');
  expect([attemptFault(undefined), attemptFault('a'.repeat(128))]).toEqual([undefined, undefined]);
  expect(attemptFault('a'.repeat(129))).toContain('too long');
});

test('an allowance lets a burst pass, then one at a time, and saves up no more than a burst', () => {
  const allowance = new Allowance(3, 1000);
  const now = performance.now();
  expect([0, 0, 0, 0].map((ms) => allowance.take(1, now + ms))).toEqual([true, true, true, false]);
  expect([900, 1100, 1200].map((ms) => allowance.take(1, now + ms))).toEqual([false, true, false]);
  expect(Array.from({ length: 5 }, () => allowance.take(1, now + 1e9))).toEqual([true, true, true, false, false]);
});

test('what counts for several passes only as far as there is room for all of it', () => {
  const allowance = new Allowance(5, 1000);
  const now = performance.now();
  expect([4, 2, 1, 1].map((count) => allowance.take(count, now))).toEqual([true, false, true, false]);
});

test.each([0, 0.1, 512.7, 72_345.678_9, 8.64e7 + 0.3])(
  'an allowance is full again when as much has passed as it had let by, from %f ms on',
  (now) => {
    const allowance = new Allowance(2, 1000);
    expect(allowance.isFull(now)).toBe(true);
    allowance.take(2, now);
    expect([0, 1999, 2000].map((ms) => allowance.isFull(now + ms))).toEqual([false, false, true]);
  },
);
