/** Rooms with a key behind a server that means ill, and what it can see. */
import wrtc from 'node-datachannel/polyfill';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { signalFrames } from '../../src/client/chunks.ts';
import { type Claimed, P2PCF, type P2PCFOptions, type Sas } from '../../src/client/index.ts';
import { type Middleman, type Passing, startMiddleman } from '../support/middleman.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
beforeAll(async () => {
  server = await startWorkerd();
});
afterAll(() => server.stop());

interface TestMember {
  room: P2PCF;
  /** Who was not taken, by its name, and why: what the app is told by `onUntrusted`, and by `peerstate`. */
  untrusted: string[];
  failed: string[];
  /** Whom it has been connected to, by name. */
  met: string[];
}

/** A server that means ill, and its members, for as long as the test runs. */
async function startRoom(): Promise<AsyncDisposable & { middleman: Middleman; join: Join; members: TestMember[] }> {
  const middleman = await startMiddleman(server.url);
  const members: TestMember[] = [];
  const join: Join = async (name, room, options = {}) => {
    const untrusted: string[] = [];
    const all: P2PCFOptions = {
      workerUrl: middleman.url,
      stunIceServers: [],
      wrtc,
      metadata: { private: `of ${name}` },
      onUntrusted: ({ clientId }, reason) => untrusted.push(`${clientId}: ${reason}`),
      ...options,
    };
    const member: TestMember = { room: new P2PCF(name, room, all), untrusted, failed: [], met: [] };
    member.room
      .on(
        'peerstate',
        ({ client_id }, state, reason) => state === 'failed' && member.failed.push(`${client_id}: ${reason}`),
      )
      .on('peerconnect', ({ client_id }) => member.met.push(client_id));
    members.push(member);
    await member.room.start();
    return member;
  };
  const leave = async (): Promise<void> => {
    for (const { room } of members) room.destroy();
    await middleman.stop();
  };
  return { middleman, join, members, [Symbol.asyncDispose]: leave };
}
type Join = (name: string, room: string, options?: Partial<P2PCFOptions>) => Promise<TestMember>;

const has = (list: string[], what: string): Promise<void> => vi.waitFor(() => expect(list).toContain(what), WAIT);

test.each<[object, RegExp]>([
  [{ key: '' }, /The key must be one of P2PCF.newKey/],
  [{ key: null }, /The key must be one of P2PCF.newKey/],
  [{ key: 0 }, /The key must be one of P2PCF.newKey/],
  [{ key: [P2PCF.newKey()] }, /The key must be one of P2PCF.newKey/], // as routers give a part of an address
  [{ key: '', hideRoom: true }, /The key must be one of P2PCF.newKey/],
  [{ key: '', password: 'word word' }, /not both/],
  [{ password: '' }, /The password is empty/],
  [{ hideRoom: true }, /hideRoom needs a key/],
])('with %j, as where a link has lost its fragment, nobody goes in without a key', async (options, sentence) => {
  const { middleman, join, members, [Symbol.asyncDispose]: leave } = await startRoom();
  try {
    await expect(join('Alice', newRoom(), options)).rejects.toThrow(sentence);
    expect(members[0]?.room.state).toBe('closed');
    expect(middleman.seen).toEqual([]);
  } finally {
    await leave();
  }
});

test('options that the app uses for several rooms, or wipes, are each room’s as they were when it was made', async () => {
  await using stage = await startRoom();
  const { middleman, members } = stage;
  const [one, other] = [newRoom(), newRoom()];
  const met: string[] = [];
  const make = (name: string, room: string, all: P2PCFOptions): void => {
    const made = new P2PCF(name, room, all).on('peerconnect', ({ client_id }) => met.push(`${name} ${client_id}`));
    members.push({ room: made, untrusted: [], failed: [], met: [] });
  };
  const [key, otherKey] = [P2PCF.newKey(), P2PCF.newKey()];
  const options: P2PCFOptions = { workerUrl: middleman.url, stunIceServers: [], wrtc, key, hideRoom: true };
  make('Alice', one, options);
  options.key = otherKey;
  make('Carol', other, options);
  delete options.key;
  delete options.hideRoom;
  options.trust = () => false;
  make('Bobby', one, { ...options, key, hideRoom: true, trust: undefined });
  make('Davey', other, { ...options, key: otherKey, hideRoom: true, trust: undefined });
  for (const { room } of members) await room.start();
  await vi.waitFor(
    () => expect(met.sort()).toEqual(['Alice Bobby', 'Bobby Alice', 'Carol Davey', 'Davey Carol']),
    WAIT,
  );
  expect(middleman.seen.filter((each) => each.includes(one) || each.includes(other))).toEqual([]);
});

