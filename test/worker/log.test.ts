/** What is logged while a room is used and abused, and what is not. */
import { env } from 'cloudflare:workers';
import { expect, test, vi } from 'vitest';
import worker from '../../src/index.ts';
import { Client } from '../support/client.ts';
import { SECRET, signToken } from '../support/room-token.ts';
import { workerdWith } from '../support/workerd-place.ts';

test.each([
  [{ ALLOWED_ORIGINS: '*' }, 'The setting ALLOWED_ORIGINS has "*" in it'],
  [{ LOG_KEY: 'short' }, 'The secret LOG_KEY is too short'],
])(
  'a setting that makes no sense, here %j, is logged: whoever runs a container sees nothing else',
  async (wrong, why) => {
    const write = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    await worker.fetch(new Request('http://p2pcf-ws.test/health'), { ...env, ...wrong });
    const lines = write.mock.calls.map(([line]) => JSON.parse(line));
    expect(lines).toEqual([{ event: 'failed', code: 500, reason: expect.stringContaining(why) }]);
    write.mockRestore();
  },
);

const place = workerdWith({ ...env, AUTH_SECRET: SECRET, LOG_KEY: SECRET });
const ROOM = 'a-room-with-a-name';

const makeToken = (claims: Record<string, unknown>): Promise<string> => signToken({ rooms: [ROOM], ...claims });

test('refused, full, removed and flooding clients are logged, each in a line, without what they sent', async () => {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line) => lines.push(String(line)));
  const metadata = JSON.stringify('the metadata');
  const join = (id: string, token: string): Promise<Client> =>
    Client.connect(place, ROOM, id, { token, metadata, max: '2' });
  const hostToken = await makeToken({ sub: 'the host', host: true });
  const guestToken = await makeToken({ sub: 'the guest' });
  const host = await join('the-host-id', hostToken);
  const guest = await join('the-guest-id', guestToken);
  await (await join('another', await makeToken({}))).closed;
  await (await join('another', 'rubbish')).closed;
  await guest.signal('the-host-id', { type: 'offer', sdp: 'v=0 the sdp' });
  await host.send({ type: 'remove', targetId: 'the-guest-id' });
  await guest.closed;
  const poll = await place.fetch(`/?token=${guestToken}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'CF-Connecting-IP': '192.0.2.1' },
    body: JSON.stringify({ r: ROOM, k: 'the context' }),
  });
  expect(poll.status).toBe(403);
  let isOpen = true;
  void host.closed.then(() => {
    isOpen = false;
  });
  while (isOpen) {
    for (let n = 0; n < 1100; n++) await host.send({ type: 'broadcast', data: 'the data' });
    await new Promise((resolve) => setTimeout(resolve, 0)); // the room has its turn
  }
  expect((await host.closed).code).toBe(4008);
  await vi.waitFor(() => expect(lines.length).toBeGreaterThanOrEqual(5));
  const entries: Record<string, unknown>[] = lines.map((line) => JSON.parse(line));
  expect(entries.filter(({ event }) => event !== 'joined').map(({ event, code }) => [event, code])).toEqual([
    ['full', 4003],
    ['refused', 4401],
    ['removed', 4403],
    ['refused', 403],
    ['flood', 4008],
  ]);
  // The Worker has the key; the room here has the settings of wrangler.toml, and so none.
  expect(entries.find(({ code }) => code === 4401)?.['room']).toMatch(/^[0-9a-f]{16}$/);
  const all = lines.join('\n');
  for (const secret of ['the ', ROOM, 'the-', '192.0.2.1', 'v=0', 'metadata', hostToken, guestToken, 'rubbish', '.eyJ'])
    expect(all.replaceAll('The token', '')).not.toContain(secret);
});
