/** The provider for Yjs, between real peers in Node. */
import {
  createEncoder,
  toUint8Array,
  writeUint8Array,
  writeVarString,
  writeVarUint,
  writeVarUint8Array,
} from 'lib0/encoding';
import wrtc from 'node-datachannel/polyfill';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Awareness } from 'y-protocols/awareness';
import { writeSyncStep1, writeUpdate } from 'y-protocols/sync';
import { applyUpdate, Doc, encodeStateAsUpdate, UndoManager } from 'yjs';
import { P2PCF } from '../../src/client/index.ts';
import { isYjsMessage, YjsProvider } from '../../src/yjs/index.ts';
import { newRoom } from '../support/new-room.ts';
import { type Server, startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
const rooms: P2PCF[] = [];
beforeAll(async () => {
  server = await startWorkerd();
});
afterEach(() => {
  for (const room of rooms.splice(0)) room.destroy();
});
afterAll(() => server.stop());

function member(roomId: string, name: string): P2PCF {
  const room = new P2PCF(name, roomId, { workerUrl: server.url, stunIceServers: [], wrtc });
  rooms.push(room);
  return room;
}

interface Editor {
  room: P2PCF;
  doc: Doc;
  provider: YjsProvider;
}

function editor(roomId: string, name: string): Editor {
  const [room, doc] = [member(roomId, name), new Doc()];
  return { room, doc, provider: new YjsProvider(room, doc) };
}

const textOf = (doc: Doc): string => doc.getText('text').toString();
const write = (doc: Doc, at: number, text: string): void => doc.getText('text').insert(at, text);
const names = ({ provider }: Editor): string[] =>
  [...provider.awareness.getStates().values()].map((state) => String(state['name'])).toSorted();

/** Has them enter, each with its name as its awareness; resolves when all are connected to all. */
async function meet(...editors: Editor[]): Promise<void> {
  for (const each of editors) each.provider.awareness.setLocalState({ name: each.room.clientId });
  for (const each of editors) await each.room.start();
  for (const { room } of editors) await expect.poll(() => room.connectedSessions.length, WAIT).toBe(editors.length - 1);
}

// Beside these: y-indexeddb in test/package/examples.test.ts, and rooms with a key in test/server/sealed.test.ts.
describe('what apps with y-webrtc rely on', () => {
  test('what each wrote before the other came is in both', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    write(alice.doc, 0, 'made before anybody came');
    write(bob.doc, 0, '; ');
    for (const { room } of [alice, bob]) await room.start();
    await expect.poll(() => textOf(bob.doc).length, WAIT).toBe(26);
    await expect.poll(() => textOf(alice.doc), WAIT).toBe(textOf(bob.doc));
  });

  test('edits go both ways, however large, and who comes later gets all', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    await meet(alice, bob);
    write(alice.doc, 0, 'short');
    await expect.poll(() => textOf(bob.doc), WAIT).toBe('short');
    write(bob.doc, 0, 'x'.repeat(100_000));
    await expect.poll(() => textOf(alice.doc), WAIT).toBe(textOf(bob.doc));
    const carol = editor(roomId, 'Carol');
    await carol.room.start();
    await expect.poll(() => textOf(carol.doc), WAIT).toBe(textOf(bob.doc));
  });

  test('`synced` is told once the documents are the same, and is false for who is alone', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    const told: boolean[] = [];
    alice.provider.on('synced', (isSynced) => told.push(isSynced));
    for (const { room } of [alice, bob]) await room.start();
    await expect.poll(() => [alice.provider.synced, bob.provider.synced], WAIT).toEqual([true, true]);
    bob.room.destroy();
    await expect.poll(() => told, WAIT).toEqual([true, false]);
    expect(alice.provider.synced).toBe(false);
  });

  test('the awareness of each is told to all, and its changes; who leaves is forgotten', async () => {
    const roomId = newRoom();
    const [alice, bob, carol] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby'), editor(roomId, 'Carol')];
    await meet(alice, bob, carol);
    for (const each of [alice, bob, carol])
      await expect.poll(() => names(each), WAIT).toEqual(['Alice', 'Bobby', 'Carol']);
    bob.provider.awareness.setLocalStateField('name', 'Robert');
    await expect.poll(() => names(carol), WAIT).toEqual(['Alice', 'Carol', 'Robert']);
    bob.room.destroy(); // says no more
    await expect.poll(() => names(carol), WAIT).toEqual(['Alice', 'Carol']);
    carol.provider.destroy(); // its room goes on
    carol.provider.destroy();
    await expect.poll(() => names(alice), WAIT).toEqual(['Alice']);
    expect(carol.room.connectedSessions).toHaveLength(1);
  });

  test('undo takes back what is our own, and nothing of the others', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    await meet(alice, bob);
    const undo = new UndoManager(alice.doc.getText('text'));
    write(alice.doc, 0, 'of Alice');
    await expect.poll(() => textOf(bob.doc), WAIT).toBe('of Alice');
    write(bob.doc, 8, ', of Bob');
    await expect.poll(() => textOf(alice.doc), WAIT).toBe('of Alice, of Bob');
    undo.undo();
    expect(undo.canUndo()).toBe(false);
    for (const { doc } of [alice, bob]) await expect.poll(() => textOf(doc), WAIT).toBe(', of Bob');
  });

  test('what comes from others is not local, and its origin is the peer', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    await meet(alice, bob);
    const seen: unknown[] = [];
    bob.doc.on('update', (_update, origin, _doc, { local }) => seen.push([local, origin]));
    write(alice.doc, 0, 'of Alice');
    await expect.poll(() => textOf(bob.doc), WAIT).toBe('of Alice');
    expect(seen).toEqual([[false, bob.room.peers.get(alice.room.sessionId)]]);
  });

  test('an awareness of the app’s own is used, and goes on when the provider ends', async () => {
    const roomId = newRoom();
    const [room, doc] = [member(roomId, 'Alice'), new Doc()];
    const awareness = new Awareness(doc);
    awareness.setLocalState({ name: 'Alice' });
    const provider = new YjsProvider(room, doc, { awareness });
    expect(provider.awareness).toBe(awareness);
    const bob = editor(roomId, 'Bobby');
    bob.provider.awareness.setLocalState({ name: 'Bobby' });
    for (const each of [room, bob.room]) await each.start();
    for (const each of [bob, { room, doc, provider }])
      await expect.poll(() => names(each), WAIT).toEqual(['Alice', 'Bobby']);
    const states: unknown[] = [];
    awareness.on(
      'update',
      (_change: unknown, origin: unknown) => origin === 'local' && states.push(awareness.getLocalState()),
    );
    provider.destroy();
    expect(names({ room, doc, provider })).toEqual(['Alice']); // not Bobby, of whom nothing more is heard
    awareness.setLocalState({ name: 'Alice, elsewhere' });
    expect(states).toEqual([null, { name: 'Alice' }, { name: 'Alice, elsewhere' }]);
    await expect.poll(() => names(bob), WAIT).toEqual(['Bobby']);
    awareness.destroy();
  });

  test('an awareness of the app’s own goes from provider to provider, as in React’s StrictMode', async () => {
    const roomId = newRoom();
    const [room, doc] = [member(roomId, 'Alice'), new Doc()];
    const awareness = new Awareness(doc);
    awareness.setLocalState({ name: 'Alice' });
    const bob = editor(roomId, 'Bobby');
    bob.provider.awareness.setLocalState({ name: 'Bobby' });
    new YjsProvider(room, doc, { awareness }).destroy();
    new YjsProvider(room, doc, { awareness });
    for (const each of [room, bob.room]) await each.start();
    await expect.poll(() => names(bob), WAIT).toEqual(['Alice', 'Bobby']);
    doc.destroy();
    await expect.poll(() => names(bob), WAIT).toEqual(['Bobby']);
  });

  test('a document that is destroyed ends its provider, and the others forget it', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    await meet(alice, bob);
    await expect.poll(() => names(alice), WAIT).toEqual(['Alice', 'Bobby']);
    bob.doc.destroy();
    await expect.poll(() => names(alice), WAIT).toEqual(['Alice']);
    expect(bob.room.listenerCount('msg')).toBe(0);
    expect(bob.room.connectedSessions).toHaveLength(1);
  });

  test('what each edits while it is away is in both when it is back', async () => {
    const roomId = newRoom();
    const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
    await alice.room.start();
    await bob.room.start();
    write(alice.doc, 0, 'both ');
    await expect.poll(() => textOf(bob.doc), WAIT).toBe('both ');
    bob.room.destroy();
    await expect.poll(() => alice.room.peers.size, WAIT).toBe(0);
    expect(alice.provider.synced).toBe(false);
    write(alice.doc, 5, 'online ');
    bob.doc.getText('text').delete(0, 1);
    write(bob.doc, 0, 'B');
    await bob.room.start();
    for (const { doc } of [alice, bob]) await expect.poll(() => textOf(doc), WAIT).toBe('Both online ');
  });

  test('two documents in a room, beside messages of the app, with providers made before and after they meet', async () => {
    const roomId = newRoom();
    const [alice, bob] = [member(roomId, 'Alice'), member(roomId, 'Bobby')];
    const heard: string[] = [];
    bob.on('msg', (_peer, data) => {
      if (!isYjsMessage(data)) heard.push(new TextDecoder().decode(data));
    });
    const doc = (room: P2PCF, name: string): [Doc, YjsProvider] => {
      const made = new Doc();
      return [made, new YjsProvider(room, made, { name })];
    };
    const [notesOfAlice] = doc(alice, 'notes');
    write(notesOfAlice, 0, 'a note');
    await Promise.all([alice.start(), bob.start()]);
    await expect.poll(() => bob.connectedSessions.length, WAIT).toBe(1);
    await expect.poll(() => alice.connectedSessions.length, WAIT).toBe(1);
    // Alice has greeted, or was not greeted, by now; and Bob has nobody to answer.
    const [notesOfBob, first] = doc(bob, 'notes');
    write(notesOfBob, 0, 'b');
    const [todoOfBob] = doc(bob, 'todo');
    const [todoOfAlice] = doc(alice, 'todo');
    write(todoOfBob, 0, 'todo');
    await expect.poll(() => textOf(todoOfAlice), WAIT).toBe('todo');
    await expect.poll(() => textOf(notesOfAlice).length, WAIT).toBe(7);
    await expect.poll(() => textOf(notesOfBob), WAIT).toBe(textOf(notesOfAlice));
    first.destroy();
    write(notesOfBob, 0, 'c');
    new YjsProvider(bob, notesOfBob, { name: 'notes' });
    await expect.poll(() => textOf(notesOfAlice), WAIT).toBe(textOf(notesOfBob));
    for (const message of ['', 'a', '\0yj', 'no mark']) await alice.broadcast(message);
    await expect.poll(() => heard, WAIT).toEqual(['', 'a', '\0yj', 'no mark']);
  });

  test('two with no way to each other hear of each other by a third', async () => {
    const roomId = newRoom();
    const [alice, bob, carol] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby'), editor(roomId, 'Carol')];
    for (const each of [alice, bob, carol]) await each.room.start();
    for (const { room } of [alice, bob, carol]) await expect.poll(() => room.connectedSessions.length, WAIT).toBe(2);
    // As if they had none: neither sends to the other.
    for (const [from, to] of [
      [alice, carol],
      [carol, alice],
    ] as const) {
      const send = from.room.send.bind(from.room);
      from.room.send = (peer, ...rest) => (peer.id === to.room.sessionId ? Promise.resolve() : send(peer, ...rest));
    }
    write(alice.doc, 0, 'by way of Bob');
    await expect.poll(() => textOf(carol.doc), WAIT).toBe('by way of Bob');
  });
});

