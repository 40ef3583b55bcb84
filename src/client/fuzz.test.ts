/**
 * What a client reads of its peers, and of a room with a key: nothing throws, and nothing comes out that did not go in.
 */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { parsed, spoiled } from '../../test/support/spoiled.ts';
import { parseServerMessage } from '../protocol/messages.ts';
import { parseSignal } from '../protocol/signal.ts';
import { markSignal, Reassembly, toFrames, unmarkSignal, type Whole } from './chunks.ts';
import { Datagrams, MAX_DATAGRAM_BYTES } from './datagrams.ts';
import { sizeFault } from './limits.ts';
import { fingerprintsOf, type Situation, stepFor } from './negotiation.ts';
import { randomKey } from './random.ts';
import { open, seal, Untrusted } from './sealed/envelope.ts';
import { Keys } from './sealed/keys.ts';
import { Sealing } from './sealed/sealing.ts';

const RUNS = { numRuns: 4_000 };
const SDP = `v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Wufr\r\na=fingerprint:sha-256 AB:CD\r\n`;
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

test('frames out of order, twice, lost or changed: what comes out whole is a message that was sent', () => {
  const messages = [
    utf8('short'),
    utf8(Array.from({ length: 10_000 }, (_, n) => `${n}`.padStart(5)).join('')),
    markSignal('z'.repeat(20_000)),
  ];
  const sent = messages.flatMap((message, id) => [...toFrames(message, id)]);
  const at = fc.nat(sent.length - 1);
  const accident = fc.oneof(
    fc.record({ do: fc.constantFrom('lose', 'double', 'swap'), at }),
    fc.record({ do: fc.constant('change'), at, offset: fc.nat(11), byte: fc.nat(255) }),
  );
  fc.assert(
    fc.property(fc.array(accident, { maxLength: 4 }), (accidents) => {
      const frames = [...sent];
      for (const each of accidents) {
        const at = each.at % frames.length;
        const frame = frames[at] ?? utf8('');
        if (each.do === 'lose') frames.splice(at, 1);
        if (each.do === 'double') frames.splice(at, 0, frame);
        if (each.do === 'swap') frames.splice(at, 2, ...frames.slice(at, at + 2).reverse());
        if ('byte' in each) frames[at] = frame.map((old, n) => (n === each.offset ? each.byte : old));
      }
      const isChanged = accidents.some((each) => 'byte' in each);
      const reassembly = new Reassembly();
      const wholes = frames.flatMap((frame) => reassembly.take(frame) ?? []);
      reassembly.clear();
      for (const whole of wholes) {
        if (!isChanged) expect(messages.some((message) => isSame(message, whole.message))).toBe(true);
        expect(whole.message.length).toBeLessThanOrEqual(frames.length * 16_000);
        parseSignal(unmarkSignal(whole));
      }
    }),
    { numRuns: 300 },
  );
});

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

test('what is marked as a signal is JSON, or the app’s', () => {
  const good = JSON.stringify({ type: 'offer', sdp: SDP });
  const bytes = fc.oneof(
    spoiled(good, '{"renegotiate":true}').map(utf8),
    fc.uint8Array({ maxLength: 40 }).map((each) => new Uint8Array(each)),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), (content, wasFramed) => {
      const message = new Uint8Array([...markSignal('').subarray(0, 8), ...content]);
      const whole: Whole = { message, wasFramed };
      const signal = unmarkSignal(whole);
      if (signal === undefined) return;
      expect(wasFramed).toBe(false);
      expect(signal).toEqual(JSON.parse(new TextDecoder().decode(content).replace(/\0$/, '')));
    }),
    RUNS,
  );
});

/** A channel in place of a browser's. */
class Channel {
  readyState = 'connecting';
  bufferedAmount = 0;
  readonly sent: Uint8Array[] = [];
  onopen = (): void => undefined;
  onbufferedamountlow = (): void => undefined;
  onmessage: (event: { data: unknown }) => void = () => undefined;

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
    this.bufferedAmount += bytes.length;
  }

  drain(): void {
    this.readyState = 'open';
    this.bufferedAmount = 0;
    this.onbufferedamountlow();
  }

  get connection(): RTCPeerConnection {
    return Object({ createDataChannel: () => this });
  }
}

test('a datagram is bytes, and not too many of them; whatever else comes is none', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.nat(1_200).map((length) => new Uint8Array(length)),
  );
  const data: fc.Arbitrary<unknown> = fc.oneof(
    bytes.map((each) => new Uint8Array(each).buffer),
    bytes.map((each) => new DataView(new Uint8Array(each).buffer, each.length >> 1)),
    bytes.map(({ length }) => new Uint8Array(new SharedArrayBuffer(length))),
    fc.anything(),
  );
  fc.assert(
    fc.property(data, (data) => {
      const channel = new Channel();
      const received: Uint8Array[] = [];
      new Datagrams(
        channel.connection,
        (each) => received.push(each),
        () => undefined,
      );
      channel.onmessage({ data });
      const isBinary = data instanceof ArrayBuffer || (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer);
      const length = isBinary ? data.byteLength : Number.NaN;
      expect(received.map((each) => each.length)).toEqual(length <= MAX_DATAGRAM_BYTES ? [length] : []);
    }),
    RUNS,
  );
});

