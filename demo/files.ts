/** Files, sent to everybody in parts, each to be cancelled by either side. */
import type { Peer } from '../src/client/index.ts';
import { show } from './chat.ts';
import { announce } from './dom.ts';
import { FileCard } from './file-card.ts';
import { encode, type Message } from './wire.ts';

/** Bytes in one message: chat gets its turn between two of them. */
const PART_BYTES = 65_536;

/** Most bytes of files that this page takes, as it holds them in memory. */
const MAX_TAKEN_BYTES = 512 * 1024 * 1024;

type Part<Type extends Message['type']> = Extract<Message, { type: Type }>;

interface Sending {
  /** Those who still want it, and how many bytes each has got. */
  sent: Map<Peer, number>;
  isWithdrawn: boolean;
}

interface Receiving {
  card: FileCard;
  parts: Uint8Array<ArrayBuffer>[];
  got: number;
  size: number;
}

const sendings = new Map<number, Sending>();
const receivings = new Map<Peer, Map<number, Receiving>>();
let lastId = 0;
let takenBytes = 0;

/** Sends a file to these peers. */
export async function sendFile(file: File, peers: Peer[]): Promise<void> {
  const id = ++lastId;
  const sending: Sending = { sent: new Map(peers.map((peer) => [peer, 0])), isWithdrawn: false };
  sendings.set(id, sending);
  const card = new FileCard('You', file.name, file.size, () => {
    sending.isWithdrawn = true;
    card.end('Cancelled');
  });
  show(card.item, false);
  await Promise.all(peers.map((peer) => sendTo(peer, id, file, sending, card)));
  sendings.delete(id);
  if (sending.isWithdrawn) return;
  if (sending.sent.size > 0) card.complete(file);
  else card.end(peers.length === 1 ? 'The other did not take it' : 'Nobody took it');
}

async function sendTo(peer: Peer, id: number, file: File, sending: Sending, card: FileCard): Promise<void> {
  const { sent } = sending;
  try {
    await peer.send(encode({ type: 'file', id, name: file.name, size: file.size, kind: file.type }));
    for (let at = 0; at < file.size; at += PART_BYTES) {
      const bytes = new Uint8Array(await file.slice(at, at + PART_BYTES).arrayBuffer());
      if (!sent.has(peer)) return; // it has refused
      if (sending.isWithdrawn) {
        await peer.send(encode({ type: 'withdraw', id }));
        return;
      }
      await peer.send(encode({ type: 'part', id, bytes }));
      if (sent.has(peer)) sent.set(peer, at + bytes.length);
      card.progress(Math.min(...sent.values()));
    }
  } catch {
    sent.delete(peer); // it is gone, or the file has changed on our disk
    peer.send(encode({ type: 'withdraw', id })).catch(() => undefined);
  }
}

/** Takes what a peer says about files. */
export function takeFile(peer: Peer, from: string, message: Part<'file' | 'part' | 'withdraw' | 'refuse'>): void {
  const { type, id } = message;
  if (type === 'refuse') sendings.get(id)?.sent.delete(peer);
  else if (type === 'file') begin(peer, from, message);
  else if (type === 'part') takePart(peer, id, message.bytes);
  else end(peer, id, 'Cancelled by the sender');
}

/** A peer is gone, and with it what it was sending. */
export function forget(peer: Peer): void {
  for (const id of [...(receivings.get(peer)?.keys() ?? [])]) end(peer, id, 'The sender is gone');
  for (const { sent } of sendings.values()) sent.delete(peer);
}

function begin(peer: Peer, from: string, { id, name, size, kind }: Part<'file'>): void {
  end(peer, id, 'Cancelled by the sender');
  const refuse = (reason: string): void => {
    end(peer, id, reason);
    peer.send(encode({ type: 'refuse', id })).catch(() => undefined);
  };
  const card = new FileCard(from, name, size, () => refuse('Cancelled'), kind);
  show(card.item, true);
  const all = receivings.get(peer) ?? new Map<number, Receiving>();
  receivings.set(peer, all.set(id, { card, parts: [], got: 0, size }));
  takenBytes += size;
  if (takenBytes > MAX_TAKEN_BYTES) refuse('Too large: this page takes 512 MB in all');
  else if (size === 0) complete(peer, id, card, []);
}

function takePart(peer: Peer, id: number, bytes: Uint8Array<ArrayBuffer>): void {
  const receiving = receivings.get(peer)?.get(id);
  if (!receiving) return; // we have refused it
  const { card, parts, size } = receiving;
  receiving.got += bytes.length;
  if (receiving.got > size) {
    end(peer, id, 'More came than was announced');
    return;
  }
  parts.push(bytes);
  card.progress(receiving.got);
  if (receiving.got === size) complete(peer, id, card, parts);
}

function complete(peer: Peer, id: number, card: FileCard, parts: Uint8Array<ArrayBuffer>[]): void {
  receivings.get(peer)?.delete(id);
  card.complete(new Blob(parts));
  announce(`${card.name} is here.`);
}

function end(peer: Peer, id: number, reason: string): void {
  const receiving = receivings.get(peer)?.get(id);
  if (!receiving) return;
  receivings.get(peer)?.delete(id);
  takenBytes -= receiving.size;
  receiving.card.end(reason);
}
