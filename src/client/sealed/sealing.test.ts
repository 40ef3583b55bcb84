import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { type ClientMessage, MAX_OFFER_BYTES, type ServerMessage } from '../../protocol/messages.ts';
import { randomKey } from '../random.ts';
import type { Claimed, SealedOptions } from '../sealed-options.ts';
import { Keys } from './keys.ts';
import { Sealing } from './sealing.ts';

interface Member {
  id: string;
  sealing: Sealing;
  refused: string[];
  join(): Promise<ServerMessage>;
}

const now = Promise.resolve();
const nothing = (): void => undefined;

/** Members of one room with one key, that have met. */
async function room(ids: string[], options: SealedOptions = {}): Promise<Member[]> {
  const key = randomKey();
  const members = await Promise.all(
    ids.map(async (id): Promise<Member> => {
      const refused: string[] = [];
      const sealing = new Sealing(
        await Keys.of({ key }, 'room'),
        options,
        (who, why) => refused.push(`${who}: ${why}`),
        () => refused.push('it had our offer'),
      );
      return {
        id,
        sealing,
        refused,
        async join() {
          const json = await sealing.metadata(id, JSON.stringify({ client_id: `${id} name`, metadata: 'private' }));
          return { type: 'peer_join', clientId: id, timestamp: 1, metadata: JSON.parse(json) };
        },
      };
    }),
  );
  for (const each of members)
    for (const other of members) if (other !== each) await each.sealing.open(await other.join(), each.id, now);
  return members;
}

/** What the server makes of what `from` says. */
async function said(from: Member, message: ClientMessage): Promise<ServerMessage> {
  const sealed = await from.sealing.seal(message, from.id);
  if (sealed.type === 'signal') return { type: 'signal', fromId: from.id, signal: sealed.signal };
  if (sealed.type === 'broadcast') return { type: 'broadcast', fromId: from.id, data: sealed.data };
  if (sealed.type === 'remove') throw new Error('it is no message to anybody');
  return { type: 'peers', peers: [from.id], yourId: '', offers: { [from.id]: Object(sealed).offer } };
}
const signal = (targetId: string, content: unknown): ClientMessage => ({ type: 'signal', targetId, signal: content });
const OFFER = { type: 'offer', sdp: 'v=0\r\na=fingerprint:sha-256 AB:CD\r\n', attempt: 'a1', candidates: [] };

test('signals, broadcasts and metadata arrive as they were', async () => {
  const [alice, bob] = await room(['alice', 'bob']);
  if (!alice || !bob) throw new Error('no members');
  expect(await bob.sealing.open(await alice.join(), bob.id, now)).toMatchObject({
    metadata: { client_id: 'alice name', metadata: 'private' },
  });
  expect(await bob.sealing.open(await said(alice, signal('bob', OFFER)), bob.id, now)).toMatchObject({ signal: OFFER });
  const broadcast = await said(alice, { type: 'broadcast', data: [1] });
  expect(await bob.sealing.open(broadcast, bob.id, now)).toMatchObject({ data: [1] });
  expect(bob.refused).toEqual([]);
});

test('in whatever order a server brings what was said, each is taken once at most, and never an older after a newer', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5), { minLength: 1, maxLength: 12 }), async (order) => {
      const [alice, bob] = await room(['alice', 'bob']);
      if (!alice || !bob) throw new Error('no members');
      const all: ServerMessage[] = [];
      for (let n = 0; n < 6; n++) all.push(await said(alice, signal('bob', { n })));
      const taken: number[] = [];
      for (const n of order) {
        const opened = await bob.sealing.open(Object(all[n]), bob.id, now);
        if (opened?.type === 'signal') taken.push(Object(opened.signal).n);
      }
      expect(taken).toEqual([...new Set(taken)].sort((a, b) => a - b));
      // Each reason is told once, however often there is one.
      expect(new Set(bob.refused).size).toBe(bob.refused.length);
      expect(bob.refused.length > 0).toBe(taken.length < order.length);
    }),
    { numRuns: 20 },
  );
});

test('of what is not taken no more is opened than of any peer, and each reason is told once until the member has left', async () => {
  const [bob] = await room(['bob']);
  if (!bob) throw new Error('no members');
  const decrypt = vi.spyOn(crypto.subtle, 'decrypt');
  const eve = { type: 'signal', fromId: 'eve', signal: 'plain' } as const;
  for (let n = 0; n < 1_000; n++) await bob.sealing.open(eve, bob.id, now);
  expect(bob.refused).toEqual(['eve: It has no key: its message is not sealed.']);
  const sealed = await said(bob, signal('bob', OFFER));
  for (let n = 0; n < 1_000; n++) await bob.sealing.open({ ...Object(sealed), fromId: 'mallory' }, bob.id, now);
  expect(decrypt.mock.calls.length).toBeLessThan(300);
  decrypt.mockRestore();
  await bob.sealing.open({ type: 'peer_leave', clientId: 'eve', timestamp: 1, reason: 'left' }, bob.id, now);
  await bob.sealing.open({ type: 'signal', fromId: 'eve 2', signal: 'plain' }, bob.id, now);
  expect(bob.refused.filter((each) => each.startsWith('eve'))).toHaveLength(2);
});

