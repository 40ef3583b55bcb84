/** The provider for Yjs, between real peers in Node. */
import { createEncoder, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding';
import wrtc from 'node-datachannel/polyfill';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { writeSyncStep1, writeUpdate } from 'y-protocols/sync';
import { Doc, encodeStateAsUpdate } from 'yjs';
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

test('edits and awareness go both ways, a third that comes later gets all, and who leaves is forgotten', async () => {
  const roomId = newRoom();
  const [alice, bob, carol] = [editor(roomId, 'Alice'), editor(roomId, 'Bobby'), editor(roomId, 'Carol')];
  for (const each of [alice, bob, carol]) each.provider.awareness.setLocalState({ name: each.room.clientId });
  const synced: boolean[] = [];
  alice.provider.on('synced', (isSynced) => synced.push(isSynced));
  write(alice.doc, 0, 'made before anybody came');
  write(bob.doc, 0, '; ');
  await alice.room.start();
  await bob.room.start();
  await expect.poll(() => textOf(bob.doc).length, WAIT).toBe(26);
  await expect.poll(() => textOf(alice.doc), WAIT).toBe(textOf(bob.doc));
  await expect.poll(() => names(alice), WAIT).toEqual(['Alice', 'Bobby']);
  await expect.poll(() => [alice.provider.synced, bob.provider.synced], WAIT).toEqual([true, true]);
  expect(synced).toEqual([true]);
  write(bob.doc, 0, 'x'.repeat(100_000));
  await carol.room.start();
  for (const { doc } of [alice, carol]) await expect.poll(() => textOf(doc), WAIT).toBe(textOf(bob.doc));
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
function say(room: P2PCF, type: number, payload: Uint8Array): Promise<void> {
  return room.broadcast(Uint8Array.of(0, 121, 106, 115, 0, type, ...payload));
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