test.each([
  ['first', ['Alice', 'Bobby']],
  ['last', ['Bobby', 'Alice']],
])('whoever comes %s and has no key, as where a link has lost it, is told so at once', async (_when, order) => {
  const { join, [Symbol.asyncDispose]: leave } = await startRoom();
  try {
    const [room, key] = [newRoom(), P2PCF.newKey()];
    const members: Record<string, TestMember> = {};
    for (const name of order) members[name] = await join(name, room, name === 'Alice' ? {} : { key });
    const { Alice: alice, Bobby: bob } = members;
    await vi.waitFor(() => {
      expect(alice?.failed).toEqual([expect.stringContaining('It has a key, and we have none: look whether the link')]);
      expect(bob?.untrusted.join()).toContain('It has no key');
    }, WAIT);
    expect([alice?.met, bob?.met, alice?.room.peers.size]).toEqual([[], [], 0]);
  } finally {
    await leave();
  }
});

test('trust without a key, and no hidden room, is asked all the same', async () => {
  const { join, [Symbol.asyncDispose]: leave } = await startRoom();
  try {
    const room = newRoom();
    const options = { hideRoom: false, trust: () => false };
    const alice = await join('Alice', room, options);
    const bob = await join('Bobby', room, options);
    await vi.waitFor(() => expect([...alice.untrusted, ...bob.untrusted].join()).toContain('It is not trusted'), WAIT);
    expect([alice.met, bob.met]).toEqual([[], []]);
  } finally {
    await leave();
  }
});

test('a peer that is trusted brings in no certificate that is not, by the channel of a connection that has failed', async () => {
  await using stage = await startRoom();
  const { join } = stage;
  const room = newRoom();
  const asked: string[] = [];
  const trust = ({ fingerprint }: { fingerprint: string }): boolean => asked.push(fingerprint) > 0;
  const alice = await join('Alice', room, { trust });
  const mallory = await join('Mallory', room);
  await Promise.all([has(alice.met, 'Mallory'), has(mallory.met, 'Alice')]);
  const peer = alice.room.peers.get(mallory.room.sessionId);
  const hers = mallory.room.peers.get(alice.room.sessionId);
  if (!peer || !hers) throw new Error('they have met');
  const { fingerprint } = peer;
  // It goes on, as in browsers: node-datachannel has no restart, and another certificate for each connection.
  Object.defineProperties(peer._pc, { connectionState: { value: 'failed' }, restartIce: { value: () => undefined } });
  peer._pc.onconnectionstatechange?.(new Event('connectionstatechange'));
  expect(peer.state).toBe('failed');
  const another = `$1${Array(32).fill('AB').join(':')}`;
  const sdp = hers._pc.localDescription?.sdp.replace(/(a=fingerprint:sha-256 ).*/, another);
  for (const frame of signalFrames({ type: 'offer', sdp, attempt: 'another' }, 1)) hers._channel?.send(frame);
  const told = new Promise<unknown>((resolve) => peer.on('close', () => resolve('closed')).on('data', resolve));
  await mallory.room.broadcast('after that');
  await told;
  expect([
    alice.room.peers.get(peer.id) === peer,
    peer.fingerprint,
    asked.filter((each) => each.includes('AB:AB')),
  ]).toEqual([true, fingerprint, []]);
});

test('whoever is not trusted while it waits for its turn goes on waiting, and takes no place from others', async () => {
  const { join, [Symbol.asyncDispose]: leave } = await startRoom();
  try {
    const room = newRoom();
    const trust = ({ clientId }: Claimed): boolean => clientId !== 'Mallory';
    const alice = await join('Alice', room, { trust, maxConnections: 1, offersAhead: false });
    const bob = await join('Bobby', room, { offersAhead: false });
    await has(alice.met, 'Bobby');
    const mallory = await join('Mallory', room, { offersAhead: false });
    const carol = await join('Carol', room, { offersAhead: false });
    await vi.waitFor(() => expect(alice.untrusted.join()).toContain('Mallory: It is not trusted'), WAIT);
    expect(alice.room.peers.get(mallory.room.sessionId)?.state).toBe('waiting');
    expect(alice.failed.join()).toContain('Mallory: It is not trusted');
    bob.room.destroy();
    await has(alice.met, 'Carol');
    carol.room.destroy();
  } finally {
    await leave();
  }
});

