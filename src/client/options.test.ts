import { describe, expect, test } from 'vitest';
import { settingsOf } from './options.ts';

const RTCPeerConnection = class {};
const good = { workerUrl: 'https://a.dev', wrtc: { RTCPeerConnection } };
const make = (clientId: unknown, roomId: unknown, options: unknown): unknown =>
  Reflect.apply(settingsOf, undefined, [clientId, roomId, options]);

describe('says which option cannot work, what was given, and how it should look', () => {
  test.each<[unknown, unknown, unknown, string]>([
    ['me', 'room', good, 'clientId is "me": it must be a string of at least four characters'],
    [undefined, 'room', good, 'clientId is undefined: it must be a string'],
    [12_345, 'room', good, 'clientId is 12345: it must be a string'],
    ['name', 'lab', good, 'roomId is "lab": it must be a string of at least four characters'],
    ['name', 12_345, good, 'roomId is 12345: it must be a string'],
    ['name', { toString: undefined }, good, 'roomId is an object: it must be a string'],
    ['name', { workerUrl: 'https://a.dev' }, undefined, 'roomId is an object: it must be a string'],
    ['name', 'room', undefined, 'workerUrl is missing'],
    ['name', 'room', null, 'workerUrl is missing'],
    ['name', 'room', 'https://a.dev', 'options is "https://a.dev": it must be an object like { workerUrl }'],
    ['name', 'room', 5, 'options is 5: it must be an object'],
    [
      'name',
      'room',
      { workerUrl: 'https://p2pcf-ws.<your-subdomain>.workers.dev' },
      'put your own address in place of',
    ],
    [
      'name',
      'room',
      { workerUrl: 'https://a.dev' },
      'Construct P2PCF in a page, not in a worker or where a page is rendered on a server',
    ],
    ['name', 'room', { ...good, metadata: 'x'.repeat(2047) }, 'The metadata has 2049 bytes'],
  ])('%j, %j, %j', (clientId, roomId, options, sentence) => {
    expect(() => make(clientId, roomId, options)).toThrow(sentence);
  });

  const urls = 'turn:a.dev:3478';
  test.each<[object, string]>([
    [{ turnIceServers: [{ urls }] }, 'turnIceServers[0] is a TURN server: it must have username and credential'],
    [{ turnIceServers: [{ urls, username: 'me' }] }, 'turnIceServers[0] is a TURN server'],
    [{ turnIceServers: [{ urls, credential: 'secret' }] }, 'turnIceServers[0] is a TURN server'],
    [{ turnIceServers: [{ urls, username: '', credential: 'secret' }] }, 'neither empty'],
    [{ turnIceServers: [{ urls, username: 'me', credential: '' }] }, 'neither empty'],
    [
      { stunIceServers: [{ urls: 'stun:a.dev' }, { urls: ['stun:b.dev', 'TURNS:c.dev'] }] },
      'stunIceServers[1] is a TURN',
    ],
    [{ turnIceServers: [{ urls: 'a.dev:3478' }] }, 'turnIceServers[0].urls is "a.dev:3478": it must be like stun:host'],
    [{ turnIceServers: [{ urls: 'turn://a.dev' }] }, 'turnIceServers[0].urls is "turn://a.dev"'],
    [
      { turnIceServers: [{ urls: 'turn:a.dev?transport=tls' }] },
      'turnIceServers[0].urls is "turn:a.dev?transport=tls"',
    ],
    [{ turnIceServers: [{ urls: 'turn:a.dev:0' }] }, 'turnIceServers[0].urls is "turn:a.dev:0"'],
    [{ turnIceServers: [{ urls: 'turn:a.dev:65536' }] }, 'turnIceServers[0].urls is "turn:a.dev:65536"'],
    [
      { stunIceServers: [{ urls: 'stun:a.dev?transport=udp' }] },
      'stunIceServers[0].urls is "stun:a.dev?transport=udp"',
    ],
    [{ stunIceServers: [{ urls: 'https://a.dev' }] }, 'stunIceServers[0].urls is "https://a.dev"'],
    [{ stunIceServers: [{ urls: '' }] }, 'stunIceServers[0].urls is ""'],
    [{ stunIceServers: [{ urls: [] }] }, 'stunIceServers[0].urls is an object'],
    [
      { stunIceServers: [{ url: 'stun:a.dev' }] },
      'stunIceServers[0].urls is undefined: it must be like stun:host:3478',
    ],
    [{ stunIceServers: ['stun:a.dev'] }, 'stunIceServers[0].urls is undefined'],
    [{ stunIceServers: { urls: 'stun:a.dev' } }, 'stunIceServers is an object: it must be an array'],
    [{ turnIceServers: true }, 'turnIceServers is true: it must be an array'],
    [
      { rtcPeerConnectionOptions: { iceServers: [{ urls }] } },
      'rtcPeerConnectionOptions.iceServers[0] is a TURN server: it must have username and credential',
    ],
    [
      { rtcPeerConnectionOptions: { iceTransportPolicy: 'relayed' } },
      'rtcPeerConnectionOptions.iceTransportPolicy is "relayed": it must be all or relay.',
    ],
    [{ rtcPeerConnectionOptions: { bundlePolicy: 'max' } }, 'it must be balanced or max-compat or max-bundle.'],
    [
      { rtcPeerConnectionOptions: { rtcpMuxPolicy: 'required' } },
      'rtcPeerConnectionOptions.rtcpMuxPolicy is "required"',
    ],
    [{ rtcPeerConnectionOptions: { iceTransportPolicy: null } }, 'rtcPeerConnectionOptions.iceTransportPolicy is null'],
    [{ rtcPeerConnectionOptions: { iceCandidatePoolSize: 999 } }, 'iceCandidatePoolSize is 999: it must be a whole'],
    [{ rtcPeerConnectionOptions: { iceServers: null } }, 'rtcPeerConnectionOptions.iceServers is null: it must be an'],
    [{ rtcPeerConnectionOptions: 'relay' }, 'rtcPeerConnectionOptions is "relay"'],
    [{ admit: null }, 'admit is null: it must be a function, or left out'],
    [{ trust: false }, 'trust is false: it must be a function, or left out'],
    [{ wrtc: null }, 'wrtc is null: it must be an object, or left out'],
    [{ wrtc: { RTCPeerConnection: 'x' } }, 'wrtc.RTCPeerConnection is "x": it must be a class'],
    [{ wrtc: { default: good.wrtc } }, 'wrtc.RTCPeerConnection is undefined: it must be a class'],
    [{ identity: 'x' }, 'identity is "x": it must be what P2PCF.identity() resolves to'],
    [{ identity: { expires: Date.now() - 1 } }, 'identity is an object: it must be what P2PCF.identity() resolves to'],
    [{ maxConnections: 0 }, 'maxConnections is 0: it must be a whole number from 2 to 500'],
    [{ maxConnections: 0, offersAhead: false }, 'it must be a whole number from 1 to 500'],
    [{ maxConnections: '9' }, 'maxConnections is "9"'],
    [{ token: 5 }, 'token is 5: it must be a string or a function, or left out'],
    [{ admit: 'no' }, 'admit is "no": it must be a function'],
    [{ sdpTransform: {} }, 'sdpTransform is an object: it must be a function'],
    [{ trust: true }, 'trust is true: it must be a function'],
    [{ WebSocket: {} }, 'WebSocket is an object: it must be a function'],
    [{ offersAhead: 'false' }, 'offersAhead is "false": it must be a boolean, or left out'],
    [{ hideRoom: 'false' }, 'hideRoom is "false": it must be a boolean'],
    [{ pingEveryMs: '1000' }, 'pingEveryMs is "1000": it must be a number'],
    [{ metadata: 5n }, 'metadata is 5: it must be what JSON can say'],
    [{ metadata: { n: 5n } }, 'metadata is an object: it must be what JSON can say'],
    [{ metadata: () => 1 }, 'metadata is a function'],
    [{ metadata: Symbol('me') }, 'metadata is Symbol(me)'],
    [
      { turnIceServers: [{ urls: 'turn:<your-host>:3478', username: 'u', credential: 'c' }] },
      'is "turn:<your-host>:3478"',
    ],
    [{ turnIceServers: [{ urls: 'turn:a|b', username: 'u', credential: 'c' }] }, 'is "turn:a|b"'],
    [
      { turnIceServers: [{ urls: 'turn:a?TRANSPORT=udp', username: 'u', credential: 'c' }] },
      'is "turn:a?TRANSPORT=udp"',
    ],
  ])('%o', (options, sentence) => {
    expect(() => make('name', 'room', { ...good, ...options })).toThrow(sentence);
  });

  test.each<unknown>([
    [{ urls, credential: 'a secret' }],
    [{ credential: 'a secret' }],
    { urls, credential: 'a secret' },
  ])('a credential is shown to nobody: %j', (turnIceServers) => {
    const isSilent = (error: unknown): boolean => error instanceof Error && !error.message.includes('a secret');
    expect(() => make('name', 'room', { ...good, turnIceServers })).toThrow(expect.toSatisfy(isSilent));
    expect(() => make('name', { turnIceServers }, undefined)).toThrow(expect.toSatisfy(isSilent));
  });
});

