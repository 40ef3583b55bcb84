/** Rooms with a key behind a server that means ill, and what it can see. */
import wrtc from 'node-datachannel/polyfill';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { P2PCF, type P2PCFOptions, type Sas } from '../../src/client/index.ts';
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
      'offer"',
      ...facts,
    ];
    const record = middleman.seen.join('\n');
    expect([...secrets, ...addresses].filter((each) => record.includes(each))).toEqual([]);
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
  const posting = ['poller', 'Poller', false, `${'A'.repeat(43)}=`, 1, []];
  const body = { r: room, k: 'a context', d: posting, t: Date.now(), x: 120_000, p: [] };
  const headers = { 'Content-Type': 'application/json' };
  const polled = await fetch(server.url, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(await polled.text()).toContain('"ps"');
  const { sessionId: malloryId } = mallory.room;
  await has(alice.failed, `${malloryId}: It has the wrong key.`);
  await has(mallory.failed, `${alice.room.sessionId}: It has the wrong key.`);
  await has(alice.failed, `${peter.room.sessionId}: It has no key: its message is not sealed.`);
  await has(alice.failed, 'poller: It has no key: it polls.');
  const bob = await join('Bobby', room, { key: P2PCF.newKey() });
  await has(bob.failed, 'poller: It has no key: it polls.');
  for (const each of [alice, mallory, bob]) expect([each.met, each.room.peers.size]).toEqual([[], 0]);
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