test.each([
  ['key', true],
  ['key', false],
  ['password', true],
] as const)(
  'with a %s, offers ahead: %s, members meet, and a server that records sees ids, times and sizes alone',
  async (secret, offersAhead) => {
    await using stage = await startRoom();
    const { middleman, join, members } = stage;
    const room = 'the-secret-name-of-the-room';
    const words = secret === 'key' ? P2PCF.newKey() : 'correct horse battery staple';
    const options = { [secret]: words, hideRoom: true, offersAhead };
    const alice = await join('Alice', room, options);
    const bob = await join('Bobby', room, options);
    await Promise.all([has(alice.met, 'Bobby'), has(bob.met, 'Alice')]);
    expect([...alice.room.peers.values()].map(({ metadata }) => metadata)).toEqual([{ private: 'of Bobby' }]);
    const said = new Promise<ArrayBuffer>((resolve) => bob.room.once('msg', (_peer, data) => resolve(data)));
    await alice.room.broadcast('hello');
    expect(new TextDecoder().decode(await said)).toBe('hello');
    const sdps = members.map(({ room }) => [...room.peers.values()][0]?._pc.localDescription?.sdp ?? '');
    const facts = sdps.flatMap((sdp) =>
      [/ice-ufrag:(\S+)/, /ice-pwd:(\S+)/, /fingerprint:sha-256 (\S+)/].map((fact) => fact.exec(sdp)?.[1] ?? ''),
    );
    const addresses = sdps.flatMap((sdp) =>
      Array.from(sdp.matchAll(/candidate:(?:\S+ ){4}(\S+)/g), ([, ip = '']) => ip),
    );
    expect([facts.every(Boolean), addresses.length > 0, middleman.seen.length > 6]).toEqual([true, true, true]);
    const secrets = [
      room,
      words,
      'Alice',
      'Bobby',
      'private',
      'of ',
      'v=0',
      'a=',
      'candidate',
      'sdp',
      '"type":"offer"',
      ...facts,
    ];
    const record = middleman.seen.join('\n');
    // Three or four letters come about in what is sealed by chance: those must not stand outside of it.
    const plain = record.replaceAll(/[\w-]{40,}/g, '');
    const isSeen = (secret: string): boolean => (secret.length < 5 ? plain : record).includes(secret);
    expect([...secrets, ...addresses].filter(isSeen)).toEqual([]);
  },
);

/** Alice and Carol have met when Bob comes; `memory` is the server's. */
interface About {
  alice: string;
  carol: string;
  memory: Map<string, object>;
}
type Attack = (passing: Passing, about: About) => object[];

/** Only what Alice is told of Bob's is meddled with. */
const onSignals =
  (change: (signal: Record<string, unknown>, passing: Passing, about: About) => object[]): Attack =>
  (passing, about) => {
    const { alice, carol } = about;
    const { message, from, victim } = passing;
    const isBobs = ![alice, carol].includes(String(message['fromId']));
    if (from !== 'server' || message.type !== 'signal' || victim.id !== alice || !isBobs) return [message];
    return change(Object(message['signal']), passing, about);
  };

const ATTACKS: Record<string, [attack: Attack, reason: string]> = {
  'swaps fingerprints, for which it has to change what it cannot read': [
    onSignals((signal, { message }) => {
      const bytes = Buffer.from(String(signal['data']), 'base64url');
      bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
      return [{ ...message, signal: { ...signal, data: bytes.toString('base64url') } }];
    }),
    'Bobby: Its message was changed on the way.',
  ],
  'mixes attempts': [
    onSignals((signal, { message }) => [{ ...message, signal: { ...signal, attempt: 'another' } }]),
    'Bobby: Its message was changed on the way.',
  ],
  replays: [
    onSignals((_signal, { message }, { memory }) => {
      const first = memory.get('first') ?? message;
      memory.set('first', first);
      return [first, first];
    }),
    'Bobby: Its message has been heard before.',
  ],
  reorders: [
    onSignals((_signal, { message }, { memory }) => {
      const held = memory.get('held');
      memory.set('held', message);
      return held ? [message, held] : [];
    }),
    'Bobby: Its message comes after a later one.',
  ],
  'redirects to another target': [
    (passing, { alice, carol }) => {
      const { message, from } = passing;
      const isForAlice = from === 'client' && message.type === 'signal' && message['targetId'] === alice;
      return [isForAlice && passing.victim.id !== carol ? { ...message, targetId: carol } : message];
    },
    'Bobby: Its message is for another member.',
  ],
  'swaps sender ids': [
    onSignals((_signal, { message }, { carol }) => [{ ...message, fromId: carol }]),
    'Carol: Its message was sealed by another member.',
  ],
  reflects: [
    ({ message, from, victim }, { alice, carol }) => {
      const { type, targetId, signal } = message;
      const isToBob = from === 'client' && type === 'signal' && victim.id === alice && targetId !== carol;
      if (isToBob) victim.tell({ type: 'signal', fromId: targetId, signal });
      return [message];
    },
    'Bobby: Its message was sealed by another member.',
  ],
  downgrades: [
    onSignals((_signal, { message }) => [
      { ...message, signal: { type: 'offer', sdp: 'v=0\r\n', attempt: 'a', candidates: [] } },
    ]),
    'Bobby: It has no key: its message is not sealed.',
  ],
  'downgrades who somebody is': [
    ({ message, victim }, { alice }) =>
      message.type === 'peer_join' && victim.id === alice
        ? [{ ...message, metadata: { client_id: 'Bobby', metadata: {} } }]
        : [message],
    'ID: It has no key: its message is not sealed.',
  ],
};