test.each<object>([
  {},
  { stunIceServers: [], turnIceServers: [] },
  { stunIceServers: [{ urls: ['stun:a.dev', 'stuns:a.dev:5349', 'STUN:[2001:db8::1]:3478', 'stun:192.0.2.1'] }] },
  { turnIceServers: [{ urls: 'turn:a.dev?transport=tcp', username: 'me', credential: 'x' }] },
  { turnIceServers: [{ urls: 'turns:a_b.dev.:443?transport=TCP', username: 'u', credential: 'x' }] },
  { rtcPeerConnectionOptions: { iceTransportPolicy: 'relay', bundlePolicy: 'max-bundle', iceCandidatePoolSize: 2 } },
  { stunIceServers: null, turnIceServers: null, rtcPeerConnectionOptions: null, sdpTransform: null },
  { stunIceServers: false, turnIceServers: false, rtcPeerConnectionOptions: false, sdpTransform: false },
])('%j can work', (options) => {
  expect(make('name', 'room', { ...good, ...options })).toMatchObject({ maxConnections: 100 });
});

test('ICE servers are those of the moment, unless the app has a configuration of its own with some or none', () => {
  const ours = { stun: [{ urls: 'stun:a.dev' }], turn: [{ urls: 'turn:a.dev', username: 'u', credential: 'p' }] };
  const configurationOf = (rtcPeerConnectionOptions: object): RTCConfiguration =>
    settingsOf('name', 'room', { ...good, rtcPeerConnectionOptions }, ours).connection.rtcConfiguration;
  const own = [{ urls: 'stun:own.dev' }];
  const given = [{}, { iceServers: undefined }, { iceServers: own }, { iceServers: [] }];
  const [usual, unset, some, none] = given.map(configurationOf);
  for (const each of [usual, unset]) expect(each?.iceServers).toEqual([...ours.stun, ...ours.turn]);
  ours.turn = [];
  for (const each of [usual, unset]) expect(each?.iceServers).toEqual(ours.stun);
  expect(some?.iceServers).toEqual(own);
  expect(none?.iceServers).toEqual([]);
});

test('the certificate is that of the identity, whatever a configuration of the app says of certificates', () => {
  const identity = { expires: Date.now() + 1_000, getFingerprints: () => [] };
  const own = { ...identity };
  const certificatesBy = (options: object): RTCConfiguration['certificates'] =>
    settingsOf('name', 'room', { ...good, ...options }, { stun: [], turn: [] }).connection.rtcConfiguration
      .certificates;
  for (const certificates of [undefined, [own]])
    expect(certificatesBy({ identity, rtcPeerConnectionOptions: { certificates } })).toSatisfy(
      (list: unknown[]) => list[0] === identity,
    );
  expect(certificatesBy({ rtcPeerConnectionOptions: { certificates: [own] } })?.[0]).toBe(own);
});
