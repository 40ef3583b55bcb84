/** What the server promises, written once and run wherever it runs: inside workerd, on workerd, on `npm run dev`. */
import { describe, expect, test } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { joinSubprotocols } from '../src/protocol/join.ts';
import { ownedId } from '../src/protocol/owned-id.ts';
import { Client, type Place } from './support/client.ts';
import { newRoom } from './support/new-room.ts';

/** Every close code a client can send, and undefined for a browser's bare close(). */
const CLIENT_CLOSE_CODES = [
  undefined,
  1000,
  1001,
  1002,
  1003,
  1007,
  1008,
  1009,
  1010,
  1011,
  1012,
  1013,
  1014,
  3000,
  3999,
  4000,
  4010,
  4999,
];

const aTimestamp = expect.toSatisfy((value) => Math.abs(value - Date.now()) < 60_000, 'ms since the epoch');

export function describeSignaling(name: string, place: Place): void {
  describe(`HTTP, ${name}`, () => {
    test.each(['/', '/health', '/nothing', '/ws/room/lobby', '/ws/room/%'])(
      '%s is taken for what it says',
      async (path) => {
        expect((await place.fetch(path)).headers.get('X-Content-Type-Options')).toBe('nosniff');
      },
    );

    test('GET / says what this is', async () => {
      const response = await place.fetch('/');
      expect(response.status).toBe(200);
      expect(response.headers.get('Content-Type')).toContain('application/json');
      expect(response.headers.get('Vary')).toBe('Accept');
      expect(JSON.parse(await response.text())).toEqual({
        name: 'P2PCF-WS Signaling Server',
        version: packageJson.version,
        description: packageJson.description,
        endpoints: { websocket: '/ws/room/:roomId?clientId=xxx', poll: 'POST /', health: '/health' },
      });
    });

    test('GET / shows a browser a page', async () => {
      const response = await place.fetch('/', { headers: { Accept: 'text/html,*/*;q=0.8' } });
      expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(await response.text()).toContain('P2PCF-WS is running');
    });

    test('GET /health says OK', async () => {
      const response = await place.fetch('/health');
      expect([response.status, await response.text()]).toEqual([200, 'OK']);
    });

    test.each([
      ['GET', '/ws/room/lobby', 426, {}],
      ['GET', '/ws/room/lobby?clientId=alice', 426, {}],
      ['POST', '/health', 405, { Allow: 'GET, HEAD' }],
      ['PUT', '/', 405, { Allow: 'GET, HEAD, POST, DELETE, OPTIONS' }],
      ['POST', '/ws/room/lobby', 405, { Allow: 'GET' }],
      ['GET', '/nothing', 404, {}],
      ['GET', '/health/', 404, {}],
      ['GET', '/ws/room', 404, {}],
      ['GET', '/ws/room/a/b', 404, {}],
      ['GET', '/ws/room/', 400, {}],
      ['GET', '/ws/room/%', 400, {}],
      ['GET', '/ws/room-base64url/%', 400, {}],
      ['GET', '/ws/room-base64url/a/b', 404, {}],
      ['GET', '/ws/room-base64url/bG9iYnk', 426, {}],
      ['GET', '/ws/room/%zz', 400, {}],
      ['GET', '/ws/room/%ff', 400, {}],
      ['GET', '/ws/room/a%00b', 400, {}],
      ['GET', '/ws/room/a%7Fb', 400, {}],
      ['GET', '/ws/room/a%C2%85b', 400, {}],
      ['GET', '/ws/room/__broadcast__', 400, {}],
      ['GET', `/ws/room/${'x'.repeat(129)}`, 400, {}],
      ['GET', `/ws/room/${'%F0%9F%98%80'.repeat(65)}`, 400, {}],
      ['GET', '/ws/room/lobby?clientId=%', 400, {}],
      ['GET', '/ws/room/lobby?clientId=%zz', 400, {}],
      ['GET', '/ws/room/lobby?clientId=a%0Ab', 400, {}],
      ['GET', '/ws/room/lobby?clientId=__broadcast__', 400, {}],
      ['GET', `/ws/room/lobby?clientId=${'x'.repeat(129)}`, 400, {}],
      ['GET', '/ws/room/lobby?resume=', 400, {}],
      ['GET', '/ws/room/lobby?resume=2', 400, {}],
      ['GET', `/ws/room/lobby?resume=${'0'.repeat(37)}`, 400, {}],
    ])('%s %s gets %i and a sentence', async (method, path, status, headers) => {
      const response = await place.fetch(path, { method });
      expect(response.status).toBe(status);
      expect(await response.text()).toMatch(/^\S.* .*\.\n$/);
      for (const [header, value] of Object.entries(headers)) expect(response.headers.get(header)).toBe(value);
    });

    test('HEAD answers like GET, without the body', async () => {
      const response = await place.fetch('/health', { method: 'HEAD' });
      expect([response.status, await response.text()]).toEqual([200, '']);
    });
  });

  describe(`joining, ${name}`, () => {
    test('the first one is told its id and that nobody is here', async () => {
      const alice = await Client.connect(place, newRoom(), 'alice');
      expect(await alice.next()).toEqual({ type: 'peers', peers: [], yourId: 'alice' });
    });

    test.each([undefined, ''])('one without an id (%j) is given one', async (clientId) => {
      const room = newRoom();
      const first = await Client.connect(place, room, clientId);
      const second = await Client.connect(place, room, clientId);
      const { yourId } = Object(await first.next());
      expect(yourId).toMatch(/^.{8,}$/);
      const peers = Object(await second.next());
      expect(peers.peers).toEqual([yourId]);
      expect(peers.yourId).not.toBe(yourId);
    });

    test('the others hear peer_join, the newcomer hears who is here, longest there first', async () => {
      const room = newRoom();
      const alice = await Client.join(place, room, 'alice');
      const bob = await Client.join(place, room, 'bob');
      const carol = await Client.connect(place, room, 'carol');
      expect(await carol.next()).toEqual({ type: 'peers', peers: ['alice', 'bob'], yourId: 'carol' });
      expect(await bob.next()).toEqual({ type: 'peer_join', clientId: 'carol', timestamp: aTimestamp });
      expect(await alice.next()).toEqual({ type: 'peer_join', clientId: 'bob', timestamp: aTimestamp });
      expect(await alice.next()).toEqual({ type: 'peer_join', clientId: 'carol', timestamp: aTimestamp });
    });

    test.each([
      'x'.repeat(128),
      '😀'.repeat(64),
      'ö'.repeat(128),
      'a b+c&d=e#f?g/h\\i%j',
      '../..',
      '__proto__',
      'constructor',
      '名前',
      ' ',
    ])('any Unicode is an id: %s', async (id) => {
      const alice = await Client.join(place, `${id.slice(0, 60)}`, id);
      const bob = await Client.connect(place, `${id.slice(0, 60)}`, `bob`);
      expect(await bob.next()).toEqual({ type: 'peers', peers: [id], yourId: 'bob' });
      await bob.signal(id, 'hello');
      expect(await alice.next()).toMatchObject({ type: 'peer_join' });
      expect(await alice.next()).toEqual({ type: 'signal', fromId: 'bob', signal: 'hello' });
      await alice.close();
      await bob.close();
    });

    test('rooms are apart, and a slash in a room id is part of it', async () => {
      const name = newRoom();
      const ids = [`${name}/b`, name, `${name}%2Fb`, `${name}/b/`, `${name.toUpperCase()}/b`, `${name}/b `];
      for (const roomId of ids) {
        const alice = await Client.connect(place, roomId, 'alice');
        expect(await alice.next()).toEqual({ type: 'peers', peers: [], yourId: 'alice' });
      }
      const bob = await Client.connect(place, `${name}/b`, 'bob');
      expect(await bob.next()).toEqual({ type: 'peers', peers: ['alice'], yourId: 'bob' });
    });
  });

  describe(`messages, ${name}`, () => {
    test('a signal reaches its target, as it was sent, and nobody else', async () => {
      const [alice, bob, carol] = await three(place);
      const signals = [
        { type: 'offer', sdp: 'v=0\r\n', candidates: [] },
        null,
        0,
        '',
        'ünï 😀 \u2028',
        [[], {}],
        { __proto__: 1 },
      ];
      for (const signal of signals) {
        await alice.signal('bob', signal);
        expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal });
      }
      await expectSilence(alice, carol, 'carol');
    });

    test('nobody can speak for another', async () => {
      const [alice, bob] = await three(place);
      await alice.send({ type: 'signal', targetId: 'bob', fromId: 'carol', clientId: 'carol', signal: 1 });
      expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: 1 });
    });

    test('a broadcast reaches everyone else', async () => {
      const [alice, bob, carol] = await three(place);
      await bob.send({ type: 'broadcast', data: { text: 'hi' } });
      for (const other of [alice, carol]) {
        expect(await other.next()).toEqual({ type: 'broadcast', fromId: 'bob', data: { text: 'hi' } });
      }
      await expectSilence(alice, bob, 'bob');
    });

    test('a signal to __broadcast__ reaches everyone else', async () => {
      const [alice, bob, carol] = await three(place);
      await alice.signal('__broadcast__', 7);
      for (const other of [bob, carol])
        expect(await other.next()).toEqual({ type: 'signal', fromId: 'alice', signal: 7 });
      await expectSilence(bob, alice, 'alice');
    });

    test('a broadcast to an empty room is nothing, not an error', async () => {
      const alice = await Client.join(place, newRoom(), 'alice');
      await alice.send({ type: 'broadcast', data: 1 });
      await expectSilence(alice, alice, 'alice');
    });

    test('ping is answered pong', async () => {
      const alice = await Client.join(place, newRoom(), 'alice');
      await alice.sendFrame('ping');
      expect(await alice.next()).toBe('pong');
    });

    test('signals arrive in the order they were sent', async () => {
      const [alice, bob] = await three(place);
      for (let n = 0; n < 200; n++) await alice.signal('bob', n);
      for (let n = 0; n < 200; n++) expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal: n });
    });
  });

  describe(`extensions, ${name}`, () => {
    test('metadata is told to the others and to later clients, 2,560 bytes of it', async () => {
      const room = newRoom();
      const metadata = { name: 'Älice 😀', pad: 'x'.repeat(2560 - 31) };
      expect(new TextEncoder().encode(JSON.stringify(metadata)).length).toBe(2560);
      const alice = await Client.connect(place, room, 'alice', { metadata: JSON.stringify(metadata) });
      expect(await alice.next()).toEqual({ type: 'peers', peers: [], yourId: 'alice' });
      const bob = await Client.connect(place, room, 'bob', { metadata: '7' });
      expect(await bob.next()).toEqual({
        type: 'peers',
        peers: ['alice'],
        yourId: 'bob',
        metadata: { alice: metadata },
      });
      expect(await alice.next()).toEqual({ type: 'peer_join', clientId: 'bob', timestamp: aTimestamp, metadata: 7 });
      await Client.join(place, room, 'bare');
      expect(await alice.next()).toEqual({ type: 'peer_join', clientId: 'bare', timestamp: aTimestamp });
    });

    test.each([
      ['{', 'not JSON'],
      ['', 'not JSON'],
      [JSON.stringify('x'.repeat(2559)), 'longer than'],
      [JSON.stringify('ö'.repeat(1280)), 'longer than'],
    ])('metadata that will not do gets 400: %.10s', async (metadata, complaint) => {
      const response = await place.fetch(`/ws/room/lobby?metadata=${encodeURIComponent(metadata)}`);
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(complaint)]);
    });

    test('an offer published ahead goes to the first who asks, once, beside metadata of the greatest size', async () => {
      const room = newRoom();
      const metadata = JSON.stringify('ö'.repeat(1279));
      const alice = await Client.connect(place, room, 'alice', { metadata, ahead: '1' });
      await alice.next();
      const offer = { type: 'offer', sdp: 'x'.repeat(8000), candidates: [] };
      await alice.send({ type: 'ahead', offer });
      await expectSilence(alice, alice, 'alice');
      const bare = await Client.connect(place, room, 'bare');
      expect(await bare.next()).not.toHaveProperty('offers');
      expect(await alice.next()).toEqual({ type: 'peer_join', clientId: 'bare', timestamp: aTimestamp });
      const bob = await Client.connect(place, room, 'bob', { ahead: '1' });
      expect(await bob.next()).toMatchObject({ peers: ['alice', 'bare'], offers: { alice: offer } });
      expect(await alice.next()).toMatchObject({ type: 'peer_join', clientId: 'bob', offerTaken: true });
      const carol = await Client.connect(place, room, 'carol', { ahead: '1' });
      expect(await carol.next()).not.toHaveProperty('offers');
    });

    test('an answer brought along goes to the first member whose offer the joiner gets, and to no other', async () => {
      const room = newRoom();
      const answer = { type: 'answer', sdp: 'v=0 ü', candidates: [{ candidate: 'candidate:1' }] };
      const join = (id: string): Promise<Client> =>
        Client.connect(place, room, id, { ahead: '1', answer: JSON.stringify(answer) });
      const [alice, bob] = [await join('alice'), await join('bob')];
      expect(await alice.next()).not.toHaveProperty('answered');
      expect(await bob.next()).not.toHaveProperty('answered');
      await alice.next(); // bob's coming, and no answer after it
      await alice.send({ type: 'ahead', offer: { type: 'offer', attempt: 'a' } });
      await bob.send({ type: 'ahead', offer: { type: 'offer', attempt: 'b' } });
      await expectSilence(alice, bob, 'bob');
      await expectSilence(bob, alice, 'alice');
      const carol = await join('carol');
      expect(await carol.next()).toMatchObject({ answered: 'alice', offers: { alice: {}, bob: {} } });
      expect(await alice.next()).toMatchObject({ type: 'peer_join', offerTaken: true });
      expect(await alice.next()).toEqual({ type: 'signal', fromId: 'carol', signal: { ...answer, attempt: 'a' } });
      expect(await bob.next()).toMatchObject({ type: 'peer_join', offerTaken: true });
      await expectSilence(carol, bob, 'bob');
      const dora = await join('dora');
      expect(await dora.next()).not.toHaveProperty('answered'); // both offers are taken
      expect(await alice.next()).toEqual({ type: 'peer_join', clientId: 'dora', timestamp: aTimestamp });
      await expectSilence(dora, alice, 'alice');
    });

    test('a sealed answer is carried as it is, with the attempt of the offer', async () => {
      const room = newRoom();
      const [alice] = await Client.settle(place, room, 'alice');
      await alice.send({ type: 'ahead', offer: { sealed: 1, data: 'x', attempt: 'a' } });
      const answer = { sealed: 1, kind: 'answer', data: 'ü' };
      const bob = await Client.connect(place, room, 'bob', { ahead: '1', answer: JSON.stringify(answer) });
      expect(await bob.next()).toMatchObject({ answered: 'alice' });
      expect(await alice.next()).toMatchObject({ type: 'peer_join', offerTaken: true });
      expect(await alice.next()).toEqual({ type: 'signal', fromId: 'bob', signal: { ...answer, attempt: 'a' } });
    });

    test.each([
      ['not JSON', '{', 'not JSON'],
      ['an offer', '{"type":"offer","sdp":"v=0"}', 'description of an answer'],
      ['candidates alone', '{"candidates":[]}', 'description of an answer'],
      ['too long', JSON.stringify({ type: 'answer', sdp: 'x'.repeat(8192) }), 'longer than 8192'],
    ])('an answer that will not do gets 400: %s', async (_name, answer, complaint) => {
      const response = await place.fetch(`/ws/room/lobby?ahead=1&answer=${encodeURIComponent(answer)}`);
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(complaint)]);
    });
  });

  describe(`bad input, ${name}`, () => {
    test.each<[code: string, frame: string | Uint8Array<ArrayBuffer>]>([
      ['bad_json', 'hello'],
      ['bad_json', ''],
      ['bad_json', 'Ping'],
      ['bad_json', '{"type":"signal"'],
      ['bad_message', 'null'],
      ['bad_message', '[]'],
      ['bad_message', '"signal"'],
      ['bad_message', '{}'],
      ['bad_message', '{"type":"signal"}'],
      ['bad_message', '{"type":"signal","signal":1}'],
      ['bad_message', '{"type":"signal","targetId":"bob"}'],
      ['bad_message', '{"type":"signal","targetId":null,"signal":1}'],
      ['bad_message', '{"type":"signal","targetId":["bob"],"signal":1}'],
      ['bad_message', '{"type":"broadcast"}'],
      ['bad_message', '{"type":"ahead"}'],
      ['bad_message', JSON.stringify({ type: 'ahead', offer: 'x'.repeat(8191) })],
      ['unknown_type', '{"type":"peers"}'],
      ['unknown_type', '{"type":7}'],
      ['unknown_type', '{"type":null}'],
      ['unknown_type', '{"type":"__proto__"}'],
      ['binary', new Uint8Array([1, 2, 3])],
      ['binary', new Uint8Array(new TextEncoder().encode('{"type":"broadcast","data":1}'))],
    ])('%s: %s', async (code, frame) => {
      const [alice, bob] = await three(place);
      await alice.sendFrame(frame);
      expect(await alice.next()).toEqual({ type: 'error', code, message: expect.stringMatching(/\.$/) });
      await expectSilence(alice, bob, 'bob');
    });

    test.each(
      ['', 'nobody', '__proto__', 'Bob', 'bob ', '\ud800', '\u0000', 'x'.repeat(257), 'x'.repeat(60_000)].map(
        (targetId) => ({
          targetId,
          title: JSON.stringify(targetId).slice(0, 20),
        }),
      ),
    )('a target that is nobody: $title, $targetId.length long', async ({ targetId }) => {
      const [alice, bob] = await three(place);
      await alice.signal(targetId, 1);
      expect(await alice.next()).toEqual({
        type: 'error',
        code: 'unknown_peer',
        message: expect.any(String),
        targetId,
      });
      await expectSilence(alice, bob, 'bob');
    });

    test('a target that is in another room, or has left, is nobody', async () => {
      const [alice, bob] = await three(place);
      const stranger = await Client.join(place, newRoom(), 'stranger');
      await alice.signal('stranger', 1);
      expect(await alice.next()).toMatchObject({ code: 'unknown_peer', targetId: 'stranger' });
      await bob.close();
      expect(await alice.next()).toMatchObject({ type: 'peer_leave' });
      await alice.signal('bob', 1);
      expect(await alice.next()).toMatchObject({ code: 'unknown_peer', targetId: 'bob' });
      await expectSilence(stranger, stranger, 'stranger');
    });

    test('a message of the greatest size passes', async () => {
      const [alice, bob] = await three(place);
      const signal = 'ö'.repeat(32_000);
      await alice.signal('bob', signal);
      expect(await bob.next()).toEqual({ type: 'signal', fromId: 'alice', signal });
      const room = 65_536 - JSON.stringify({ type: 'signal', targetId: 'bob', signal: '' }).length;
      await alice.signal('bob', 'x'.repeat(room));
      expect(await bob.next()).toMatchObject({ fromId: 'alice' });
    });

    test.each<[kind: string, frame: string | Uint8Array<ArrayBuffer>]>([
      ['text', JSON.stringify({ type: 'broadcast', data: 'x'.repeat(65_536) })],
      ['text, counted in UTF-8 bytes', JSON.stringify({ type: 'broadcast', data: 'ö'.repeat(32_768) })],
      ['nonsense', 'x'.repeat(65_537)],
      ['binary', new Uint8Array(65_537)],
      ['a megabyte', 'x'.repeat(1_048_576)],
    ])('the sender of a message that is too large is told so, then closed: %s', async (_kind, frame) => {
      const [alice, bob, carol] = await three(place);
      await alice.sendFrame(frame);
      expect(await alice.next()).toEqual({
        type: 'error',
        code: 'too_large',
        message: expect.any(String),
        maxBytes: 65_536,
      });
      expect(await alice.closed).toMatchObject({ code: 1009, reason: 'Message too large' });
      for (const other of [bob, carol]) {
        expect(await other.next()).toEqual({
          type: 'peer_leave',
          clientId: 'alice',
          timestamp: aTimestamp,
          reason: 'timeout',
        });
      }
      await expectSilence(bob, carol, 'carol');
    });
  });

  describe(`presence, ${name}`, () => {
    test.each(CLIENT_CLOSE_CODES)('closing with %s is answered at once and told once', async (code) => {
      const [alice, bob, carol] = await three(place);
      expect(await alice.close(code, code === undefined ? undefined : 'bye')).toEqual({
        code: code ?? 1005,
        reason: code ? 'bye' : '',
        wasClean: true,
      });
      const reason = code === 4010 ? 'timeout' : 'left';
      for (const other of [bob, carol]) {
        expect(await other.next()).toEqual({ type: 'peer_leave', clientId: 'alice', timestamp: aTimestamp, reason });
      }
      await expectSilence(carol, bob, 'bob');
    });

    test('who has left is on nobody’s list', async () => {
      const room = newRoom();
      const alice = await Client.join(place, room, 'alice');
      await Client.join(place, room, 'bob');
      await alice.close();
      const carol = await Client.connect(place, room, 'carol');
      expect(await carol.next()).toEqual({ type: 'peers', peers: ['bob'], yourId: 'carol' });
    });

    test('the same id again replaces the older socket, without a leave', async () => {
      const room = newRoom();
      const older = await Client.join(place, room, 'alice');
      const bob = await Client.join(place, room, 'bob');
      const newer = await Client.connect(place, room, 'alice');
      expect(await newer.next()).toEqual({ type: 'peers', peers: ['bob'], yourId: 'alice' });
      expect(await older.closed).toMatchObject({ code: 4000, reason: 'Duplicate connection' });
      expect(await bob.next()).toEqual({ type: 'peer_join', clientId: 'alice', timestamp: aTimestamp });
      await bob.signal('alice', 'which?');
      expect(await newer.next()).toEqual({ type: 'signal', fromId: 'bob', signal: 'which?' });
      await expectSilence(newer, bob, 'bob');
      await newer.close();
      expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice' });
    });

    test('ten at once under one id leave one', async () => {
      const room = newRoom();
      const bob = await Client.join(place, room, 'bob');
      const twins = await Promise.all(Array.from({ length: 10 }, () => Client.connect(place, room, 'alice')));
      for (let n = 0; n < 10; n++) expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
      await bob.signal('alice', 'you');
      const winner = await Promise.any(
        twins.map(async (twin) => {
          await twin.next(); // peers
          for (;;) if (Object(await twin.next()).signal === 'you') return twin;
        }),
      );
      for (const twin of twins) if (twin !== winner) expect(await twin.closed).toMatchObject({ code: 4000 });
      await expectSilence(winner, bob, 'bob');
    });
  });

  describe(`owned ids, ${name}`, () => {
    const NOT_OWNER = { code: 4009, reason: 'Id belongs to another token' };

    test('nobody takes an owned id, whether its owner was never there, is, has dropped or has left', async () => {
      const room = newRoom();
      const token = crypto.randomUUID();
      const id = ownedId(token);
      const eve = async (resume?: string): Promise<void> => {
        const socket = await Client.connect(place, room, id, resume === undefined ? {} : { resume });
        expect(await socket.closed).toMatchObject(NOT_OWNER);
        expect(socket.received).toEqual(resume === undefined ? [] : [closing(NOT_OWNER)]);
      };
      const tryAll = async (): Promise<void> => {
        await eve();
        await eve('1');
        await eve(crypto.randomUUID());
      };
      await tryAll();
      const alice = await Client.join(place, room, 'alice');
      const bob = await Client.connect(place, room, id, { resume: token });
      expect(await bob.next()).toMatchObject({ peers: ['alice'], yourId: id, resumeToken: token, resumed: false });
      expect(await alice.next()).toMatchObject({ type: 'peer_join', clientId: id });
      await tryAll();
      await bob.close(4010);
      await tryAll();
      const again = await Client.connect(place, room, id, { resume: token });
      expect(await again.next()).toMatchObject({ resumed: true });
      await again.close();
      expect(await alice.next()).toMatchObject({ type: 'peer_leave', clientId: id, reason: 'left' });
      await tryAll();
      await expectSilence(alice, alice, 'alice');
    });

    test('whoever has a token and names no id gets the one it owns', async () => {
      const token = crypto.randomUUID();
      const [own, made] = [{ resume: token }, { resume: '1' }].map((resume) =>
        Client.connect(place, newRoom(), undefined, resume),
      );
      expect(await (await own)?.next()).toMatchObject({ yourId: ownedId(token) });
      const { yourId, resumeToken } = Object(await (await made)?.next());
      expect(yourId).toBe(ownedId(resumeToken));
    });

    test('what does not belong into a URL comes as subprotocols, and the server agrees to the plain one', async () => {
      const room = newRoom();
      const alice = await Client.join(place, room, 'alice');
      const token = crypto.randomUUID();
      const subprotocols = joinSubprotocols({ roomId: room, metadata: '{"name":"Bö, b"}', resume: token });
      const bob = await Client.connect(place, room, 'bob', {}, subprotocols);
      expect(await bob.next()).toMatchObject({ resumeToken: token });
      expect(await alice.next()).toMatchObject({ clientId: 'bob', metadata: { name: 'Bö, b' } });
      const path = `/ws/room/${newRoom()}`;
      expect(await place.open(path, () => undefined, subprotocols)).toBe('p2pcf-ws');
      expect(await place.open(path, () => undefined)).toBe('');
      expect(await place.open(`${path}?clientId=${ownedId(token)}`, () => undefined, ['p2pcf-ws'])).toBe('p2pcf-ws');
    });
  });

  describe(`places, ${name}`, () => {
    const back = (room: string, resume: string): Promise<Client> => Client.connect(place, room, 'alice', { resume });

    /** Alice, whose place will be held, and Bob. */
    async function settled(): Promise<{ room: string; alice: Client; token: string; bob: Client }> {
      const room = newRoom();
      const bob = await Client.join(place, room, 'bob');
      const [alice, token] = await Client.settle(place, room, 'alice');
      expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
      return { room, alice, token, bob };
    }

    test('who asks gets a token, another each time', async () => {
      const room = newRoom();
      const alice = await back(room, '1');
      expect(await alice.next()).toEqual({
        type: 'peers',
        peers: [],
        yourId: 'alice',
        resumeToken: expect.stringMatching(/^[0-9a-f-]{36}$/),
        resumed: false,
        graceSeconds: 30,
        maxMessageBytes: 65_536,
      });
      const [, token] = await Client.settle(place, room, 'bob');
      expect(Object(alice.received[0]).resumeToken).not.toBe(token);
    });

    test('a member that drops is still here, cannot be reached, and is back before anybody heard', async () => {
      const { room, alice, token, bob } = await settled();
      await alice.close(4010);
      await bob.signal('alice', 'where are you?');
      const away = { type: 'error', code: 'peer_away', message: expect.any(String), targetId: 'alice' };
      expect(await bob.next()).toEqual(away);
      const carol = await Client.connect(place, room, 'carol');
      expect(await carol.next()).toEqual({ type: 'peers', peers: ['bob', 'alice'], yourId: 'carol' });
      expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'carol' });
      const returned = await back(room, token);
      expect(await returned.next()).toEqual({
        type: 'peers',
        peers: ['bob', 'carol'],
        yourId: 'alice',
        resumeToken: token,
        resumed: true,
        graceSeconds: 30,
        maxMessageBytes: 65_536,
      });
      await expectSilence(returned, bob, 'bob');
      await expectSilence(returned, carol, 'carol');
      await expectSilence(bob, returned, 'alice');
    });

    test('a client that is back before its old connection has ended takes its place, unheard', async () => {
      const { room, alice, token, bob } = await settled();
      const returned = await back(room, token);
      expect(await returned.next()).toMatchObject({ peers: ['bob'], resumed: true, resumeToken: token });
      expect(await alice.closed).toMatchObject({ code: 4010, reason: 'Back on another connection' });
      await expectSilence(returned, bob, 'bob');
      await expectSilence(bob, returned, 'alice');
    });

    test.each([undefined, 1000, 1001, 3000])(
      'a client that closes with %s has left, and its place is free',
      async (code) => {
        const { room, alice, token, bob } = await settled();
        await alice.close(code);
        expect(await bob.next()).toMatchObject({ type: 'peer_leave', clientId: 'alice', reason: 'left' });
        const other = await Client.connect(place, room, 'alice');
        expect(await other.next()).toEqual({ type: 'peers', peers: ['bob'], yourId: 'alice' });
        expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
        const late = await back(room, token);
        expect(await late.next()).toMatchObject({ resumed: false });
        expect(await other.closed).toMatchObject({ code: 4000 });
      },
    );

    test.each<Record<string, string>>([{}, { resume: '1' }, { resume: crypto.randomUUID() }])(
      'nobody takes the place of a member that is here, or held, with %j',
      async (extensions) => {
        const { room, alice, token, bob } = await settled();
        const thief = await Client.connect(place, room, 'alice', extensions);
        expect(await thief.closed).toMatchObject({ code: 4009, reason: 'Id is taken' });
        await expectSilence(bob, alice, 'alice');
        await alice.close(4010);
        const second = await Client.connect(place, room, 'alice', extensions);
        const { code, reason } = await second.closed;
        expect([code, reason]).toEqual([4009, expect.stringMatching(/^Id is held for ([12]?[0-9]|30) s$/)]);
        // Who has a token is told before, too: a bare client would not understand.
        const knows = 'resume' in extensions;
        expect(thief.received).toEqual(knows ? [closing({ code: 4009, reason: 'Id is taken' })] : []);
        expect(second.received).toEqual(knows ? [closing({ code, reason })] : []);
        const returned = await back(room, token);
        expect(await returned.next()).toMatchObject({ resumed: true });
        await expectSilence(returned, bob, 'bob');
      },
    );

    test('with a token the room has forgotten one joins afresh', async () => {
      const { room, bob } = await settled();
      const token = crypto.randomUUID();
      const carol = await Client.connect(place, room, 'carol', { resume: token });
      expect(await carol.next()).toMatchObject({ peers: ['bob', 'alice'], resumed: false, resumeToken: token });
      expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'carol' });
    });
  });
}

/** Alice, Bob and Carol in a new room, all joins read. */
async function three(place: Place): Promise<[alice: Client, bob: Client, carol: Client]> {
  const room = newRoom();
  const alice = await Client.join(place, room, 'alice');
  const bob = await Client.join(place, room, 'bob');
  const carol = await Client.join(place, room, 'carol');
  for (const client of [alice, alice, bob]) expect(await client.next()).toMatchObject({ type: 'peer_join' });
  return [alice, bob, carol];
}

/** What a client with a token is told before a close frame. */
const closing = (close: { code: number; reason: string }) => ({
  type: 'error',
  code: 'closing',
  message: `The server closes the connection: ${close.reason} (${close.code}).`,
  close,
});

/** That `listener` has received nothing more: what `sender` tells it now is the next it hears. */
async function expectSilence(sender: Client, listener: Client, listenerId: string): Promise<void> {
  const signal = `nothing before this ${crypto.randomUUID()}`;
  await sender.signal(listenerId, signal);
  expect(await listener.next()).toMatchObject({ type: 'signal', signal });
}