test.each(Object.keys(ATTACKS))(
  'a server that %s is caught, connects nobody to the wrong one, and can only delay',
  async (name) => {
    const [attack, reason = ''] = ATTACKS[name] ?? [];
    await using stage = await startRoom();
    const { middleman, join, members } = stage;
    const room = newRoom();
    const options = { key: P2PCF.newKey(), offersAhead: false };
    const alice = await join('Alice', room, options);
    const carol = await join('Carol', room, options);
    await Promise.all([has(alice.met, 'Carol'), has(carol.met, 'Alice')]);
    const about = { alice: alice.room.sessionId, carol: carol.room.sessionId, memory: new Map<string, object>() };
    middleman.meddle = (passing) => attack?.(passing, about) ?? [passing.message];
    const bob = await join('Bobby', room, options);
    const untrusted = name === 'redirects to another target' ? carol.untrusted : alice.untrusted;
    await has(untrusted, reason.replace('ID', bob.room.sessionId));
    middleman.meddle = undefined;
    await has(bob.met, 'Carol');
    const names = new Map(members.map(({ room }) => [room.sessionId, room.clientId]));
    for (const { room } of members) {
      for (const peer of room.peers.values()) expect(peer.client_id).toBe(names.get(peer.id));
    }
    if (name.startsWith('downgrades who')) return; // the server has said that somebody else is there, and stays with it
    await Promise.all([has(alice.met, 'Bobby'), has(bob.met, 'Alice')]);
  },
);

/**
 * The server has an offer ahead of Alice's and one of Carol's when Bob comes, and says to him what the attack makes of
 * Alice's; `signal` is what Alice has sent to another, and `elsewhere` an offer ahead of a room with the same key.
 */
interface Ahead {
  alices: Sealed;
  carols: Sealed;
  signal: Sealed;
  elsewhere: Sealed;
}
type Sealed = Record<string, unknown>;

const spoiled = (sealed: Sealed): Sealed => {
  const bytes = Buffer.from(String(sealed['data']), 'base64url');
  bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
  return { ...sealed, data: bytes.toString('base64url') };
};

const OF_AN_OFFER_AHEAD: Record<string, [attack: (offers: Ahead) => unknown, reason: string]> = {
  'swaps the fingerprint in it': [({ alices }) => spoiled(alices), 'Its message was changed on the way.'],
  'says that it belongs to another attempt': [
    ({ alices }) => ({ ...alices, attempt: 'another' }),
    'Its message was changed on the way.',
  ],
  'says that it is the newest': [({ alices }) => ({ ...alices, n: 1000 }), 'Its message was changed on the way.'],
  "gives another member's in its place": [({ carols }) => carols, 'Its message was sealed by another member.'],
  "gives another room's in its place": [({ elsewhere }) => elsewhere, 'Its message is from another room.'],
  'gives a signal to another in its place': [({ signal }) => signal, 'Its message is for another member.'],
  'gives a signal in its place, and says that it was for whoever joins': [
    ({ signal }) => ({ ...signal, to: '' }),
    'Its message was made for another purpose.',
  ],
  'gives one of its own in its place': [
    () => ({ type: 'offer', sdp: 'v=0\r\n', attempt: 'a', candidates: [] }),
    'It has no key: its message is not sealed.',
  ],
  'has sealed one with a key of its own': [({ alices }) => ({ ...alices, key: 'AAAAAAAA' }), 'It has the wrong key.'],
};