test('a member that names another certificate each time is told of a hundred times', async () => {
  const refused: string[] = [];
  const sealing = new Sealing(undefined, { trust: () => false }, (_id, reason) => refused.push(reason), nothing);
  for (let n = 0; n < 200; n++) {
    const sdp = OFFER.sdp.replace('AB:CD', n.toString(16).padStart(4, '0').replace(/../, '$&:'));
    await sealing.open({ type: 'signal', fromId: 'eve', signal: { ...OFFER, sdp } }, 'bob', now);
  }
  expect([refused.length, new Set(refused).size]).toEqual([100, 100]);
});

test('each thing a server may do to a signal has its own reason', async () => {
  const [alice, bob, carol] = await room(['alice', 'bob', 'carol']);
  if (!alice || !bob || !carol) throw new Error('no members');
  const hear = async (message: object): Promise<string | undefined> => {
    bob.refused.length = 0;
    const opened = await bob.sealing.open(Object(message), bob.id, now);
    expect(opened).toBeUndefined();
    return bob.refused.pop();
  };
  const first = await said(alice, signal('bob', OFFER));
  const second = await said(alice, signal('bob', OFFER));
  expect(await bob.sealing.open(second, bob.id, now)).toBeDefined();
  const forCarol = await said(alice, signal('carol', OFFER));
  const ahead = await alice.sealing.seal({ type: 'ahead', offer: OFFER }, alice.id);
  const mixed = Object(await said(alice, signal('bob', OFFER)));
  expect({
    replayed: await hear(second),
    reordered: await hear(first),
    redirected: await hear(forCarol),
    renamed: await hear({ ...first, fromId: 'carol' }),
    reflected: await hear({ ...(await said(bob, signal('alice', OFFER))), fromId: 'alice' }),
    repurposed: await hear({ ...first, signal: { ...Object(ahead).offer, to: 'bob' } }),
    mixed: await hear({ ...mixed, signal: { ...mixed.signal, attempt: 'a2' } }),
    plain: await hear({ ...first, signal: OFFER }),
    unknown: await hear({ ...(await said(alice, signal('bob', OFFER))), fromId: 'mallory' }),
  }).toEqual({
    replayed: 'alice: Its message has been heard before.',
    reordered: 'alice: Its message comes after a later one.',
    redirected: 'alice: Its message is for another member.',
    renamed: 'carol: Its message was sealed by another member.',
    reflected: 'alice: Its message was sealed by another member.',
    repurposed: 'alice: Its message was made for another purpose.',
    mixed: 'alice: Its message was changed on the way.',
    plain: 'alice: It has no key: its message is not sealed.',
    unknown: 'mallory: Its message was sealed by another member.',
  });
});

test('members without the key, or that poll, are not met; the others are', async () => {
  const [alice, bob] = await room(['alice', 'bob']);
  const [stranger] = await room(['stranger']);
  if (!alice || !bob || !stranger) throw new Error('no members');
  const metadata = {
    alice: Object(await alice.join()).metadata,
    stranger: Object(await stranger.join()).metadata,
    plain: { client_id: 'plain' },
    poller: { client_id: 'poller' },
    thief: Object(await alice.join()).metadata,
  };
  const peers = [...Object.keys(metadata), 'silent', '__proto__'];
  const offers = { stranger: OFFER, plain: OFFER, alice: OFFER };
  const opened = await bob.sealing.open(
    { type: 'peers', peers, yourId: 'x', metadata, offers, polling: ['poller'] },
    bob.id,
    now,
  );
  expect(opened).toMatchObject({ peers: ['alice'], offers: {} });
  expect(bob.refused.sort()).toEqual([
    '__proto__: It has no key: its message is not sealed.',
    'alice: It has no key: its message is not sealed.', // its offer
    'plain: It has no key: its message is not sealed.',
    'poller: It has no key: it polls.',
    'silent: It has no key: its message is not sealed.',
    'stranger: It has the wrong key.',
    'thief: Its message was sealed by another member.',
  ]);
});

test('nobody meets itself, though its server says so and reflects what it sealed', async () => {
  const [alice] = await room(['alice']);
  if (!alice) throw new Error('no member');
  const itself = Object(await alice.join());
  expect(await alice.sealing.open(itself, 'alice', now)).toBeUndefined();
  const peers: ServerMessage = { type: 'peers', peers: ['alice'], yourId: '', metadata: { alice: itself.metadata } };
  expect(await alice.sealing.open(peers, 'alice', now)).toMatchObject({ peers: [] });
  expect(await alice.sealing.open(await said(alice, signal('alice', OFFER)), 'alice', now)).toBeUndefined();
  expect(alice.refused).toEqual(['alice: It goes by our own id.', 'alice: It has not said who it is.']);
});

