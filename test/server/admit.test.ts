/** The option `admit`: the app says who is met. */
import wrtc from 'node-datachannel/polyfill';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { P2PCF, type P2PCFOptions, type Peer } from '../../src/client/index.ts';
import { SignalingClient } from '../../src/client/signaling.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
beforeAll(async () => {
  server = await startWorkerd();
});
afterAll(() => server.stop());

const rooms: P2PCF[] = [];
afterEach(() => {
  for (const room of rooms.splice(0)) room.destroy();
});

interface Entered {
  room: P2PCF;
  /** Names of those it has been connected to. */
  met: string[];
  failures: string[];
}

describe.each([true, false])('offers ahead: %s', (offersAhead) => {
  async function enter(roomId: string, name: string, options: Partial<P2PCFOptions> = {}): Promise<Entered> {
    const room = new P2PCF(name, roomId, { workerUrl: server.url, stunIceServers: [], offersAhead, wrtc, ...options });
    rooms.push(room);
    const entered: Entered = { room, met: [], failures: [] };
    room.on('peerconnect', ({ client_id }) => entered.met.push(client_id));
    room.on('peerstate', ({ client_id }, state, reason) => {
      if (state === 'failed') entered.failures.push(`${client_id}: ${reason}`);
    });
    await room.start();
    return entered;
  }
  const untilMet = (who: Entered, ...names: string[]): Promise<unknown> =>
    vi.waitUntil(() => names.every((name) => who.met.includes(name)), WAIT);

  test.each([
    ['the resident', ['Alice', 'Bobby']],
    ['the joiner', ['Bobby', 'Alice']],
  ])('%s refuses: no connection, not when it is back either, and others are met', async (_who, order) => {
    const roomId = newRoom();
    const asked: unknown[] = [];
    const admit = ({ id, client_id, metadata, verified }: Peer): boolean => {
      asked.push({ id, client_id, metadata, verified });
      return client_id !== 'Bobby';
    };
    const entered: Record<string, Entered> = {};
    for (const name of order)
      entered[name] = await enter(roomId, name, name === 'Alice' ? { admit } : { metadata: { colour: 'red' } });
    const { Alice: alice, Bobby: bob } = entered;
    if (!alice || !bob) throw new Error('both are here');
    await vi.waitUntil(() => alice.failures.length > 0, WAIT);
    expect(alice.failures).toEqual(['Bobby: The option admit refused it.']);
    expect(asked).toEqual([
      { id: bob.room.sessionId, client_id: 'Bobby', metadata: { colour: 'red' }, verified: undefined },
    ]);
    expect(alice.room.peers.size).toBe(0);
    bob.room.destroy();
    await bob.room.start();
    // Longer than until a connection that has ended is met again.
    await enter(roomId, 'Carol').then((carol) => untilMet(carol, 'Alice', 'Bobby'));
    const dora = await enter(roomId, 'Dorothy');
    await untilMet(dora, 'Alice', 'Bobby', 'Carol');
    expect([alice.met.sort(), asked.length]).toEqual([['Carol', 'Dorothy'], 3]);
    expect(bob.met).not.toContain('Alice');
    expect(alice.room.connectedSessions).not.toContain(bob.room.sessionId);
  });

  test('nothing is heard of a peer before the app has answered, whoever came first, and then all', async () => {
    const roomId = newRoom();
    let answer: (isAdmitted: boolean) => void = () => undefined;
    const answered = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const alice = await enter(roomId, 'Alice');
    const gate = await enter(roomId, 'Gated', { admit: () => answered });
    const bob = await enter(roomId, 'Bobby');
    await Promise.all([untilMet(alice, 'Bobby'), untilMet(bob, 'Alice')]);
    expect([gate.met, gate.room.connectedSessions]).toEqual([[], []]);
    expect([...alice.met, ...bob.met]).not.toContain('Gated');
    answer(true);
    await Promise.all([untilMet(gate, 'Alice', 'Bobby'), untilMet(alice, 'Gated'), untilMet(bob, 'Gated')]);
    // Of the connections that the app was asked about: one may take too long on a busy machine, and is tried again.
    expect(gate.failures.filter((reason) => reason.includes('admit'))).toEqual([]);
  });

  test('of all offers before the app has answered only the last is answered', async () => {
    const roomId = newRoom();
    let answer: (isAdmitted: boolean) => void = () => undefined;
    const answered = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const gate = await enter(roomId, 'Gated', { admit: () => answered });
    const bob = new SignalingClient({ workerUrl: server.url, roomId, metadata: { client_id: 'Bobby' } });
    const attempts: unknown[] = [];
    bob.on('signal', (_from, signal) => Object(signal).type === 'answer' && attempts.push(Object(signal).attempt));
    await bob.start();
    const pc = new wrtc.RTCPeerConnection();
    pc.createDataChannel('channel');
    const { sdp } = await pc.createOffer();
    // As many as are taken: a minute more of a network that does not let the two connect would have it begin as often.
    for (let n = 0; n < 16; n++) {
      bob.send(gate.room.sessionId, { type: 'offer', sdp, attempt: `attempt ${n}`, candidates: [] });
      await new Promise((resolve) => setTimeout(resolve, n < 8 ? 10 : 1_600));
    }
    answer(true);
    await expect.poll(() => attempts, WAIT).toContain('attempt 15');
    expect([attempts, gate.failures]).toEqual([['attempt 15'], []]);
    bob.stop();
    pc.close();
  });

  test('an app that leaves as it is asked has left: no connection is made', async () => {
    const roomId = newRoom();
    let hasLeft = false;
    let made = 0;
    class Counted extends wrtc.RTCPeerConnection {
      constructor(configuration: ConstructorParameters<typeof wrtc.RTCPeerConnection>[0]) {
        super(configuration);
        if (hasLeft) made++;
      }
    }
    const left = Promise.withResolvers<void>();
    const gate: Entered = await enter(roomId, 'Gated', {
      wrtc: { RTCPeerConnection: Counted },
      admit: () => {
        gate.room.destroy();
        hasLeft = true;
        setTimeout(left.resolve);
        return true;
      },
    });
    await enter(roomId, 'Alice');
    await left.promise;
    expect([made, gate.room.peers.size]).toEqual([0, 0]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no list of friends');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no list of friends'))],
  ])('an app that %s refuses, and is told why', async (_how, admit) => {
    const roomId = newRoom();
    await enter(roomId, 'Alice');
    const bob = await enter(roomId, 'Bobby', { admit });
    await vi.waitUntil(() => bob.failures.length > 0, WAIT);
    expect(bob.failures).toEqual(['Alice: The option admit failed: Error: no list of friends']);
    expect([bob.met, bob.room.peers.size]).toEqual([[], 0]);
  });
});