/** Alice and Carol, who have met, and have each published an offer ahead. */
async function startWithOffers(): Promise<
  Awaited<ReturnType<typeof startRoom>> & { alice: TestMember; carol: TestMember; room: string; options: object }
> {
  const stage = await startRoom();
  const { middleman, join } = stage;
  const room = newRoom();
  const options = { key: P2PCF.newKey() };
  const published = (count: number): Promise<void> =>
    vi.waitFor(() => expect(middleman.seen.filter(isAhead)).toHaveLength(count), WAIT);
  const alice = await join('Alice', room, options);
  await published(1);
  const carol = await join('Carol', room, options);
  await Promise.all([has(alice.met, 'Carol'), has(carol.met, 'Alice')]);
  await published(3); // Carol has taken the first
  await join('Erika', room, { ...options, offersAhead: false }); // whom Alice sends an answer
  await has(alice.met, 'Erika');
  return { ...stage, alice, carol, room, options };
}
const isAhead = (text: string): boolean => text.startsWith('{"type":"ahead"');

test.each(Object.keys(OF_AN_OFFER_AHEAD))(
  'a server that has an offer published ahead, and %s, is caught, and only delays',
  async (name) => {
    const [attack, reason = ''] = OF_AN_OFFER_AHEAD[name] ?? [];
    await using stage = await startWithOffers();
    const { middleman, join, members, alice, carol, room, options } = stage;
    const before = middleman.seen.length;
    const dave = await join('Davey', newRoom(), options);
    await vi.waitFor(() => expect(middleman.seen.slice(before).some(isAhead)).toBe(true), WAIT);
    const elsewhere = JSON.parse(middleman.seen.slice(before).find(isAhead) ?? '').offer;
    dave.room.destroy();
    const signal = middleman.seen
      .filter((text) => text.startsWith('{"type":"signal"'))
      .map((text) => JSON.parse(text).signal)
      .find(({ from }) => from === alice.room.sessionId);
    const attacked: unknown[] = [];
    middleman.meddle = ({ message, from }) => {
      if (from !== 'server' || message.type !== 'peers') return [message];
      const offers = Object(message['offers']);
      const { [alice.room.sessionId]: alices, [carol.room.sessionId]: carols } = offers;
      const offer = attack?.({ alices, carols, signal, elsewhere });
      attacked.push(offer);
      return [{ ...message, offers: { ...offers, [alice.room.sessionId]: offer } }];
    };
    const bob = await join('Bobby', room, options);
    await has(bob.untrusted, `Alice: ${reason}`);
    await Promise.all([has(bob.met, 'Alice'), has(alice.met, 'Bobby'), has(bob.met, 'Carol')]);
    expect(attacked).toEqual([expect.anything()]);
    const names = new Map(members.map(({ room }) => [room.sessionId, room.clientId]));
    for (const { room } of members)
      for (const peer of room.peers.values()) expect(peer.client_id).toBe(names.get(peer.id));
    expect([bob.untrusted, alice.untrusted, carol.untrusted]).toEqual([[`Alice: ${reason}`], [], []]);
  },
);

test('whoever is not met and takes an offer published ahead keeps it from nobody: another follows', async () => {
  await using stage = await startRoom();
  const { middleman, join } = stage;
  const [room, key] = [newRoom(), P2PCF.newKey()];
  const alice = await join('Alice', room, { key });
  const isHers = (text: string): boolean => isAhead(text) && JSON.parse(text).offer.from === alice.room.sessionId;
  const published = (count: number): Promise<void> =>
    vi.waitFor(() => expect(middleman.seen.filter(isHers)).toHaveLength(count), WAIT);
  await published(1);
  const mallory = await join('Mallory', room, { key: P2PCF.newKey() });
  await published(2);
  mallory.room.destroy();
  const bob = await join('Bobby', room, { key });
  await has(bob.met, 'Alice');
  const peers = middleman.seen.filter((text) => text.startsWith('{"type":"peers"')).map((text) => JSON.parse(text));
  expect(Object.keys(peers.at(-1).offers)).toContain(alice.room.sessionId);
});