test('an offer ahead is for whoever joins, and nothing else is', async () => {
  const [alice, bob] = await room(['alice', 'bob']);
  if (!alice || !bob) throw new Error('no members');
  const metadata = { alice: Object(await alice.join()).metadata };
  const welcome = Object(await said(alice, { type: 'ahead', offer: OFFER }));
  expect(JSON.stringify(welcome.offers.alice).length).toBeLessThan(MAX_OFFER_BYTES);
  expect(await bob.sealing.open({ ...welcome, metadata }, bob.id, now)).toMatchObject({ offers: { alice: OFFER } });
  const direct = Object(await said(alice, signal('bob', OFFER)));
  for (const offer of [welcome.offers.alice, direct.signal]) {
    const again = await bob.sealing.open({ ...welcome, metadata, offers: { alice: offer } }, bob.id, now);
    expect(again).toMatchObject({ peers: ['alice'], offers: {} });
  }
  expect(bob.refused).toEqual([
    'alice: Its message has been heard before.',
    'alice: Its message is for another member.',
  ]);
});

test('an answer that comes with a join goes with whichever offer the room gave out, once', async () => {
  const [alice, bob] = await room(['alice', 'bob']);
  if (!alice || !bob) throw new Error('no members');
  const answer = { type: 'answer', sdp: 'v=0', candidates: [] };
  const brought = JSON.parse((await alice.sealing.answer('alice', JSON.stringify(answer))) ?? '');
  const delivery: ServerMessage = { type: 'signal', fromId: 'alice', signal: { ...brought, attempt: 'a' } };
  expect(await bob.sealing.open(delivery, 'bob', now)).toMatchObject({ signal: { ...answer, attempt: 'a' } });
  expect(await bob.sealing.open(delivery, 'bob', now)).toBeUndefined();
  const asAnother = { ...delivery, fromId: 'bob' };
  expect(await alice.sealing.open(asAnother, 'alice', now)).toBeUndefined();
  expect([...bob.refused, ...alice.refused]).toEqual([
    'alice: Its message has been heard before.',
    'bob: Its message was sealed by another member.',
  ]);
  expect(await alice.sealing.answer('alice', JSON.stringify('x'.repeat(8192)))).toBeUndefined();
  const welcome = Object(await said(alice, { type: 'ahead', offer: OFFER }));
  const metadata = { alice: Object(await alice.join()).metadata };
  const peers = { ...welcome, metadata, answered: 'alice' };
  expect(await bob.sealing.open(peers, 'bob', now)).toMatchObject({ answered: 'alice' });
  expect(await bob.sealing.open(peers, 'bob', now)).not.toHaveProperty('answered'); // its offer was heard before
});

test('an answer that comes with a join, and that the server holds back, is not heard after what was said later', async () => {
  const [alice, bob] = await room(['alice', 'bob']);
  if (!alice || !bob) throw new Error('no members');
  const brought = JSON.parse((await alice.sealing.answer('alice', '{"type":"answer","sdp":"v=0"}')) ?? '');
  expect(await bob.sealing.open(await said(alice, signal('bob', OFFER)), 'bob', now)).toBeDefined();
  const late: ServerMessage = { type: 'signal', fromId: 'alice', signal: { ...brought, attempt: 'a1' } };
  expect(await bob.sealing.open(late, 'bob', now)).toBeUndefined();
  expect(bob.refused).toEqual(['alice: Its message comes after a later one.']);
});

test('the app is asked whom it trusts, with a key and without, and told of whom it does not', async () => {
  const asked: Claimed[] = [];
  const told: string[] = [];
  const options: SealedOptions = {
    trust: (member) => asked.push(member) > 1,
    onUntrusted: ({ clientId }, reason) => told.push(`${clientId}: ${reason}`),
  };
  const fingerprint = 'sha-256 AB:CD';
  const [alice, bob] = await room(['alice', 'bob'], options);
  if (!alice || !bob) throw new Error('no members');
  const keyless = new Sealing(undefined, options, nothing, nothing);
  await keyless.open(
    { type: 'peer_join', clientId: 'alice', timestamp: 1, metadata: { client_id: 'name' } },
    'bob',
    now,
  );
  const first = await said(alice, signal('bob', OFFER));
  expect(await bob.sealing.open(first, 'bob', now)).toBeUndefined();
  const second = await said(alice, signal('bob', OFFER));
  expect(await bob.sealing.open(second, 'bob', now)).toMatchObject({ signal: OFFER });
  asked.length = 0;
  expect(await keyless.open({ type: 'signal', fromId: 'alice', signal: OFFER }, 'bob', now)).toBeUndefined();
  expect(asked).toEqual([{ id: 'alice', clientId: 'name', metadata: undefined, fingerprint }]);
  const reason = `It is not trusted. Its certificate is ${fingerprint}.`;
  expect(told).toEqual([`alice name: ${reason}`, `name: ${reason}`]);
});