test('a message that makes no sense does no harm', async () => {
  const roomId = newRoom();
  const [alice, bob] = [editor(roomId, 'Alice'), member(roomId, 'Bobby')];
  await alice.room.start();
  await bob.start();
  await expect.poll(() => bob.connectedSessions.length, WAIT).toBe(1);
  const mark = [0, 121, 106, 115];
  for (const bytes of [[], [9], [0], [0, 0], [0, 0, 2, 200], [0, 0, 9], [0, 1, 5, 1], [0, 7, 7], [0, 2, 0, 255]])
    await bob.broadcast(Uint8Array.of(...mark, ...bytes));
  write(alice.doc, 0, 'unharmed');
  const copy = new Doc();
  new YjsProvider(bob, copy);
  await expect.poll(() => textOf(copy), WAIT).toBe('unharmed');
});

/** What a member says that has written its own provider. */
const SYNC = 0;
const AWARENESS = 1;
const HELLO = 2;
function say(room: P2PCF, type: number, payload: Uint8Array): Promise<void> {
  return room.broadcast(Uint8Array.from([0, 121, 106, 115, 0, type, ...payload]));
}

/** An awareness update of a chosen id and clock. */
function awarenessOf(entries: [id: number, clock: number, state: unknown][]): Uint8Array {
  const encoder = createEncoder();
  writeVarUint(encoder, entries.length);
  for (const [id, clock, state] of entries) {
    writeVarUint(encoder, id);
    writeVarUint(encoder, clock);
    writeVarString(encoder, JSON.stringify(state));
  }
  const update = createEncoder();
  writeVarUint8Array(update, toUint8Array(encoder));
  return toUint8Array(update);
}