/** What the server gives as Alice's offer to the first of two that come, and to the second; she publishes two. */
test.each<[name: string, pick: (offers: Sealed[]) => (Sealed | undefined)[]]>([
  ['gives it to two', ([first]) => [first, first]],
  ['gives the newer before the older', ([first, second]) => [second, first]],
  ['drops it', () => [undefined, undefined]],
])('a server that has an offer published ahead, and %s, connects nobody to the wrong one', async (_name, pick) => {
  await using stage = await startRoom();
  const { middleman, join, members } = stage;
  const room = newRoom();
  const options = { key: P2PCF.newKey() };
  const alice = await join('Alice', room, options);
  const offers = (): Sealed[] => middleman.seen.filter(isAhead).map((text) => JSON.parse(text).offer);
  await vi.waitFor(() => expect(offers()).toHaveLength(1), WAIT);
  let joined = 0;
  middleman.meddle = ({ message, from }) => {
    if (from !== 'server' || message.type !== 'peers') return [message];
    const [first = {}, second = first] = offers();
    const offer = pick([first, second])[joined++];
    return [{ ...message, offers: { ...Object(message['offers']), [alice.room.sessionId]: offer } }];
  };
  const bob = await join('Bobby', room, options);
  const carol = await join('Carol', room, options);
  await Promise.all([
    ...['Bobby', 'Carol'].map((name) => has(alice.met, name)),
    ...['Alice', 'Carol'].map((name) => has(bob.met, name)),
    ...['Alice', 'Bobby'].map((name) => has(carol.met, name)),
  ]);
  expect(joined).toBe(2);
  const names = new Map(members.map(({ room }) => [room.sessionId, room.clientId]));
  for (const { room } of members)
    for (const peer of room.peers.values()) expect(peer.client_id).toBe(names.get(peer.id));
});

test('an offer published ahead is taken once by a member that comes back, and as no signal', async () => {
  await using stage = await startWithOffers();
  const { middleman, join, alice, room, options } = stage;
  const given: Sealed[] = [];
  middleman.meddle = ({ message, from }) => {
    if (from !== 'server' || message.type !== 'peers') return [message];
    const offers = Object(message['offers']);
    const { [alice.room.sessionId]: offer } = offers;
    given.push(given[0] ?? offer);
    return [{ ...message, offers: { ...offers, [alice.room.sessionId]: given[0] } }];
  };
  const bob = await join('Bobby', room, options);
  await has(bob.met, 'Alice');
  bob.room.destroy();
  bob.met.length = 0;
  await bob.room.start();
  await has(bob.untrusted, 'Alice: Its message has been heard before.');
  const { sessionId: fromId } = alice.room;
  for (const victim of middleman.victims) victim.tell({ type: 'signal', fromId, signal: given[0] });
  await has(bob.untrusted, 'Alice: Its message is for another member.');
  await has(bob.met, 'Alice');
});

test('what was said before a connection was lost, or before a page was loaded again, is not heard again', async () => {
  await using stage = await startRoom();
  const { middleman, join } = stage;
  const room = newRoom();
  const options = { key: P2PCF.newKey(), offersAhead: false };
  const alice = await join('Alice', room, options);
  const said: object[] = [];
  middleman.meddle = ({ message, from, victim }) => {
    if (from === 'server' && victim.id === alice.room.sessionId) said.push(message);
    return [message];
  };
  const bob = await join('Bobby', room, options);
  await Promise.all([has(alice.met, 'Bobby'), has(bob.met, 'Alice')]);
  const before = [...said];
  const again = (): void => {
    // The newest: the middleman may not have heard yet that the one before is gone.
    const victim = middleman.victims.filter(({ id }) => id === alice.room.sessionId).at(-1);
    for (const message of before) victim?.tell(message);
  };
  const back = [alice, bob].map(async ({ room }) => {
    const states: string[] = [];
    room.on('state', (state) => states.push(state));
    await vi.waitFor(() => expect(states).toEqual(['reconnecting', 'open']), WAIT);
  });
  middleman.drop();
  await Promise.all(back); // both: a page that goes while it is away cannot say so
  again();
  await has(alice.untrusted, 'Bobby: Its message has been heard before.');
  expect(alice.met).toEqual(['Bobby']);

  bob.room.destroy(); // and is loaded again
  await vi.waitFor(() => expect(alice.room.peers.size).toBe(0), WAIT);
  const anew = await join('Bobby', room, options);
  await has(anew.met, 'Alice');
  alice.untrusted.length = 0;
  again();
  await has(alice.untrusted, 'Bobby: Its message has been heard before.');
  expect(alice.met).toEqual(['Bobby', 'Bobby']);
});

