import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parsePoll } from '../../src/protocol/poll.ts';
import { Client, type Place } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { idsIn, Poller, type Reply, send } from '../support/poller.ts';
import { keepAsleep, meter, NOTHING, pass, stored } from '../support/within-room.ts';
import { workerd } from '../support/workerd-place.ts';

let room = '';
let sockets: Client[] = [];
beforeEach(() => {
  room = newRoom();
});
afterEach(async () => {
  for (const socket of sockets) await socket.close(1000);
  sockets = [];
  vi.useRealTimers();
});

const stub = () => env.SIGNALING_ROOM.getByName(room);
const sleep = () => keepAsleep(stub());

const HASH = Array.from({ length: 32 }, () => 'AB').join(':');
const SDP = `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Wufr\r\na=ice-pwd:Wpwd\r\na=fingerprint:sha-256 ${HASH}\r\na=mid:0\r\n`;
const OFFER = { type: 'offer', sdp: SDP, attempt: 'a1' };
const HOST = 'candidate:1 1 udp 2113937151 192.0.2.1 51000 typ host';
const END = { candidate: '' };

const aTimestamp = expect.any(Number);
const answer = (candidates: unknown[] = []) => ({
  type: 'signal',
  fromId: 'polly',
  signal: { type: 'answer', sdp: expect.stringContaining('a=group:BUNDLE 0\r\n'), candidates, attempt: 'a1' },
});