test('nobody speaks for somebody else in the awareness, nor under more than one id', async () => {
  const roomId = newRoom();
  const [alice, bob, mallory] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby'), member(roomId, 'Mallory')];
  for (const each of [alice, bob]) each.provider.awareness.setLocalState({ name: each.room.clientId });
  for (const room of [alice.room, bob.room, mallory]) await room.start();
  for (const each of [alice, bob]) await expect.poll(() => names(each), WAIT).toEqual(['Alice', 'Bobby']);
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(2);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  for (const { doc } of [alice, bob])
    for (const state of [{ name: 'Mallory' }, null])
      await say(mallory, AWARENESS, awarenessOf([[doc.clientID, 2 ** 50, state]]));
  const many = Array.from({ length: 1000 }, (_, n): [number, number, unknown] => [n, 1, { name: `Mallory ${n}` }]);
  await say(mallory, AWARENESS, awarenessOf(many));
  await say(mallory, AWARENESS, awarenessOf([[7, 1, { name: 'Mallory herself' }]]));
  await say(mallory, AWARENESS, awarenessOf([[8, 1, { name: 'Mallory again' }]]));
  alice.provider.awareness.setLocalState({ name: 'Alice B.' });
  bob.provider.awareness.setLocalState({ name: 'Bobby A.' });
  for (const each of [alice, bob])
    await expect.poll(() => names(each), WAIT).toEqual(['Alice B.', 'Bobby A.', 'Mallory herself']);
  warn.mockRestore();
  mallory.destroy();
  for (const each of [alice, bob]) await expect.poll(() => names(each), WAIT).toEqual(['Alice B.', 'Bobby A.']);
});