test('a member that the server calls by the id of another comes back under its own, and seals as itself', async () => {
  await using stage = await startRoom();
  const { middleman, join } = stage;
  const room = newRoom();
  const options = { key: P2PCF.newKey(), offersAhead: false };
  const alice = await join('Alice', room, options);
  middleman.meddle = ({ message, from }) =>
    from === 'server' && message.type === 'peers' ? [{ ...message, yourId: alice.room.sessionId }] : [message];
  const bob = await join('Bobby', room, options);
  await Promise.all([has(alice.met, 'Bobby'), has(bob.met, 'Alice')]);
  middleman.seen.length = 0;
  middleman.drop();
  const ids = [alice, bob].map(({ room }) => room.sessionId);
  const joined = (): string[] =>
    middleman.seen.flatMap((each) => (each.startsWith('/ws/') ? [/clientId=([^&]+)/.exec(each)?.[1] ?? ''] : []));
  await vi.waitFor(() => expect(joined().length).toBeGreaterThanOrEqual(2), WAIT);
  expect(joined().sort()).toEqual(ids.sort());
  await vi.waitFor(() => expect([alice, bob].map(({ room }) => room.state)).toEqual(['open', 'open']), WAIT);
});

test("what a member says of itself is no other member's, and nobody changes it", async () => {
  await using stage = await startRoom();
  const { middleman, join } = stage;
  const room = newRoom();
  const options = { key: P2PCF.newKey(), offersAhead: false };
  const alice = await join('Alice', room, options);
  const carol = await join('Carol', room, options);
  await Promise.all([has(alice.met, 'Carol'), has(carol.met, 'Alice')]);
  const { sessionId: carols } = carol.room;
  middleman.meddle = ({ message, from }) => {
    if (from !== 'server' || message.type !== 'peers') return [message];
    const metadata = Object(message['metadata']);
    const { [alice.room.sessionId]: ofAlice } = metadata;
    return [{ ...message, metadata: { [alice.room.sessionId]: spoiled(ofAlice), [carols]: ofAlice } }];
  };
  const bob = await join('Bobby', room, options);
  await has(bob.failed, `${alice.room.sessionId}: Its message was changed on the way.`);
  await has(bob.failed, `${carols}: Its message was sealed by another member.`);
  expect([bob.met, bob.room.peers.size]).toEqual([[], 0]);
});

test("another room's messages are refused, though its members have the same key", async () => {
  await using stage = await startRoom();
  const { middleman, join } = stage;
  const options = { key: P2PCF.newKey(), offersAhead: false };
  const [here, there] = [newRoom(), newRoom()];
  const alice = await join('Alice', here, options);
  const ofAlice = middleman.victims[0];
  const carol = await join('Carol', there, options);
  middleman.meddle = ({ message, from, victim }) => {
    if (from === 'server' && victim.id === carol.room.sessionId) ofAlice?.tell(message);
    return [message];
  };
  const bob = await join('Bobby', there, options);
  await has(alice.untrusted, `${bob.room.sessionId}: Its message is from another room.`);
  await has(carol.met, 'Bobby');
  await has(alice.failed, `${bob.room.sessionId}: Its message is from another room.`);
  expect([alice.met, alice.room.peers.size]).toEqual([[], 0]);
});