test.each([
  ['nothing', () => undefined],
  ['what is no true', () => 1],
  ['null', () => null],
])('trust that answers %s trusts nobody', async (_what, trust) => {
  const told: string[] = [];
  const options = { onUntrusted: (_member: Claimed, reason: string) => told.push(reason) };
  const sealing = new Sealing(undefined, Object({ ...options, trust }), nothing, nothing);
  expect(await sealing.open({ type: 'signal', fromId: 'eve', signal: OFFER }, 'bob', now)).toBeUndefined();
  expect(told).toEqual(['It is not trusted. Its certificate is sha-256 AB:CD.']);
});

test('where trust throws, or onUntrusted, that member is not trusted, and the others are met all the same', async () => {
  const uncaught = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => undefined);
  const told: string[] = [];
  const trust = ({ clientId }: Claimed): boolean => {
    if (clientId === 'eve') throw new Error('no such name');
    return true;
  };
  const onUntrusted = ({ clientId }: Claimed, reason: string): void => {
    told.push(`${clientId}: ${reason}`);
    throw new Error('no such field');
  };
  const sealing = new Sealing(undefined, { trust, onUntrusted }, nothing, nothing);
  const peers: ServerMessage = {
    type: 'peers',
    peers: ['eve', 'alice'],
    yourId: 'bob',
    offers: { eve: OFFER, alice: OFFER },
  };
  expect(await sealing.open(peers, 'bob', now)).toMatchObject({ peers: ['eve', 'alice'], offers: { alice: OFFER } });
  expect(told).toEqual(['eve: It is not trusted: the option trust failed: Error: no such name']);
  expect(uncaught).toHaveBeenCalledOnce();
  uncaught.mockRestore();
});

test('trust that answers later trusts nobody, and says why', async () => {
  const told: string[] = [];
  const options = { onUntrusted: (_member: Claimed, reason: string) => told.push(reason) };
  const sealing = new Sealing(undefined, Object({ ...options, trust: async () => true }), nothing, nothing);
  expect(await sealing.open({ type: 'signal', fromId: 'eve', signal: OFFER }, 'bob', now)).toBeUndefined();
  expect(told).toEqual([expect.stringContaining('has to answer at once')]);
});

test('without a key, members that poll are told of as such', async () => {
  const sealing = new Sealing(undefined, { trust: () => true }, nothing, nothing);
  const peers: ServerMessage = { type: 'peers', peers: ['alice', 'polly'], yourId: 'bob', polling: ['polly'] };
  expect(await sealing.open(peers, 'bob', now)).toMatchObject({ peers: ['alice', 'polly'], polling: ['polly'] });
});

test('a joiner that is not taken, and was given our offer, is told of each time', async () => {
  const [alice] = await room(['alice']);
  const join: ServerMessage = { type: 'peer_join', clientId: 'mallory', timestamp: 1, metadata: {}, offerTaken: true };
  for (const message of [join, join, { ...join, offerTaken: undefined }])
    await alice?.sealing.open(Object(message), alice.id, now);
  expect(alice?.refused).toEqual([
    'mallory: It has no key: its message is not sealed.',
    'it had our offer',
    'it had our offer',
  ]);
});

test('members that have gone while we were away make room for others', async () => {
  const refused: string[] = [];
  const sealing = new Sealing(undefined, { trust: () => true }, (id) => refused.push(id), nothing);
  for (let day = 0; day < 3; day++) {
    const peers = Array.from({ length: 600 }, (_, n) => `member ${n} of day ${day}`);
    expect(await sealing.open({ type: 'peers', peers, yourId: 'bob' }, 'bob', now)).toMatchObject({ peers });
  }
  expect(refused).toEqual([]);
});

test('metadata that is too long is refused with what would pass', async () => {
  const [alice] = await room(['alice']);
  const json = (length: number): string => JSON.stringify({ metadata: 'x'.repeat(length) });
  const refusal = await alice?.sealing.metadata('alice', json(3000)).catch((error: Error) => error.message);
  const most = Number(/with a key, (\d+) is the most/.exec(String(refusal))?.[1]);
  await expect(alice?.sealing.metadata('alice', json(most - json(0).length))).resolves.toContain('sealed');
  await expect(alice?.sealing.metadata('alice', json(most - json(0).length + 8))).rejects.toThrow('is the most');
});