describe.each<[string, () => Promise<void>]>([
  ['awake', async () => undefined],
  ['asleep before every step', sleep],
])('a socket and a poller, the room %s', (_name, between) => {
  const place: Place = { ...workerd, beforeStep: between };

  async function join(id: string, extensions: Record<string, string> = {}): Promise<Client> {
    const client = await Client.connect(place, room, id, extensions);
    sockets.push(client);
    return client;
  }

  /** A client that has joined and heard who is here. */
  async function settle(id: string, extensions: Record<string, string> = {}): Promise<Client> {
    const client = await join(id, extensions);
    await client.next();
    return client;
  }

  /** Does something of a poller's. */
  async function polls(step: Promise<Reply> | (() => Promise<Reply>)): Promise<Reply> {
    await between();
    return await (typeof step === 'function' ? step() : step);
  }

  /** That nothing else has come: the next message is this one. */
  async function expectSilence(client: Client, id: string): Promise<void> {
    await client.signal(id, 'nothing else');
    expect(await client.next()).toMatchObject({ signal: 'nothing else' });
  }

  test('they meet by the offer of the one, and part', async () => {
    const metadata = JSON.stringify({ client_id: 'our name' });
    const sue = await settle('sue', { metadata });
    const polly = new Poller(room, 'polly');
    expect(await polls(() => send({ r: room, k: 'context of polly' }))).toMatchObject({ ps: [], pk: [] });
    expect(await polls(() => polly.post())).toMatchObject({ ps: [], pk: [] });
    const joined = { type: 'peer_join', clientId: 'polly', timestamp: aTimestamp };
    expect(await sue.next()).toEqual({ ...joined, metadata: { client_id: 'a label' }, polling: true });
    const tom = await join('tom');
    expect(await tom.next()).toEqual({
      type: 'peers',
      peers: ['sue', 'polly'],
      yourId: 'tom',
      metadata: { sue: { client_id: 'our name' }, polly: { client_id: 'a label' } },
      polling: ['polly'],
    });
    expect(await sue.next()).toMatchObject({ type: 'peer_join', clientId: 'tom' });

    await sue.signal('polly', { ...OFFER, candidates: [{ candidate: HOST }] });
    await sue.signal('polly', { candidates: [END], attempt: 'a1' });
    await expectSilence(sue, 'sue');
    const reply = await polls(polly.listen);
    const { t, package: [, , , , , ufrag, pwd] = [] } = { t: reply.ps[0]?.[6], package: reply.pk[0] };
    const fingerprint = btoa('\xab'.repeat(32));
    expect(reply.ps).toEqual([['sue', 'our name', false, fingerprint, 1, [], aTimestamp]]);
    expect(reply.pk).toEqual([['polly', 'sue', 'Wufr', 'Wpwd', fingerprint, ufrag, pwd, t, [HOST]]]);
    const answered = await sue.next();
    expect(answered).toEqual(answer());
    expect(JSON.stringify(answered)).toContain(`a=ice-ufrag:${ufrag}\\r\\na=ice-pwd:${pwd}\\r\\n`);
    await expectSilence(sue, 'sue');

    expect(await polls(polly.listen)).toMatchObject({ ps: reply.ps, pk: reply.pk });
    const theirs = ['sue', 'polly', null, null, null, null, null, 1, ['candidate:9']];
    await polls(() => polly.post([theirs]));
    const candidates = [{ candidate: 'candidate:9', sdpMid: '0', sdpMLineIndex: 0 }];
    expect(await sue.next()).toEqual({ type: 'signal', fromId: 'polly', signal: { candidates, attempt: 'a1' } });
    pass(1);
    await polls(() => polly.post([theirs]));
    await expectSilence(sue, 'sue');
    await sue.signal('polly', { ...OFFER, candidates: [{ candidate: HOST }, END] });
    expect(await sue.next()).toEqual(answer(candidates));

    await sue.close();
    expect(idsIn(await polls(polly.listen))).toEqual([]);
    expect((await stored(stub())).keys).toEqual(['poller:context of polly']);
    expect(await tom.next()).toMatchObject({ type: 'peer_leave', clientId: 'sue' });
    await polls(() => polly.leave());
    expect(await tom.next()).toEqual({ type: 'peer_leave', clientId: 'polly', timestamp: aTimestamp, reason: 'left' });
    expect(await stored(stub())).toEqual(NOTHING);
    await expectSilence(tom, 'tom');
  });

  test('an offer that does not say where its candidates end waits for a second', async () => {
    const polly = new Poller(room, 'polly');
    await polls(() => polly.post());
    const sue = await settle('0123456789abcdef0123456789abcdef');
    await sue.signal('polly', { ...OFFER, candidates: [{ candidate: HOST }] });
    expect(await polls(polly.listen)).toMatchObject({ ps: [], pk: [] });
    pass(1);
    const { ps, pk } = await polls(polly.listen);
    const alias = '~0123456789abcdef0123456789abcdef';
    expect([ps[0]?.slice(0, 2), pk[0]?.slice(0, 2)]).toEqual([
      [alias, '0123456789abcdef0123456789abcdef'],
      ['polly', alias],
    ]);
    expect(await sue.next()).toEqual(answer());
    await polls(() => polly.post([[alias, 'polly', null, null, null, null, null, 1, ['candidate:9']]]));
    expect(await sue.next()).toMatchObject({ signal: { candidates: [{ candidate: 'candidate:9' }] } });
  });

  test('a peer that has lost its socket offers again when it is back, and stays once it has been', async () => {
    const polly = new Poller(room, 'polly');
    await polls(() => polly.post());
    const resume = '01234567-89ab-cdef-0123-456789abcdef';
    let sue = await settle('sue', { resume });
    await sue.signal('polly', { ...OFFER, candidates: [END] });
    await sue.close(4010);
    expect(idsIn(await polls(polly.listen))).toEqual([]);
    sue = await join('sue', { resume });
    expect(await sue.next()).toMatchObject({ resumed: true, polling: ['polly'] });
    expect(idsIn(await polls(polly.listen))).toEqual(['sue']);
    expect(await sue.next()).toEqual(answer());
    await sue.close(4010);
    expect(idsIn(await polls(polly.listen))).toEqual(['sue']);
    pass(60);
    await between();
    await runDurableObjectAlarm(stub());
    expect(idsIn(await polls(polly.listen))).toEqual([]);
    expect((await stored(stub())).keys).toEqual(['poller:context of polly']);
  });

  test('a poller that lapses, or whose page is back under another session, is gone', async () => {
    const sue = await settle('sue');
    const old = new Poller(room, 'polly');
    await polls(() => old.post());
    expect(await sue.next()).toMatchObject({ type: 'peer_join', clientId: 'polly' });
    await sue.signal('polly', { ...OFFER, candidates: [END] });
    pass(1);
    const reloaded = new Poller(room, 'polly the second', 'context of polly');
    expect(await polls(() => reloaded.post())).toMatchObject({ ps: [], pk: [] });
    expect(await sue.next()).toMatchObject({ type: 'peer_leave', clientId: 'polly', reason: 'timeout' });
    expect(await sue.next()).toMatchObject({ type: 'peer_join', clientId: 'polly the second', polling: true });
    await sue.signal('polly', OFFER);
    expect(await sue.next()).toMatchObject({ code: 'unknown_peer', targetId: 'polly' });
    await sue.signal('polly the second', { ...OFFER, candidates: [END] });
    pass(120);
    await between();
    await runDurableObjectAlarm(stub());
    expect(await sue.next()).toMatchObject({ type: 'peer_leave', clientId: 'polly the second', reason: 'timeout' });
    expect((await stored(stub())).keys).toEqual(['poller:context of polly']); // its session id, for a quarter of an hour
    pass(900);
    await between();
    await runDurableObjectAlarm(stub());
    await expectSilence(sue, 'sue');
    expect(await stored(stub())).toEqual(NOTHING);
  });

  test('an offer that no poller could answer is refused; p2pcf.rn is nobody', async () => {
    const phone = 'f'.repeat(32);
    await polls(() => new Poller(room, 'polly').post());
    await polls(() => new Poller(room, phone).post());
    const sue = await join('sue');
    expect(await sue.next()).toMatchObject({ peers: ['polly'] });
    await sue.signal('polly', { type: 'offer', sdp: SDP.replace('m=application', 'm=audio') });
    expect(await sue.next()).toMatchObject({ type: 'error', code: 'bad_message' });
    await sue.signal(phone, OFFER);
    expect(await sue.next()).toMatchObject({ type: 'error', code: 'unknown_peer', targetId: phone });
    await expectSilence(sue, 'sue');
  });

  test('nobody joins under the id of a poller', async () => {
    await polls(() => new Poller(room, 'polly').post());
    const impostor = await Client.connect(place, room, 'polly');
    expect(await impostor.closed).toMatchObject({ code: 4009, reason: 'Id is taken' });
  });
});