test('whoever has another key, no key, or polls, is not met, and named', async () => {
  await using stage = await startRoom();
  const { join } = stage;
  const room = newRoom();
  const alice = await join('Alice', room, { key: P2PCF.newKey() });
  const mallory = await join('Mallory', room, { key: P2PCF.newKey() });
  const peter = await join('Peter', room);
  const oscar = await join('Oscar', room, { password: 'correct horse' });
  const posting = ['poller', 'Poller', false, `${'A'.repeat(43)}=`, 1, []];
  const body = { r: room, k: 'a context', d: posting, t: Date.now(), x: 120_000, p: [] };
  const headers = { 'Content-Type': 'application/json' };
  const polled = await fetch(server.url, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(await polled.text()).toContain('"ps"');
  const { sessionId: malloryId } = mallory.room;
  await has(alice.failed, `${malloryId}: It has the wrong key.`);
  await has(mallory.failed, `${alice.room.sessionId}: It has the wrong key.`);
  await has(alice.failed, `${peter.room.sessionId}: It has no key: its message is not sealed.`);
  await has(alice.failed, `${oscar.room.sessionId}: It has the wrong key.`);
  const olive = await join('Olive', room, { password: 'Correct horse' });
  await has(olive.failed, `${oscar.room.sessionId}: It has the wrong key.`);
  await has(alice.failed, 'poller: It has no key: it polls.');
  const bob = await join('Bobby', room, { key: P2PCF.newKey() });
  await has(bob.failed, 'poller: It has no key: it polls.');
  for (const each of [alice, mallory, oscar, olive, bob]) expect([each.met, each.room.peers.size]).toEqual([[], 0]);
  expect(alice.untrusted).toEqual(alice.failed);
});

test.each<[reason: string, options: Partial<P2PCFOptions>]>([
  ['The key must be one of P2PCF.newKey()', { key: 'secret' }],
  ['Pass key or password, not both.', { key: P2PCF.newKey(), password: 'word' }],
  ['The option hideRoom needs a key.', { hideRoom: true }],
  ['with a key, ', { key: P2PCF.newKey(), metadata: 'x'.repeat(2000) }],
])('options that cannot work are refused by start: %s', async (reason, options) => {
  await using stage = await startRoom();
  await expect(stage.join('Alice', newRoom(), options)).rejects.toThrow(reason);
  expect(stage.members[0]?.room.state).toBe('closed');
});

test('whoever leaves as it is told of a member that is not trusted hears nothing of that afterwards', async () => {
  const { join, [Symbol.asyncDispose]: leave } = await startRoom();
  try {
    const room = newRoom();
    let told = 0;
    const onUntrusted = (): void => {
      told++;
      alice.room.destroy();
    };
    const alice: TestMember = await join('Alice', room, { key: P2PCF.newKey(), onUntrusted });
    await join('Bobby', room, { key: P2PCF.newKey() });
    await vi.waitFor(() => expect(told).toBe(1), WAIT);
    expect(alice.failed).toEqual([]);
  } finally {
    await leave();
  }
});

test('a server that puts itself between two members has other strings on both sides, and with a key no chance', async () => {
  await using stage = await startRoom();
  const { join } = stage;
  const key = P2PCF.newKey();
  const plain = { offersAhead: false };
  // The server takes Alice and Bob to rooms of their own, and has somebody there who says to be the other.
  const [atAlice, atBob] = [newRoom(), newRoom()];
  const alice = await join('Alice', atAlice, plain);
  const bob = await join('Bobby', atBob, plain);
  await Promise.all([join('Bobby', atAlice, plain), join('Alice', atBob, plain)]);
  await Promise.all([has(alice.met, 'Bobby'), has(bob.met, 'Alice')]);
  const sasOf = ({ room }: TestMember): Promise<Sas> | undefined => [...room.peers.values()][0]?.sas;
  const [aliceReads, bobReads] = await Promise.all([sasOf(alice), sasOf(bob)]);
  expect(aliceReads?.emoji).toHaveLength(7);
  expect(aliceReads?.emoji).not.toEqual(bobReads?.emoji);
  expect(aliceReads?.digits).not.toEqual(bobReads?.digits);
  const careful = await join('Careful', atAlice, { key });
  await has(careful.untrusted, `${alice.room.sessionId}: It has no key: its message is not sealed.`);
  expect(careful.met).toEqual([]);
});

test('there is no string of a certificate that has only been named: whoever names it may not hold it', async () => {
  await using stage = await startRoom();
  const { middleman, join } = stage;
  const room = newRoom();
  const options = { offersAhead: false };
  const alice = await join('Alice', room, options);
  const early: unknown[] = [];
  let isEarly = true;
  alice.room.on('peerjoin', (peer) =>
    peer.on('signal', () => {
      if (isEarly) early.push(peer.fingerprint, peer.sas.catch(String));
    }),
  );
  middleman.meddle = (passing) => withoutWays(passing);
  const bob = await join('Bobby', room, options);
  await vi.waitFor(() => expect(early.length).toBeGreaterThan(1), WAIT);
  const [fingerprint, said] = early;
  expect([fingerprint, await said]).toEqual([
    expect.stringContaining('sha-256'),
    'Error: There is no short authentication string before the peer is connected.',
  ]);
  isEarly = false;
  middleman.meddle = undefined;
  await Promise.all([has(alice.met, 'Bobby'), has(bob.met, 'Alice')]);
});

/** Signals arrive without candidates, and so nobody connects. */
function withoutWays({ message }: Passing): object[] {
  const signal = Object(message['signal']);
  if (message.type !== 'signal') return [message];
  return signal.sdp ? [{ ...message, signal: { ...signal, candidates: [] } }] : [];
}
