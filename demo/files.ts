/** Files, sent to everybody in parts, each to be cancelled by either side. */
import type { Peer } from '../src/client/index.ts';
import { showLine } from './chat.ts';
import { announce } from './dom.ts';
import { FileCard } from './file-card.ts';
import { type Incoming, Intake, MAX_UNDER_WAY, PART_BYTES, TOO_LARGE } from './intake.ts';
import { tidyFileName, YOU } from './names.ts';
import { Turns } from './turns.ts';
import { encode, type Message } from './wire.ts';

/** Most refusals that wait to be sent to a peer, which may read none of them. */
const MAX_REFUSALS = 100;

type Part<Type extends Message['type']> = Extract<Message, { type: Type }>;

interface Sending {
  /** The people who still want it, and how many bytes each has got. */
  sent: Map<Peer, number>;
  isWithdrawn: boolean;
}

const sendings = new Map<number, Sending>();
const turns = new WeakMap<Peer, Turns>();
const intake = new Intake<Peer, FileCard>();
const refusals = new WeakMap<Peer, number>();
let lastId = 0;

/** Sends a file to these peers. */
export async function sendFile(file: File, peers: Peer[]): Promise<void> {
  const id = ++lastId;
  const sending: Sending = { sent: new Map(peers.map((peer) => [peer, 0])), isWithdrawn: false };
  sendings.set(id, sending);
  const cancel = (): void => {
    sending.isWithdrawn = true;
    card.end('Cancelled');
  };
  const name = tidyFileName(file.name);
  const card = new FileCard({ from: YOU, isOwn: true, name, size: file.size, kind: file.type, cancel });
  showLine(card, false);
  await Promise.all(peers.map((peer) => sendInTurn(peer, id, file, sending, card)));
  sendings.delete(id);
  if (sending.isWithdrawn) return;
  if (sending.sent.size > 0) card.complete([file]);
  else card.end(peers.length === 1 ? 'The other did not take it' : 'Nobody took it');
}

/** The other refuses what is more than so many at a time. */
async function sendInTurn(peer: Peer, id: number, file: File, sending: Sending, card: FileCard): Promise<void> {
  const line = turns.get(peer) ?? new Turns(MAX_UNDER_WAY);
  turns.set(peer, line);
  await line.wait();
  if (!sending.isWithdrawn) await sendTo(peer, id, file, sending, card);
  line.next();
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
  for (const id of intake.idsOf(peer)) end(peer, id, 'The sender is gone');
  for (const { sent } of sendings.values()) sent.delete(peer);
}

function begin(peer: Peer, from: string, { id, name, size, kind }: Part<'file'>): void {
  end(peer, id, 'Cancelled by the sender');
  if (intake.isBusy(peer)) {
    tellRefusal(peer, id); // and nobody else: a card for each would be in the way of the chat
    return;
  }
  const cancel = (): void => refuse(peer, id, 'Cancelled');
  const gone = (): void => {
    if (intake.find(peer, id) === incoming) cancel();
    intake.release(incoming);
  };
  const card = new FileCard({ from, isOwn: false, name, size, kind, cancel, gone });
  const incoming = intake.begin(peer, id, size, card);
  showLine(card, true);
  if (intake.isTooLarge(incoming)) refuse(peer, id, TOO_LARGE);
  else if (size === 0) complete(peer, id, incoming);
}

function takePart(peer: Peer, id: number, bytes: Uint8Array<ArrayBuffer>): void {
  const incoming = intake.find(peer, id);
  if (!incoming) return; // we have refused it
  const fault = intake.take(incoming, bytes);
  if (fault) {
    refuse(peer, id, fault);
    return;
  }
  incoming.card.progress(incoming.got);
  if (incoming.got === incoming.size) complete(peer, id, incoming);
}

function complete(peer: Peer, id: number, incoming: Incoming<FileCard>): void {
  intake.end(peer, id);
  incoming.card.complete(incoming.parts);
  incoming.parts = []; // the card has them
  announce(`${incoming.card.name} is here.`);
}

/** Takes no more of it. */
function refuse(peer: Peer, id: number, reason: string): void {
  end(peer, id, reason);
  tellRefusal(peer, id);
}

function tellRefusal(peer: Peer, id: number): void {
  const count = refusals.get(peer) ?? 0;
  if (count >= MAX_REFUSALS) return;
  refusals.set(peer, count + 1);
  const told = (): void => void refusals.set(peer, (refusals.get(peer) ?? 1) - 1);
  peer.send(encode({ type: 'refuse', id })).then(told, told);
}

function end(peer: Peer, id: number, reason: string): void {
  const incoming = intake.find(peer, id);
  if (!incoming) return;
  intake.end(peer, id);
  intake.release(incoming);
  incoming.card.end(reason);
}
