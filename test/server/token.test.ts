/** The library's option `token`, against a server that wants room tokens. */
import wrtc from 'node-datachannel/polyfill';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { P2PCF, type P2PCFOptions, type Peer } from '../../src/client/index.ts';
import { SignalingClient, type WebSocketClass } from '../../src/client/signaling.ts';
import { newRoom } from '../support/new-room.ts';
import { SECRET, signToken } from '../support/room-token.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
beforeAll(async () => {
  server = await startWorkerd({ vars: { AUTH_SECRET: SECRET } });
});
afterAll(() => server.stop());

const makeToken = (room: string, seconds = 600, claims: Record<string, unknown> = {}): Promise<string> =>
  signToken({ exp: Math.floor(Date.now() / 1000) + seconds, rooms: [room], ...claims });

const EXPIRED = { message: 'The room refused: The token has expired (4401).', code: 4401 };

/** A WebSocket class, and the sockets that were made of it. */
function keptSockets(): { sockets: WebSocket[]; Kept: WebSocketClass } {
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string, subprotocols: string[]) {
      super(url, subprotocols);
      sockets.push(this);
    }
  }
  return { sockets, Kept };
}

test('a token as a string opens the room; no token, an expired one, or one of another room, is final', async () => {
  const roomId = newRoom();
  const start = (token?: string): Promise<void> => {
    const client = new SignalingClient({ workerUrl: server.url, roomId, ...(token && { token }) });
    return client.start().then(() => client.stop());
  };
  await start(await makeToken(roomId));
  await expect(start()).rejects.toMatchObject({ code: 4401 });
  await expect(start(await makeToken(roomId, -60))).rejects.toMatchObject(EXPIRED);
  await expect(start(await makeToken(`${roomId}0`))).rejects.toMatchObject({
    message: 'The room refused: The token is not for this room (4403).',
    code: 4403,
  });
});

test('a function is asked once more where its token is not taken, and at each connection', async () => {
  const roomId = newRoom();
  const tokens = [await makeToken(roomId, -60), await makeToken(roomId), await makeToken(roomId, -60)];
  const { sockets, Kept } = keptSockets();
  let asked = 0;
  const token = async (): Promise<string> => tokens[asked++] ?? makeToken(roomId);
  const client = new SignalingClient({ workerUrl: server.url, roomId, clientId: 'alice', token, WebSocket: Kept });
  await client.start();
  expect(asked).toBe(2);
  const back = new Promise((resolve) => client.once('peers', resolve));
  sockets.at(-1)?.close(4010); // the third token has expired, the fourth is good
  expect(await back).toMatchObject({ resumed: true, yourId: 'alice' });
  expect(asked).toBe(4);
  client.stop();
});

test('a function whose backend is down for a while is asked again, whatever the page says that came for a token', async () => {
  const roomId = newRoom();
  const good = await makeToken(roomId);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const nonsense: unknown[] = [
    '<h1>502 Bad Gateway</h1>',
    '<p>'.repeat(20_000),
    { token: good },
    `"${good}"`,
    '\ud83d',
    'Unauthorized',
    'undefined',
  ];
  for (const given of nonsense) {
    const { sockets, Kept } = keptSockets();
    let isDown = true;
    const token = (): string => (isDown ? Object(given) : ` ${good}\n`);
    const client = new SignalingClient({ workerUrl: server.url, roomId, token, WebSocket: Kept });
    const reason = new Promise((resolve) => client.on('state', (_, why) => why && resolve(why)));
    const start = client.start();
    expect(await reason, String(given)).toMatch(/^The option token failed: Error: no JWT: .{1,20}$/u);
    expect(sockets).toEqual([]);
    isDown = false;
    await start;
    client.stop();
  }
  warn.mockRestore();
});

test('a second token in a row that is not taken is final, in P2PCF too; one of another room at once', async () => {
  const roomId = newRoom();
  for (const [room, seconds, code, times] of [
    [roomId, -60, 4401, 2],
    ['another', 600, 4403, 1],
  ] as const) {
    let asked = 0;
    const token = (): Promise<string> => {
      asked++;
      return makeToken(room, seconds);
    };
    const member = new P2PCF('Alice', roomId, { workerUrl: server.url, stunIceServers: [], wrtc, token });
    await expect(member.start()).rejects.toMatchObject({ code });
    expect([asked, member.state]).toEqual([times, 'closed']);
  }
});