test('whoever brings an id first, in the awareness, keeps nobody out: both are shown, and are told apart', async () => {
  const roomId = newRoom();
  const [alice, bob, mallory] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby'), member(roomId, 'Mallory')];
  for (const each of [alice, bob]) each.provider.awareness.setLocalState({ name: each.room.clientId });
  const { clientID } = alice.provider.awareness;
  const idsOfAlice = (): number[] =>
    [...bob.provider.awareness.getStates()]
      .filter(([, { name }]) => String(name).startsWith('Alice'))
      .map(([id]) => id);
  for (const room of [bob.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  await say(mallory, AWARENESS, awarenessOf([[clientID, 1000, { name: 'Mallory' }]]));
  await expect.poll(() => names(bob), WAIT).toEqual(['Bobby', 'Mallory']);
  await alice.room.start();
  await expect.poll(() => names(bob), WAIT).toEqual(['Alice', 'Bobby', 'Mallory']);
  alice.provider.awareness.setLocalState({ name: 'Alice B.' });
  await expect.poll(() => names(bob), WAIT).toEqual(['Alice B.', 'Bobby', 'Mallory']);
  expect(idsOfAlice()).not.toContain(clientID);
  mallory.destroy();
  await expect.poll(() => names(bob), WAIT).toEqual(['Alice B.', 'Bobby']);
  alice.provider.awareness.setLocalState({ name: 'Alice C.' }); // nobody else has her id any more
  await expect.poll(() => names(bob), WAIT).toEqual(['Alice C.', 'Bobby']);
  expect(idsOfAlice()).toEqual([clientID]);
  alice.room.destroy();
  await expect.poll(() => names(bob), WAIT).toEqual(['Bobby']);
});

test('whoever closes a document, and opens it again as another Doc, is seen again', async () => {
  const roomId = newRoom();
  const [alice, bob] = [member(roomId, 'Alice'), editor(roomId, 'Bobby')];
  for (const room of [alice, bob.room]) await room.start();
  const seen = (): unknown[] =>
    [...bob.provider.awareness.getStates().values()].flatMap((state) => state['visit'] ?? []);
  for (const visit of [1, 2, 3]) {
    const doc = new Doc();
    const provider = new YjsProvider(alice, doc);
    provider.awareness.setLocalState({ visit });
    await expect.poll(seen, WAIT).toEqual([visit]);
    provider.destroy();
    doc.destroy();
    await expect.poll(seen, WAIT).toEqual([]);
  }
  expect(bob.provider.awareness.meta.size).toBeLessThanOrEqual(2); // of ids that are gone nothing is kept
});

test('an awareness update over 64 KiB is not even decoded', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  alice.provider.awareness.setLocalState({ name: 'Alice' });
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const parse = vi.spyOn(JSON, 'parse');
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  await say(mallory, AWARENESS, awarenessOf([[7, 1, { name: 'Mallory', more: 'x'.repeat(60_000) }]]));
  await expect.poll(() => names(alice), WAIT).toEqual(['Alice', 'Mallory']);
  await say(mallory, AWARENESS, awarenessOf([[7, 2, { name: 'Mallory, too large', more: 'x'.repeat(66_000) }]]));
  await expect.poll(() => warn.mock.calls, WAIT).toHaveLength(1);
  const longest = Math.max(...parse.mock.calls.map(([text]) => text.length));
  warn.mockRestore();
  parse.mockRestore();
  expect(names(alice)).toEqual(['Alice', 'Mallory']);
  expect(longest).toBeLessThan(2 ** 16);
});

test('an update in our name changes our id in the document, and our awareness goes on', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  alice.provider.awareness.setLocalState({ name: 'Alice' });
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const { clientID } = alice.doc;
  const forged = new Doc();
  forged.clientID = clientID;
  write(forged, 0, 'by Mallory in the name of Alice');
  const encoder = createEncoder();
  writeUpdate(encoder, encodeStateAsUpdate(forged));
  await say(mallory, SYNC, toUint8Array(encoder));
  await expect.poll(() => alice.doc.clientID, WAIT).not.toBe(clientID);
  const bob = editor(roomId, 'Bobby');
  await bob.room.start();
  await expect.poll(() => names(bob), WAIT).toContain('Alice');
  alice.provider.awareness.setLocalState({ name: 'Alice B.' });
  await expect.poll(() => names(bob), WAIT).toContain('Alice B.');
});

