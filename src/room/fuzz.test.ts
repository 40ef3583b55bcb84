/**
 * Every parser of the server, and of its words, 100,000 cases and more: what comes from outside is read, or refused
 * with a ProtocolError. Room tokens and what only clients read have a fuzz.test.ts of their own.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsed, spoiled, spoiledJson } from '../../test/support/spoiled.ts';
import { packed } from '../../test/support/world.ts';
import { heldFor, isFinal, peersOfFull } from '../protocol/close.ts';
import { ProtocolError } from '../protocol/error.ts';
import { isRoomPath, joinSubprotocols, parseJoin, roomTokenOf } from '../protocol/join.ts';
import { parseClientMessage, parseServerMessage } from '../protocol/messages.ts';
import { MAX_POLL_BYTES, parseLeave, parsePoll } from '../protocol/poll.ts';
import { parseSignal } from '../protocol/signal.ts';
import { readSignal } from './pending-offers.ts';
import { answerOf, candidatesSignal, packageOf } from './poller-view.ts';
import type { PendingOffer } from './room.ts';

const RUNS = { numRuns: 12_500 };
const NOW = 1_790_000_000_000;
const HASH = Array.from({ length: 32 }, () => 'AB').join(':');
const HOST = 'candidate:1 1 udp 2113937151 192.0.2.1 51000 typ host';
const SDP = `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Wufr\r\na=ice-pwd:Wpwd\r\na=fingerprint:sha-256 ${HASH}\r\na=mid:0\r\na=${HOST}\r\n`;

/** What it returns, or undefined where it is refused as it should be. */
function refusedOr<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    expect(error.message).toMatch(/\.$/);
    return undefined;
  }
}

const MESSAGES = [
  JSON.stringify({ type: 'signal', targetId: 'bob', signal: { type: 'offer', sdp: SDP } }),
  '{"type":"broadcast","data":1}',
  '{"type":"ahead","offer":{"type":"offer","sdp":"v=0"}}',
  '{"type":"remove","targetId":"bob"}',
  '{"type":"ice_servers"}',
];
const ICE_SERVERS = [
  { urls: 'stun:192.0.2.1:3478' },
  { urls: ['turn:a.example?transport=tcp'], username: 'u', credential: 'p' },
];
const WORDS = [
  {
    type: 'peers',
    peers: ['bob', 'polly'],
    yourId: 'alice',
    metadata: { bob: { client_id: 'Bob' } },
    verified: { bob: { sub: 'b' } },
    offers: { bob: {} },
    answered: 'bob',
    polling: ['polly'],
    graceSeconds: 30,
    maxMessageBytes: 65_536,
    iceServers: ICE_SERVERS,
    iceServersSeconds: 86_400,
  },
  { type: 'peer_join', clientId: 'bob', timestamp: NOW, verified: { sub: 'b' }, polling: true },
  { type: 'peer_leave', clientId: 'bob', timestamp: NOW, reason: 'left' },
  { type: 'ice_servers', iceServers: ICE_SERVERS, iceServersSeconds: 86_400 },
  { type: 'error', code: 'closing', message: 'x', close: { code: 4003, reason: 'Room is full: 8 peers' } },
  { type: 'error', code: 'closing', message: 'x', close: { code: 4009, reason: 'Id is held for 30 s' } },
].map((message) => JSON.stringify(message));
const D = ['session', 'Alice', false, `${'A'.repeat(43)}=`, NOW, ['203.0.113.7', '2001:db8::1']];
const POLL = JSON.stringify({
  r: 'lobby',
  k: 'context',
  d: D,
  t: NOW,
  x: 120_000,
  p: [['bob', 'session', 'ufrag', 1]],
});
const LEAVE = JSON.stringify({ r: 'lobby', k: 'context', d: D, t: NOW, x: 120_000, dk: 'key' });
const SIGNALS = [
  { type: 'offer', sdp: SDP, candidates: [{ candidate: HOST, sdpMid: '0' }, { candidate: '' }], attempt: 'a1' },
  { candidates: [{ candidate: HOST }], attempt: 'a1' },
  { sdp: { type: 'offer', sdp: SDP } },
].map((signal) => JSON.stringify(signal));