test.each([
  ['left', 1000],
  ['was lost', 1006],
  ['is coming back', 4010],
])(
  'a poller that comes under the id of a socket before the room hears that it %s is there in its place',
  async (_how, code) => {
    const sue = await Client.join(workerd, room, 'sue');
    const tom = await Client.connect(workerd, room, 'tom', { resume: crypto.randomUUID() });
    sockets.push(sue, tom);
    await tom.next();
    await tom.signal('sue', 'so that its place would be held');
    await runInDurableObject(stub(), (each, ctx) => {
      const [closing] = ctx.getWebSockets('tom');
      closing?.close(1000); // as good as by its client: it is no longer open, and its event is yet to come
      const d = ['tom', 'a label', false, `${'A'.repeat(43)}=`, 1, []];
      const posting = JSON.stringify({ r: room, k: 'context of tom', d, t: Date.now(), x: 120_000, p: [] });
      const request = parsePoll(posting, Date.now());
      expect(each.poll(request, { claims: undefined, address: undefined })).toMatchObject({ status: 200 });
      if (closing) each.webSocketClose(closing, code, '');
    });
    const ann = await Client.connect(workerd, room, 'ann');
    sockets.push(ann);
    expect(await ann.next()).toMatchObject({ type: 'peers', peers: ['sue', 'tom'], polling: ['tom'] });
    const heard = [await sue.next(), await sue.next(), await sue.next(), await sue.next()];
    expect(heard).toMatchObject([
      { type: 'peer_join', clientId: 'tom' },
      { type: 'signal' },
      { type: 'peer_join', clientId: 'tom', polling: true },
      { type: 'peer_join', clientId: 'ann' },
    ]);
  },
);

test('a socket with many candidates meets many pollers at once', async () => {
  const pollers = Array.from({ length: 20 }, (_, n) => new Poller(room, `polly${n}`));
  for (const poller of pollers) await poller.post();
  const sue = await Client.join(workerd, room, 'sue');
  sockets.push(sue);
  const candidates = Array.from({ length: 20 }, (_, n) => ({ candidate: `${HOST} generation 0 network-id ${n}` }));
  for (const n of pollers.keys()) await sue.signal(`polly${n}`, { ...OFFER, candidates: [...candidates, END] });
  for (const poller of pollers) expect(idsIn(await poller.listen())).toContain('sue');
  await sleep();
  for (const poller of pollers) expect(idsIn(await poller.listen())).toContain('sue');
});

test('what it costs: no row for an offer or a meeting, nothing for a poll, and nothing at all without pollers', async () => {
  const [sue, tom] = [await Client.join(workerd, room, 'sue'), await Client.join(workerd, room, 'tom')];
  sockets.push(sue, tom);
  await sleep();
  const counts = await meter(stub());
  await sue.signal('tom', OFFER);
  await tom.signal('sue', 1);
  await sue.send({ type: 'broadcast', data: 1 });
  await sue.next();
  expect(await sue.next()).toMatchObject({ signal: 1 });
  expect(counts()).toEqual({ reads: 0, writes: 0 });
  sockets.push(await Client.join(workerd, room, 'ann'));
  expect(counts().writes).toBe(0);

  const polly = new Poller(room, 'polly');
  await polly.post();
  const before = counts().writes;
  await sue.signal('polly', { ...OFFER, candidates: [{ candidate: HOST }, END] });
  for (let polls = 0; polls < 10; polls++) expect(idsIn(await polly.listen())).toEqual(['sue']);
  expect(counts().writes - before).toBe(0);
});
