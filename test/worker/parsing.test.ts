/** What a room parses, and how often: JSON is the most of what a message and a join cost. */
import { afterEach, expect, test, vi } from 'vitest';
import { Client } from '../support/client.ts';
import { newRoom } from '../support/new-room.ts';
import { workerd } from '../support/workerd-place.ts';

afterEach(() => vi.restoreAllMocks());

/** Counts how often a text is parsed. */
function parses(): (text: string) => number {
  const parse = vi.spyOn(JSON, 'parse');
  return (text) => parse.mock.calls.filter(([each]) => each === text).length;
}

test('a message is parsed once, a member’s metadata not again for each that joins', async () => {
  const room = newRoom();
  const metadata = JSON.stringify({ name: 'Alice, ü', list: [1, 2, 3] }).replace('ü', '\\u00fc');
  const timesParsed = parses();
  const alice = await Client.connect(workerd, room, 'alice', { metadata });
  await alice.next();
  const join = async (id: string): Promise<Client> => {
    const client = await Client.connect(workerd, room, id);
    expect(await client.next()).toMatchObject({ metadata: { alice: { name: 'Alice, ü' } } });
    return client;
  };
  const bob = await join('bob');
  const before = timesParsed(metadata);
  for (const id of ['carol', 'dora', 'erin']) await join(id);
  expect(timesParsed(metadata)).toBe(before);

  const signal = { type: 'signal', targetId: 'bob', signal: { type: 'offer', sdp: 'v=0' } };
  await alice.send(signal);
  for (const clientId of ['carol', 'dora', 'erin'])
    expect(await bob.next()).toMatchObject({ type: 'peer_join', clientId });
  expect(await bob.next()).toMatchObject({ type: 'signal' });
  expect(timesParsed(JSON.stringify(signal))).toBe(1);
});