test('a peer that asks for the document again and again gets it as fast as it takes it, and no more is held', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  write(alice.doc, 0, 'x'.repeat(1_000_000));
  let [under, most, answers] = [0, 0, 0];
  const send = alice.room.send.bind(alice.room);
  alice.room.send = async (peer, data, onProgress) => {
    most = Math.max(most, ++under);
    answers++;
    await send(peer, data, onProgress).finally(() => under--);
  };
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const encoder = createEncoder();
  writeSyncStep1(encoder, new Doc());
  for (let n = 0; n < 200; n++) await say(mallory, SYNC, toUint8Array(encoder));
  const got = new Doc();
  new YjsProvider(mallory, got); // greets, and is answered after all that
  await expect.poll(() => textOf(got).length, WAIT).toBe(1_000_000);
  expect(most).toBeLessThan(10);
  expect(answers).toBeLessThan(100);
});

test('what waits for a peer that takes nothing is bounded, and it gets the rest when it does', async () => {
  const roomId = newRoom();
  const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
  for (const { room } of [alice, bob]) await room.start();
  await expect.poll(() => alice.provider.synced && bob.provider.synced, WAIT).toBe(true);
  const send = alice.room.send.bind(alice.room);
  const waiting: (() => void)[] = [];
  alice.room.send = async (...message) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    await send(...message);
  };
  for (let n = 0; n < 1000; n++) write(alice.doc, n, 'x');
  alice.provider.awareness.setLocalState({ name: 'Alice' });
  expect(waiting).toHaveLength(256);
  alice.room.send = send;
  for (const resolve of waiting) resolve();
  await expect.poll(() => textOf(bob.doc), WAIT).toBe('x'.repeat(1000));
  await expect.poll(() => names(bob), WAIT).toContain('Alice');
});

