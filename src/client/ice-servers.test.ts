import { afterEach, expect, test, vi } from 'vitest';
import { OurIceServers } from './ice-servers.ts';

afterEach(() => {
  vi.useRealTimers();
});

const server = (user: string) => ({ urls: 'turn:a.example', username: user, credential: 'c' });
const given = (user: string) => ({ iceServers: [server(user)], iceServersSeconds: 1000 });

/** Ours, and at which seconds they changed or asked for others. */
function ours(): { servers: OurIceServers; told: string[] } {
  const told: string[] = [];
  const note = (what: string) => () => told.push(`${what} at ${Date.now() / 1000}`);
  vi.useFakeTimers({ now: 0 });
  return { servers: new OurIceServers([], undefined, note('changed'), note('asked')), told };
}

test('servers that end are asked for at 80 % of their time, and again while none have come', () => {
  const { servers, told } = ours();
  servers.take(given('a'));
  vi.advanceTimersByTime(870_000);
  expect(told).toEqual(['changed at 0', 'asked at 800', 'asked at 860']);
  servers.take(given('b'));
  expect(servers.turn).toEqual([server('b')]);
});

test('what comes with a join of ours while they are good is used when they are about to end, and not asked for', () => {
  const { servers, told } = ours();
  servers.take(given('a'));
  vi.advanceTimersByTime(500_000);
  servers.take(given('b')); // the connection to the room was lost, and we are back
  expect(servers.turn).toEqual([server('a')]);
  vi.advanceTimersByTime(300_000);
  expect(servers.turn).toEqual([server('b')]);
  vi.advanceTimersByTime(500_000);
  expect(told).toEqual(['changed at 0', 'changed at 800', 'asked at 1300']);
});

test('a computer that has slept, and has come back to the room since, has others before its own end', () => {
  const { servers, told } = ours();
  servers.take(given('a'));
  vi.advanceTimersByTime(100_000);
  vi.setSystemTime(700_000); // timers stand still over a sleep
  servers.take(given('b'));
  vi.advanceTimersByTime(100_000);
  expect(servers.turn).toEqual([server('b')]);
  expect(told).toEqual(['changed at 0', 'changed at 800']);
});

test('what comes in addition, from a provider that takes longer, is used at once', () => {
  const { servers, told } = ours();
  servers.take(given('coturn'));
  const all = { ...given(''), iceServers: [server('coturn'), server('cloudflare')] };
  servers.take(all);
  expect(servers.turn).toEqual(all.iceServers);
  vi.advanceTimersByTime(500_000);
  servers.take(given('coturn again')); // we are back, and are told both again
  expect(servers.turn).toEqual(all.iceServers);
  vi.advanceTimersByTime(300_000);
  expect(servers.turn).toEqual(given('coturn again').iceServers);
  expect(told).toEqual(['changed at 0', 'changed at 0', 'changed at 800']);
});

test('an app that sets its own keeps them, whatever waits', () => {
  const { servers, told } = ours();
  servers.take(given('a'));
  servers.take(given('b'));
  servers.turn = [server('own')];
  vi.advanceTimersByTime(2_000_000);
  servers.take(given('c'));
  expect(servers.turn).toEqual([server('own')]);
  expect(told).toEqual(['changed at 0', 'changed at 0']);
});

test.each<unknown>([null, false])('as with P2PCF, %s stands for servers that are left out', (nothing) => {
  const servers: OurIceServers = Reflect.construct(OurIceServers, [nothing, nothing, () => undefined]);
  expect(servers.stun).toHaveLength(2);
  servers.take(given('a'));
  expect(servers.turn).toEqual([server('a')]);
  servers.forget();
});
