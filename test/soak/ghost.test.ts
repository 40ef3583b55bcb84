/** Real silence on a real server: what the tests inside workerd show with a moved clock. */
import { expect, test } from 'vitest';
import { SignalingClient } from '../../src/client/signaling.ts';
import { Client } from '../support/client.ts';
import { startFaultyProxy } from '../support/faults.ts';
import { placeOf } from '../support/place.ts';
import { startWorkerd } from '../support/server.ts';

const seconds = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count * 1000));

test('a client silent for 150 s is a ghost; a page whose timers run once a minute is not', async () => {
  const server = await startWorkerd();
  try {
    const place = placeOf(server);
    const silent = await Client.join(place, 'room', 'silent');
    const hidden = await Client.join(place, 'room', 'hidden');
    const bare = await Client.join(place, 'room', 'never pinged');
    await silent.sendFrame('ping');
    for (let minute = 0; minute < 3; minute++) {
      await hidden.sendFrame('ping');
      await seconds(minute < 2 ? 60 : 31);
    }
    const late = await Client.connect(place, 'room', 'late');
    expect(await late.next()).toEqual({ type: 'peers', peers: ['hidden', 'never pinged'], yourId: 'late' });
    expect(await silent.closed).toMatchObject({ code: 4006 });
    const heard = [await bare.next(), await bare.next()];
    expect(heard).toMatchObject([
      { type: 'peer_leave', clientId: 'silent', reason: 'timeout' },
      { type: 'peer_join', clientId: 'late' },
    ]);
    expect(bare.received).toHaveLength(3);
  } finally {
    await server.stop();
  }
});

test('the library finds out within 40 s that its connection is half-open, and is back in its place', async () => {
  const server = await startWorkerd();
  const proxy = await startFaultyProxy(server.url);
  const client = new SignalingClient({ workerUrl: proxy.url, roomId: 'room', clientId: 'alice' });
  try {
    const bob = await Client.join(placeOf(server), 'room', 'bob');
    await client.start();
    expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId: 'alice' });
    const cutAt = Date.now();
    proxy.halfOpen();
    const { resumed } = await new Promise<{ resumed?: boolean }>((resolve) => client.once('peers', resolve));
    expect(Date.now() - cutAt).toBeLessThan(40_000);
    expect(resumed).toBe(true);
    client.send('bob', 'nothing has happened');
    expect(await bob.next()).toMatchObject({ type: 'signal', signal: 'nothing has happened' });
  } finally {
    client.stop();
    await proxy.stop();
    await server.stop();
  }
});