test('a greeting is one only if it is a question, and is answered once a second', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  write(alice.doc, 0, 'x');
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const looks = vi.spyOn(alice.doc.store.clients, 'forEach'); // for a state vector, among others
  let heard = 0;
  alice.room.on('msg', () => heard++);
  const answers: unknown[] = [];
  mallory.on('msg', (_peer, data) => answers.push(data));
  const [nothing, question] = [createEncoder(), createEncoder()];
  writeUpdate(nothing, encodeStateAsUpdate(new Doc()));
  writeSyncStep1(question, new Doc());
  for (let n = 0; n < 100; n++) await say(mallory, HELLO, toUint8Array(nothing));
  await expect.poll(() => heard, WAIT).toBe(100);
  expect(looks.mock.calls.length).toBe(0);
  for (let n = 0; n < 100; n++) await say(mallory, HELLO, toUint8Array(question));
  await expect.poll(() => heard, WAIT).toBe(200);
  expect(looks.mock.calls.length).toBeLessThan(20);
  looks.mockRestore();
  warn.mockRestore();
  const got = new Doc();
  new YjsProvider(mallory, got);
  await expect.poll(() => textOf(got), WAIT).toBe('x');
  expect(answers.length).toBeLessThan(20);
});

test('a question that makes no sense does no harm while another is being answered', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  write(alice.doc, 0, 'x'.repeat(3_000_000));
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const question = createEncoder();
  writeSyncStep1(question, new Doc());
  await say(mallory, SYNC, toUint8Array(question));
  await say(mallory, SYNC, Uint8Array.of(0, 1, 5)); // five clients are to follow
  await expect.poll(() => warn.mock.calls, WAIT).toHaveLength(1);
  warn.mockRestore();
});

test('a question that names ever so many authors is not read, nor kept', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const looks = vi.spyOn(alice.doc.store.clients, 'forEach'); // for what the other lacks
  const authors = createEncoder();
  writeVarUint(authors, 400_000);
  for (let id = 2 ** 28; id < 2 ** 28 + 400_000; id++) for (const number of [id, 1]) writeVarUint(authors, number);
  const question = createEncoder();
  writeVarUint(question, 0); // step 1
  writeVarUint8Array(question, toUint8Array(authors));
  await say(mallory, SYNC, toUint8Array(question));
  await expect.poll(() => warn.mock.calls.length, WAIT).toBe(1);
  expect(looks).not.toHaveBeenCalled();
  warn.mockRestore();
});

/** The updates of somebody who writes at the beginning again and again, so that each builds on the one before. */
function updatesOf(...texts: string[]): { doc: Doc; updates: Uint8Array[] } {
  const [doc, updates]: [Doc, Uint8Array[]] = [new Doc(), []];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (const text of texts) write(doc, 0, text);
  return { doc, updates };
}