test('datagrams are sent in their order, the newest of the waiting ones, and each that is dropped is told of', () => {
  const step = fc.oneof({ weight: 9, arbitrary: fc.nat(MAX_DATAGRAM_BYTES - 4) }, fc.constant('drain' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
      const channel = new Channel();
      const dropped: number[] = [];
      let given = 0;
      let waiting: number[] = [];
      const datagrams = new Datagrams(
        channel.connection,
        () => undefined,
        () => dropped.push(waiting.shift() ?? -1),
      );
      const numbers = (): number[] => channel.sent.map((bytes) => new DataView(bytes.buffer).getUint32(0));
      for (const step of steps) {
        if (step === 'drain') channel.drain();
        else {
          const bytes = new Uint8Array(4 + step);
          new DataView(bytes.buffer).setUint32(0, given);
          waiting.push(given++);
          datagrams.send(bytes);
          bytes.fill(255); // the app may use its buffer again
        }
        const last = numbers().at(-1) ?? -1;
        waiting = waiting.filter((each) => each > last);
        expect(waiting.length).toBeLessThanOrEqual(32);
        expect(channel.bufferedAmount).toBeLessThan(16_384 + MAX_DATAGRAM_BYTES);
      }
      for (let rest = waiting.length; rest > 0; rest--) channel.drain();
      expect([...numbers(), ...dropped].sort((a, b) => a - b)).toEqual(Array.from({ length: given }, (_, n) => n));
      expect(numbers()).toEqual(numbers().sort((a, b) => a - b));
    }),
    { numRuns: 300 },
  );
});

test('a description that makes no sense is looked at all the same', () => {
  const text = spoiled(SDP, 'a=fingerprint:sha-256 AB:CD\r\n', 'a=ice-ufrag:\r\n');
  const known = fc.record({ theirSdp: text, theirOffer: text, theirAnswer: text, fingerprint: fc.string() });
  fc.assert(
    fc.property(text, known, fc.constantFrom('offer', 'answer'), fc.boolean(), (sdp, known, type, flag) => {
      expect(sizeFault(sdp) ?? '.').toMatch(/\.$/);
      expect(fingerprintsOf(sdp).every((each) => /^\S+ \S+$/.test(each))).toBe(true);
      const ours: Situation = {
        isInitiator: flag,
        polls: false,
        isOursFirefox: flag,
        isTheirsFirefox: !flag,
        attempt: 'a',
        signalingState: flag ? 'stable' : 'have-local-offer',
        isMakingOffer: flag,
        hasAnsweredAhead: false,
        isPolite: flag,
        isOfferLost: false,
        isConnected: !flag,
        isAlive: !flag,
        isPinned: flag,
        ...known,
      };
      expect(stepFor({ type, sdp }, 'b', ours)).toBeTypeOf('string');
    }),
    RUNS,
  );
});

const EXPECTED = { kind: 'signal', from: 'alice', to: 'bob' } as const;
const OFFER = { type: 'offer', sdp: SDP, candidates: [] };
const NAME = { client_id: 'Alice' };
let keys: Keys;
/** A sealed signal, and what a server says of it and of other things that Alice has sealed. */
let sealed: string;
let words: string[];
beforeAll(async () => {
  keys = await Keys.of({ key: randomKey() }, 'room');
  const envelope = await seal(OFFER, { ...EXPECTED, n: 1, attempt: 'a1' }, keys);
  const name = await seal(NAME, { kind: 'metadata', from: 'alice', to: '', n: 0 }, keys);
  const offer = await seal(OFFER, { kind: 'ahead', from: 'alice', to: '', n: 2, attempt: 'a1' }, keys);
  const said = await seal(1, { kind: 'broadcast', from: 'alice', to: '__broadcast__', n: 3 }, keys);
  sealed = JSON.stringify(envelope);
  words = [
    {
      type: 'peers',
      peers: ['alice'],
      yourId: 'bob',
      metadata: { alice: name },
      offers: { alice: offer },
      answered: 'alice',
    },
    { type: 'peer_join', clientId: 'alice', timestamp: 1, metadata: name },
    { type: 'signal', fromId: 'alice', signal: envelope },
    { type: 'broadcast', fromId: 'alice', data: said },
    { type: 'error', code: 'too_large', message: 'x', maxBytes: 65_536 },
  ].map((message) => JSON.stringify(message));
});

test('an envelope is opened as it was sealed, or refused with a sentence', async () => {
  await fc.assert(
    fc.asyncProperty(spoiled(sealed), async (text) => {
      try {
        expect(await open(parsed(text), EXPECTED, keys)).toEqual({ content: OFFER, n: 1, attempt: 'a1' });
      } catch (error) {
        if (!(error instanceof Untrusted)) throw error;
        expect(error.message).toMatch(/\.$/);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('of the messages of a room with a key nothing is heard but what a member has sealed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(spoiled(...words), { minLength: 1, maxLength: 3 }), async (texts) => {
      const refused: string[] = [];
      const sealing = new Sealing(
        keys,
        {},
        (_id, reason) => refused.push(reason),
        () => undefined,
      );
      for (const text of texts) {
        const message = parseServerMessage(text);
        const heard = message && (await sealing.open(message, 'bob', Promise.resolve()));
        if (heard?.type === 'signal') expect(heard.signal).toEqual({ ...OFFER, attempt: 'a1' });
        if (heard?.type === 'broadcast') expect(heard.data).toBe(1);
        if (heard?.type === 'peer_join') expect(heard.metadata).toEqual(NAME);
        if (heard?.type !== 'peers') continue;
        for (const id of heard.peers) expect(Object(heard.metadata)[id]).toEqual(NAME);
        for (const offer of Object.values(heard.offers ?? {})) expect(offer).toEqual({ ...OFFER, attempt: 'a1' });
      }
      for (const reason of refused) expect(reason).toMatch(/\.$/);
    }),
    { numRuns: 3_000 },
  );
});