const rooms: P2PCF[] = [];
afterEach(() => {
  for (const room of rooms.splice(0)) room.destroy();
});

/** A page in a room, with a token that says all this of it. */
async function enter(
  roomId: string,
  name: string,
  claims: Record<string, unknown> = {},
  options: Partial<P2PCFOptions> = {},
): Promise<P2PCF> {
  const token = await makeToken(roomId, 600, claims);
  const room = new P2PCF(name, roomId, { workerUrl: server.url, stunIceServers: [], wrtc, token, ...options });
  rooms.push(room);
  await room.start();
  return room;
}

/** The peer of this name, as soon as a room is connected to it. */
const connected = (room: P2PCF, name: string): Promise<Peer> =>
  vi.waitUntil(() => [...room.peers.values()].find((peer) => peer.client_id === name && peer.connected), WAIT);

test('peers know each other’s verified subjects, whoever came first', async () => {
  const roomId = newRoom();
  const alice = await enter(roomId, 'Alice', { sub: 'alice' }, { metadata: { verified: { sub: 'mallory' } } });
  const bob = await enter(roomId, 'Bobby', { sub: 'bob' });
  const carol = await enter(roomId, 'Carol');
  expect((await connected(alice, 'Bobby')).verified).toEqual({ sub: 'bob' });
  expect((await connected(bob, 'Alice')).verified).toEqual({ sub: 'alice' });
  expect((await connected(bob, 'Carol')).verified).toBeUndefined();
  expect((await connected(carol, 'Alice')).verified).toEqual({ sub: 'alice' });
});

test('a host removes a peer: it is closed for all, and stays out; others may not', async () => {
  const roomId = newRoom();
  const host = await enter(roomId, 'Host', { sub: 'host', host: true });
  const guest = await enter(roomId, 'Guest', { sub: 'guest' });
  const target = await enter(roomId, 'Target', { sub: 'target' });
  const told: unknown[] = [];
  target.on('state', (...state) => told.push(state));
  const seen = await Promise.all([connected(host, 'Target'), connected(guest, 'Target'), connected(guest, 'Host')]);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  guest.remove(seen[2]);
  await vi.waitUntil(() => warn.mock.calls.some(([text]) => String(text).includes('Only a host may remove')), WAIT);
  host.remove(seen[0]);
  await vi.waitUntil(() => target.state === 'closed' && seen[0].destroyed && seen[1].destroyed, WAIT);
  expect(told).toEqual([['closed', 'The room refused: Removed by a host (4403).']]);
  expect(warn).toHaveBeenCalledWith('P2PCF-WS: The room refused: Removed by a host (4403).');
  warn.mockRestore();
  expect(seen[2].connected).toBe(true);
  await expect(enter(roomId, 'Target', { sub: 'target' })).rejects.toMatchObject({ code: 4403 });
  expect([host, guest].map(({ peers }) => [...peers.values()].map(({ client_id }) => client_id))).toEqual([
    ['Guest'],
    ['Host'],
  ]);
});

test('a host removes a peer that has joined anew under its id meanwhile, while all stay connected to it', async () => {
  const roomId = newRoom();
  const host = await enter(roomId, 'Host', { sub: 'host', host: true });
  const guest = await enter(roomId, 'Guest', { sub: 'guest' });
  const { sockets, Kept } = keptSockets();
  const tokens = [await makeToken(roomId)]; // of nobody: whoever comes back with a subject is told of as new
  const token = async (): Promise<string> => tokens.pop() ?? makeToken(roomId, 600, { sub: 'target' });
  const target = await enter(roomId, 'Target', {}, { token, WebSocket: Kept });
  const seen = await Promise.all([connected(host, 'Target'), connected(guest, 'Target')]);
  sockets.at(-1)?.close(4010);
  await vi.waitUntil(() => sockets.length === 2 && target.state === 'open', WAIT);
  expect(seen.map(({ connected }) => connected)).toEqual([true, true]);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  host.remove(seen[0]);
  await vi.waitUntil(() => target.state === 'closed' && seen.every(({ destroyed }) => destroyed), WAIT);
  warn.mockRestore();
});