test('an update that claims to have more than it has is not even taken up', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const update = createEncoder();
  for (const number of [1, 2 ** 25 - 1, 7, 0]) writeVarUint(update, number); // of one client so many parts, for which Yjs makes room
  const encoder = createEncoder();
  writeUpdate(encoder, toUint8Array(update));
  let heard = 0;
  alice.room.on('msg', () => heard++);
  const began = performance.now();
  for (let n = 0; n < 200; n++) await say(mallory, SYNC, toUint8Array(encoder));
  await expect.poll(() => heard, WAIT).toBe(200);
  expect(performance.now() - began).toBeLessThan(5_000); // a tenth of a second each, and more, if it makes room
  expect(warn.mock.calls).toHaveLength(1);
  warn.mockRestore();
  const { doc, updates } = updatesOf('some', 'thing');
  for (const each of updates) {
    const encoder = createEncoder();
    writeUpdate(encoder, each);
    await say(mallory, SYNC, toUint8Array(encoder));
  }
  await expect.poll(() => textOf(alice.doc), WAIT).toBe(textOf(doc));
});

/** An update with a text that an app can embed, as Yjs writes it, in place of the empty object there. */
function embedding(json: string): Uint8Array {
  const doc = new Doc();
  doc.getText('text').insertEmbed(0, {});
  const update = encodeStateAsUpdate(doc);
  const at = update.findIndex((byte, index) => byte === 2 && update[index + 1] === 0x7b && update[index + 2] === 0x7d);
  const encoder = createEncoder();
  writeUint8Array(encoder, update.subarray(0, at));
  writeVarString(encoder, json);
  writeUint8Array(encoder, update.subarray(at + 3));
  return toUint8Array(encoder);
}

/** An update of one author with so many parts, each as long as it can be. */
function endless(parts: number): Uint8Array {
  const encoder = createEncoder();
  for (const number of [1, parts, 7, 0]) writeVarUint(encoder, number);
  for (let n = 0; n < parts; n++) for (const number of [0, Number.MAX_SAFE_INTEGER]) writeVarUint(encoder, number);
  writeVarUint(encoder, 0); // no deletions
  return toUint8Array(encoder);
}

/** An update that deletes nearly all of an author whom nobody knows, and then its beginning once more. */
function disorderly(): Uint8Array {
  const encoder = createEncoder();
  for (const number of [0, 1, 7, 2, 0, Number.MAX_SAFE_INTEGER - 5, 0, 1]) writeVarUint(encoder, number);
  return toUint8Array(encoder);
}

/** An update of one author that forgets one part, and then twice nothing. */
const empty = (): Uint8Array => Uint8Array.of(1, 3, 7, 0, 0, 1, 0, 0, 0, 0, 0);

/** An update of so many maps, each in the one before, all of which are deleted. */
function nested(count: number): Uint8Array {
  const encoder = createEncoder();
  for (const number of [1, count, 7, 0]) writeVarUint(encoder, number);
  for (let n = 0; n < count; n++) {
    writeVarUint(encoder, 7 | 32); // a shared type that has a key
    writeVarUint(encoder, n === 0 ? 1 : 0);
    if (n === 0) writeVarString(encoder, 'map');
    else for (const number of [7, n - 1]) writeVarUint(encoder, number);
    writeVarString(encoder, 'key');
    writeVarUint(encoder, 1);
  }
  for (const number of [1, 7, 1, 0, count]) writeVarUint(encoder, number);
  return toUint8Array(encoder);
}

test.each([
  ['nests values too deeply', 'It is nested too deeply.', embedding(`${'['.repeat(20_000)}${']'.repeat(20_000)}`)],
  ['counts too far', 'It counts too far.', endless(1_000)],
  ['deletes too disorderly', 'Its deletions are in disorder.', disorderly()],
  ['nests shared types too deeply', 'It nests shared types too deeply.', nested(5_000)],
  ['has too many parts of no length', 'It has parts that are nothing.', empty()],
])(
  'an update that %s to be written again is not taken: who comes later gets the document',
  async (_, fault, update) => {
    const roomId = newRoom();
    const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
    write(alice.doc, 0, 'unharmed');
    for (const room of [alice.room, mallory]) await room.start();
    await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const encoder = createEncoder();
    writeUpdate(encoder, update);
    await say(mallory, SYNC, toUint8Array(encoder));
    await expect.poll(() => warn.mock.calls.map(([, error]) => error?.message), WAIT).toEqual([fault]);
    warn.mockRestore();
    mallory.destroy();
    const bob = editor(roomId, 'Bobby');
    await bob.room.start();
    await expect.poll(() => textOf(bob.doc), WAIT).toBe('unharmed');
  },
);