describe('parsers', () => {
  test('parseClientMessage', () => {
    fc.assert(
      fc.property(fc.oneof(spoiled(...MESSAGES), fc.json()), (text) => {
        const message = refusedOr(() => parseClientMessage(text));
        if (message) expect(['signal', 'broadcast', 'ahead', 'remove', 'ice_servers']).toContain(message.type);
      }),
      RUNS,
    );
  });

  test('parseServerMessage', () => {
    fc.assert(
      fc.property(spoiled(...WORDS), (text) => {
        const message = parseServerMessage(text); // a client has nobody to refuse it to
        if (message?.type === 'peers')
          expect([message.yourId, ...message.peers].every((id) => id.length >= 0)).toBe(true);
        if (message?.type === 'peers' || message?.type === 'ice_servers')
          expect([message.iceServers ?? []].flat().flatMap(({ urls }) => urls).length).toBeLessThanOrEqual(32);
        if (message?.type !== 'error' || !message.close) return;
        const { close } = message;
        expect(isFinal(close)).toBeTypeOf('boolean');
        expect(heldFor(close) ?? 0).toBeLessThan(10_000);
        expect(peersOfFull(close) ?? 0).toBeLessThan(100_000);
      }),
      RUNS,
    );
  });

  test('parsePoll', () => {
    fc.assert(
      fc.property(spoiled(POLL), (text) => {
        const { session } = refusedOr(() => parsePoll(text, NOW)) ?? {};
        if (!session) return;
        expect(session.entry.sessionId).toMatch(/^[^~]/);
        expect(session.entry.sessionId.length).toBeLessThanOrEqual(64);
        expect(session.entry.reflexiveIps.length).toBeLessThanOrEqual(16);
        expect(session.keepMs).toBeGreaterThanOrEqual(30_000);
        for (const { to, json } of session.packages ?? []) {
          expect(JSON.parse(json).slice(0, 2)).toEqual([to, session.entry.sessionId]);
          expect(json.length).toBeLessThanOrEqual(MAX_POLL_BYTES);
        }
      }),
      RUNS,
    );
  });

  test('parseLeave', () => {
    fc.assert(
      fc.property(spoiled(LEAVE), (text) => {
        const leaving = refusedOr(() => parseLeave(text, NOW));
        if (leaving) expect(leaving.deleteKey).not.toBe('');
      }),
      RUNS,
    );
  });

  test('parseJoin', () => {
    const query = spoiled(
      '?clientId=alice&metadata=%7B%7D&resume=1&ahead=1',
      '?metadata=%5B1e20%5D',
      '?clientId=%F0%9F%98%80',
      '?clientId=alice&max=8&token=abc.def.ghi&answer=%7B%22type%22%3A%22answer%22%2C%22sdp%22%3A%22v%3D0%22%7D',
    );
    const subprotocols = fc.option(
      spoiled(
        joinSubprotocols({
          roomId: 'lobby',
          metadata: '{"name":"é"}',
          resume: '01234567-89ab-cdef-0123-456789abcdef',
          token: 'abc.def.ghi',
          answer: '{"type":"answer","sdp":"v=0"}',
        }).join(),
        'p2pcf-ws, p2pcf-ws.resume.MQ',
      ),
    );
    fc.assert(
      fc.property(spoiled('/ws/room/lobby', '/ws/room/a%2Fb'), query, subprotocols, (path, search, offered) => {
        const url = new URL('http://p2pcf-ws.test');
        [url.pathname, url.search] = [path.toWellFormed(), search.toWellFormed()];
        if (!isRoomPath(url.pathname)) return;
        expect(refusedOr(() => roomTokenOf(url, offered)) ?? '').toBeTypeOf('string');
        const join = refusedOr(() => parseJoin(url, offered, () => '01234567-89ab-cdef-0123-456789abcdef'));
        if (!join) return;
        expect(new TextEncoder().encode(join.clientId).length).toBeLessThanOrEqual(256);
        expect(join.clientId).not.toMatch(/\p{Cc}/u);
        if (join.metadata !== undefined) JSON.parse(join.metadata);
        expect(join.maxPeers ?? 1).toSatisfy((max) => Number.isInteger(max) && max > 0 && max <= 32_000);
        expect(JSON.stringify(join.answer ?? '').length).toBeLessThan(10_000);
      }),
      RUNS,
    );
  });

  test('parseSignal', () => {
    fc.assert(
      fc.property(spoiledJson(...SIGNALS), (signal) => {
        const parsed = parseSignal(signal);
        if (parsed) expect(parsed.candidates.every((each) => typeof each === 'object')).toBe(true);
      }),
      RUNS,
    );
  });
});

describe('the bridge', () => {
  let keys = 0;
  const makeKey = (): string => String(++keys).padStart(32, 'k');
  const isOneLine = (line: unknown): boolean => typeof line === 'string' && /^[ -~]*$/.test(line);
  const poller = {
    sessionId: 'P',
    clientId: 'a label',
    isSymmetric: false,
    fingerprint: `${'A'.repeat(43)}=`,
    startedAt: 1,
    reflexiveIps: [],
  };

  test('an offer becomes a package whose every line is one, of a size that an attachment holds', () => {
    fc.assert(
      fc.property(spoiledJson(...SIGNALS), (signal) => {
        const reading = refusedOr(() => readSignal(signal, 'P', undefined, makeKey, NOW));
        if (!reading || !('keep' in reading)) return;
        expect(JSON.stringify(reading.keep).length).toBeLessThan(8192);
        const content: unknown[] = JSON.parse(packageOf('W', reading.keep).json);
        for (const line of [content[2], content[3], ...[content[8]].flat()]) expect(isOneLine(line)).toBe(true);
      }),
      RUNS,
    );
  });

  test('two signals after one another', () => {
    fc.assert(
      fc.property(spoiledJson(...SIGNALS), spoiledJson(...SIGNALS), (first, second) => {
        let known: PendingOffer | undefined;
        for (const signal of [first, second]) {
          const reading = refusedOr(() => readSignal(signal, 'P', known, makeKey, NOW));
          if (reading && 'keep' in reading) known = reading.keep;
        }
        if (known) expect(known.candidates.every(isOneLine)).toBe(true);
      }),
      RUNS,
    );
  });

  test('a package becomes an answer whose every line is one', () => {
    const reading = readSignal(parsed(SIGNALS[0] ?? ''), 'P', undefined, makeKey, NOW);
    if (!reading || !('keep' in reading)) throw new Error('a good offer was refused');
    const pending = reading.keep;
    fc.assert(
      fc.property(spoiledJson(JSON.stringify(['W', 'P', 0, 0, 0, 0, 0, 1, [HOST, HOST]])), (content) => {
        const json = JSON.stringify(Array.isArray(content) ? content : ['W', 'P', 0, 0, 0, 0, 0, 1, content]);
        const packages = [{ to: 'W', json }, packed('X', 'P')];
        const signals = [answerOf('W', pending, poller, packages), candidatesSignal('W', pending, packages)];
        for (const signal of signals) {
          const candidates = parseSignal(signal)?.candidates ?? [];
          expect(candidates.length).toBeLessThanOrEqual(16);
          expect(candidates.every(({ candidate }) => isOneLine(candidate))).toBe(true);
        }
      }),
      RUNS,
    );
  });
});