test('whoever is removed closes what it has with a member that is without the room, and does not hear of it', async () => {
  const roomId = newRoom();
  const host = await enter(roomId, 'Host', { sub: 'host', host: true });
  const { sockets, Kept } = keptSockets();
  const back = Promise.withResolvers<string>();
  const tokens = [makeToken(roomId, 600, { sub: 'guest' }), back.promise];
  const token = async (): Promise<string> => (await tokens.shift()) ?? '';
  const guest = await enter(roomId, 'Guest', {}, { token, WebSocket: Kept });
  const target = await enter(roomId, 'Target', { sub: 'target' });
  const seen = await Promise.all([connected(host, 'Target'), connected(guest, 'Target')]);
  sockets.at(-1)?.close(4010);
  await vi.waitUntil(() => tokens.length === 0, WAIT);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  host.remove(seen[0]);
  await vi.waitUntil(() => target.state === 'closed' && seen.every(({ destroyed }) => destroyed), WAIT);
  expect([guest.state, target.peers.size]).toEqual(['reconnecting', 0]);
  warn.mockRestore();
  back.resolve(await makeToken(roomId, 600, { sub: 'guest' }));
  await vi.waitUntil(() => guest.state === 'open', WAIT);
});

test('whoever is removed makes no connection to those that wait for their turn', async () => {
  const roomId = newRoom();
  const host = await enter(roomId, 'Host', { sub: 'host', host: true });
  const target = await enter(roomId, 'Target', { sub: 'target' }, { offersAhead: false, maxConnections: 1 });
  const seen = await connected(host, 'Target');
  const others = ['first', 'second'].map(
    async (clientId) =>
      new SignalingClient({ workerUrl: server.url, roomId, clientId, token: await makeToken(roomId) }),
  );
  for (const other of others) await (await other).start();
  await vi.waitUntil(() => [...target.peers.values()].filter(({ state }) => state === 'waiting').length === 2, WAIT);
  const states: string[] = [];
  target.on('peerstate', (_peer, state) => states.push(state));
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  host.remove(seen);
  await vi.waitUntil(() => target.state === 'closed', WAIT);
  warn.mockRestore();
  expect(states).toEqual(['closed', 'closed', 'closed']);
  for (const other of others) (await other).stop();
});

test('whoever was without the room closes what it has with a removed member that goes on by itself', async () => {
  const roomId = newRoom();
  const host = await enter(roomId, 'Host', { sub: 'host', host: true });
  const [ofGuest, ofTarget] = [keptSockets(), keptSockets()];
  const back = Promise.withResolvers<string>();
  const tokens = [makeToken(roomId, 600, { sub: 'guest' }), back.promise];
  const token = async (): Promise<string> => (await tokens.shift()) ?? '';
  const guest = await enter(roomId, 'Guest', {}, { token, WebSocket: ofGuest.Kept });
  await enter(roomId, 'Target', { sub: 'target' }, { WebSocket: ofTarget.Kept });
  const seen = await Promise.all([connected(host, 'Target'), connected(guest, 'Target')]);
  ofGuest.sockets.at(-1)?.close(4010);
  await vi.waitUntil(() => tokens.length === 0, WAIT);
  Object.assign(Object(ofTarget.sockets.at(-1)), { onmessage: null, onclose: null }); // it will not hear of it
  host.remove(seen[0]);
  await vi.waitUntil(() => seen[0].destroyed, WAIT);
  expect(seen[1].connected).toBe(true);
  back.resolve(await makeToken(roomId, 600, { sub: 'guest' }));
  await vi.waitUntil(() => seen[1].destroyed, WAIT);
});

