/** The library's option `token`, against a server that wants room tokens. */
import { SignJWT } from 'jose';
import wrtc from 'node-datachannel/polyfill';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { P2PCF } from '../../src/client/index.ts';
import { SignalingClient } from '../../src/client/signaling.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';

const SECRET = 'a secret of at least thirty-two bytes';

let server: Server;
beforeAll(async () => {
  server = await startWorkerd({ vars: { AUTH_SECRET: SECRET } });
});
afterAll(() => server.stop());

const makeToken = (room: string, seconds = 600): Promise<string> =>
  new SignJWT({ aud: 'p2pcf-ws', exp: Math.floor(Date.now() / 1000) + seconds, rooms: [room] })
    .setProtectedHeader({ alg: 'HS256', typ: 'p2pcf-ws+jwt' })
    .sign(new TextEncoder().encode(SECRET));

const EXPIRED = { message: 'The room refused: The token has expired (4401).', code: 4401 };

test('a string opens the room; none, or one that has expired, or of another room, is final', async () => {
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
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string, subprotocols: string[]) {
      super(url, subprotocols);
      sockets.push(this);
    }
  }
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