test('values nested as deeply as any app has them are taken', async () => {
  const roomId = newRoom();
  const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
  applyUpdate(alice.doc, embedding(`${'['.repeat(900)}${']'.repeat(900)}`));
  for (const { room } of [alice, bob]) await room.start();
  await expect.poll(() => bob.doc.getText('text').length, WAIT).toBe(1);
});

test('what builds on what is missing is kept up to a limit, and comes with an answer all the same', async () => {
  const roomId = newRoom();
  const [alice, mallory] = [editor(roomId, 'Alice'), member(roomId, 'Mallory')];
  for (const room of [alice.room, mallory]) await room.start();
  await expect.poll(() => mallory.connectedSessions.length, WAIT).toBe(1);
  const merged: number[] = [];
  const kept = new Set<Uint8Array>();
  alice.room.on('msg', () => {
    const { update } = alice.doc.store.pendingStructs ?? {};
    if (update && !kept.has(update)) merged.push(update.length);
    if (update) kept.add(update);
  });
  const { doc, updates } = updatesOf('missing', 'x'.repeat(100_000), ...'y'.repeat(200));
  let heard = 0;
  alice.room.on('msg', () => heard++);
  for (const update of updates.slice(1)) {
    const encoder = createEncoder();
    writeUpdate(encoder, update);
    await say(mallory, SYNC, toUint8Array(encoder));
  }
  await expect.poll(() => heard, WAIT).toBe(201);
  expect(merged.reduce((sum, length) => sum + length, 0)).toBeLessThan(2 ** 16);
  expect(textOf(alice.doc)).toBe('');
  new YjsProvider(mallory, doc); // says what is true
  await expect.poll(() => textOf(alice.doc), WAIT).toBe(textOf(doc));
});

test('whoever has lost a large message catches up while both stay connected', async () => {
  const roomId = newRoom();
  const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
  for (const { room } of [alice, bob]) await room.start();
  await expect.poll(() => alice.provider.synced && bob.provider.synced, WAIT).toBe(true);
  const send = alice.room.send.bind(alice.room);
  alice.room.send = () => Promise.resolve(); // is lost
  write(alice.doc, 0, 'lost; ');
  alice.room.send = send;
  write(alice.doc, 0, 'x'.repeat(100_000));
  write(alice.doc, 0, 'y');
  await expect.poll(() => textOf(bob.doc) === textOf(alice.doc), WAIT).toBe(true);
  await expect.poll(() => bob.provider.synced, WAIT).toBe(true);
  write(alice.doc, 0, 'z'); // is taken at once
  await expect.poll(() => textOf(bob.doc)[0], WAIT).toBe('z');
});

test('what one could not keep it gets when the other can place it, also where it has brought what was missing', async () => {
  const roomId = newRoom();
  const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
  const { doc, updates } = updatesOf('missing', 'x'.repeat(100_000));
  const [missing = new Uint8Array(), rest = new Uint8Array()] = updates;
  applyUpdate(alice.doc, rest);
  for (const { room } of [alice, bob]) await room.start();
  await expect.poll(() => bob.provider.synced, WAIT).toBe(true);
  applyUpdate(bob.doc, missing); // by another provider of his
  for (const each of [alice, bob]) await expect.poll(() => textOf(each.doc) === textOf(doc), WAIT).toBe(true);
});

test('nothing is encoded for a peer that takes nothing', async () => {
  const roomId = newRoom();
  const [alice, bob] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby')];
  for (const { room } of [alice, bob]) await room.start();
  await expect.poll(() => alice.provider.synced && bob.provider.synced, WAIT).toBe(true);
  alice.room.send = () => new Promise(() => undefined);
  for (let n = 0; n < 300; n++) write(alice.doc, n, 'x');
  const toJSON = vi.fn(() => ({ name: 'Alice' }));
  alice.provider.awareness.setLocalState({ toJSON });
  expect(toJSON).not.toHaveBeenCalled();
});