test('a host removes whom the room has lost, and with a subject also what it has left open, also of who was away', async () => {
  const roomId = newRoom();
  const forgetful = await startWorkerd({ vars: { AUTH_SECRET: SECRET, RESUME_GRACE_SECONDS: '0' } });
  try {
    const workerUrl = forgetful.url;
    const host = await enter(roomId, 'Host', { sub: 'host', host: true }, { workerUrl });
    const ofGuest = keptSockets();
    const back = Promise.withResolvers<string>();
    const guestTokens = [makeToken(roomId, 600, { sub: 'guest' }), back.promise];
    const token = async (): Promise<string> => (await guestTokens.shift()) ?? '';
    const guest = await enter(roomId, 'Guest', {}, { workerUrl, token, WebSocket: ofGuest.Kept });
    const witness = new SignalingClient({ workerUrl, roomId, token: await makeToken(roomId) });
    await witness.start();
    /** The peers of one that stays away from the room, and that the others are connected to yet. */
    const lost = async (name: string): Promise<Peer[]> => {
      const { sockets, Kept } = keptSockets();
      const tokens = [makeToken(roomId, 600, { sub: 'target' })];
      const token = (): Promise<string> => tokens.pop() ?? new Promise(() => undefined);
      await enter(roomId, name, {}, { workerUrl, token, WebSocket: Kept });
      const seen = await Promise.all([connected(host, name), connected(guest, name)]);
      const left = new Promise((resolve) => witness.once('leave', resolve));
      sockets.at(-1)?.close(4010);
      expect(await left).toMatchObject({ clientId: seen[0].id, reason: 'timeout' });
      return seen;
    };
    const first = [...(await lost('Target')), ...(await lost('Its other page'))];
    if (first[0]) host.remove(first[0]);
    await vi.waitUntil(() => first.every(({ destroyed }) => destroyed), WAIT);
    const [ofHost, ofGuestYet] = await lost('Target again');
    const page = await enter(roomId, 'Another page', { sub: 'target' }, { workerUrl });
    const seen = await Promise.all([connected(host, 'Another page'), connected(guest, 'Another page')]);
    ofGuest.sockets.at(-1)?.close(4010);
    await vi.waitUntil(() => guestTokens.length === 0, WAIT);
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    host.remove(seen[0]);
    await vi.waitUntil(() => page.state === 'closed' && ofHost?.destroyed, WAIT);
    warn.mockRestore();
    expect(ofGuestYet?.connected).toBe(true);
    back.resolve(await makeToken(roomId, 600, { sub: 'guest' }));
    await vi.waitUntil(() => ofGuestYet?.destroyed, WAIT);
    expect(guest.connectedSessions).toEqual([host.sessionId]);
    witness.stop();
  } finally {
    for (const room of rooms.splice(0)) room.destroy();
    await forgetful.stop();
  }
});

test('an app that leaves and starts anew as it hears of a refusal is let in with a better token', async () => {
  const roomId = newRoom();
  const tokens = ['no.good.token', 'nor.is.this', await makeToken(roomId)]; // the second is asked for before the client gives up
  const client = new SignalingClient({ workerUrl: server.url, roomId, token: () => String(tokens.shift()) });
  const again = new Promise<void>((resolve, reject) => {
    client.once('refused', () => {
      client.stop();
      client.start().then(resolve, reject);
    });
  });
  await expect(client.start()).rejects.toMatchObject({ name: 'AbortError' });
  await again;
  expect(client.state).toBe('open');
  client.stop();
});

test('a function that fails is named, once, and asked again', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const roomId = newRoom();
  let asked = 0;
  const token = async (): Promise<string> => {
    if (++asked < 4) throw new Error('the backend is away');
    return await makeToken(roomId);
  };
  const client = new SignalingClient({ workerUrl: server.url, roomId, token });
  const told: unknown[] = [];
  client.on('state', (state, reason) => told.push([state, reason]));
  await client.start();
  client.stop();
  const reason = 'The option token failed: Error: the backend is away';
  expect(told.slice(0, 3)).toEqual([
    ['connecting', undefined],
    ['connecting', reason],
    ['open', undefined],
  ]);
  expect(warn.mock.calls).toEqual([[`P2PCF-WS: ${reason}`]]);
  warn.mockRestore();
});

test('a function that takes long is named, and waited for; not one of a start that was undone', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const roomId = newRoom();
  const asked: ((token: string) => void)[] = [];
  const token = (): Promise<string> => new Promise((resolve) => asked.push(resolve));
  const [undone, late] = [1, 2].map(() => new SignalingClient({ workerUrl: server.url, roomId, token }));
  if (!undone || !late) throw new Error('there are two');
  const told: unknown[] = [];
  for (const client of [undone, late]) client.on('state', (state, reason) => told.push([state, reason]));
  const stopped = undone.start();
  await vi.waitUntil(() => asked.length === 1, WAIT);
  undone.stop();
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  const entered = undone.start();
  await vi.waitUntil(() => asked.length === 2, WAIT);
  asked[1]?.(await makeToken(roomId));
  await entered;
  told.length = 0;
  const started = late.start();
  const reason = 'The option token has not answered yet.';
  await vi.waitUntil(() => late.reason === reason, WAIT);
  asked[2]?.(await makeToken(roomId));
  await started;
  expect(told).toEqual([
    ['connecting', undefined],
    ['connecting', reason],
    ['open', undefined],
  ]);
  expect([asked.length, undone.reason, warn.mock.calls]).toEqual([3, undefined, [[`P2PCF-WS: ${reason}`]]]);
  for (const client of [undone, late]) client.stop();
  warn.mockRestore();
});
