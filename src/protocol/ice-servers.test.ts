import { expect, test } from 'vitest';
import { isIceServers } from './ice-servers.ts';

const PASSWORD = { username: 'u', credential: 'p' };

test.each<[name: string, servers: unknown]>([
  ['none', []],
  ['STUN', [{ urls: 'stun:stun.example.com' }]],
  ['with a port', [{ urls: ['stun:stun.example.com:3478', 'STUNS:192.0.2.1:5349'] }]],
  ['TURN', [{ urls: 'turn:turn.example.com', ...PASSWORD }]],
  ['over TCP', [{ urls: ['turn:192.0.2.1:80?transport=tcp', 'turns:[2001:db8::1]:443?transport=tcp'], ...PASSWORD }]],
  ['both', [{ urls: ['stun:a.example', 'turn:a.example?transport=udp'], ...PASSWORD }]],
])('%s: a browser takes it', (_name, servers) => {
  expect(isIceServers(servers)).toBe(true);
});

test.each<[name: string, servers: unknown]>([
  ['no list', { urls: 'stun:stun.example.com' }],
  ['nothing', undefined],
  ['a text', ['stun:stun.example.com']],
  ['no address', [{}]],
  ['no addresses', [{ urls: [] }]],
  ['null', [{ urls: null }]],
  ['no scheme', [{ urls: 'stun.example.com' }]],
  ['another scheme', [{ urls: 'https://stun.example.com' }]],
  ['a path', [{ urls: 'stun:stun.example.com/path' }]],
  ['slashes', [{ urls: 'stun://stun.example.com' }]],
  ['STUN over TCP', [{ urls: 'stun:stun.example.com?transport=tcp' }]],
  ['TURN over what there is not', [{ urls: 'turn:turn.example.com?transport=sctp', ...PASSWORD }]],
  ['TURN without credentials', [{ urls: 'turn:turn.example.com' }]],
  ['TURN without a password', [{ urls: 'turn:turn.example.com', username: 'u' }]],
  ['TURN with an empty name', [{ urls: 'turn:turn.example.com', username: '', credential: 'p' }]],
  ['TURN with an empty password', [{ urls: 'turn:turn.example.com', username: 'u', credential: '' }]],
  ['TURN with a name of 510 characters', [{ urls: 'turn:a.example', username: 'u'.repeat(510), credential: 'p' }]],
  ['a number as a password', [{ urls: 'turn:turn.example.com', username: 'u', credential: 1 }]],
  ['more addresses than a connection should ask', Array(33).fill({ urls: 'stun:a.example' })],
  ['more in one', [{ urls: Array(33).fill('stun:a.example') }]],
  ['one bad among good', [{ urls: 'stun:a.example' }, { urls: 'turn:', ...PASSWORD }]],
])('%s: it would not', (_name, servers) => {
  expect(isIceServers(servers)).toBe(false);
});
