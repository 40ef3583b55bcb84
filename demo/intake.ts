/**
 * What this page takes of files that others send: how many at a time, in which parts, and how much in all. It only
 * decides; files.ts acts.
 */

/** Bytes in one part of a file, but for its last: chat gets its turn between two of them. */
export const PART_BYTES = 65_536;

/** Most files that are under way from one to another at a time. */
export const MAX_UNDER_WAY = 20;

/** Most bytes of files that a page holds in memory. */
export const MAX_HELD_BYTES = 512 * 1024 * 1024;

/** A file on its way to us. */
export interface Incoming<Card> {
  readonly card: Card;
  readonly size: number;
  /** Bytes of it that are here, and that we hold. */
  got: number;
  parts: Uint8Array<ArrayBuffer>[];
}

export class Intake<Sender extends object, Card> {
  readonly #underWay = new WeakMap<Sender, Map<number, Incoming<Card>>>();
  /** What has come and is not let go. What is announced alone counts for nothing: to say a number costs nothing. */
  #held = 0;

  /** Whether it has as many files under way as it may have. */
  isBusy(sender: Sender): boolean {
    return this.idsOf(sender).length >= MAX_UNDER_WAY;
  }

  idsOf(sender: Sender): number[] {
    return [...(this.#underWay.get(sender)?.keys() ?? [])];
  }

  find(sender: Sender, id: number): Incoming<Card> | undefined {
    return this.#underWay.get(sender)?.get(id);
  }

  begin(sender: Sender, id: number, size: number, card: Card): Incoming<Card> {
    const incoming: Incoming<Card> = { card, size, got: 0, parts: [] };
    const all = this.#underWay.get(sender) ?? new Map<number, Incoming<Card>>();
    this.#underWay.set(sender, all.set(id, incoming));
    return incoming;
  }

  /** Whether the rest of a file, all of it at first, finds no place beside what is held. */
  isTooLarge({ size, got }: Incoming<Card>): boolean {
    return this.#held + size - got > MAX_HELD_BYTES;
  }

  /** Takes a part, or says why the file cannot go on. */
  take(incoming: Incoming<Card>, bytes: Uint8Array<ArrayBuffer>): string | undefined {
    const rest = incoming.size - incoming.got;
    if (bytes.length > rest) return 'More came than was announced';
    // Each part takes some hundred bytes beside its own: a file in crumbs would take far more than its size.
    if (bytes.length < Math.min(PART_BYTES, rest)) return 'It came in parts that are too small';
    // Of two that found place, the other may have been the first to take it.
    if (this.isTooLarge(incoming)) return TOO_LARGE;
    incoming.got += bytes.length;
    this.#held += bytes.length;
    incoming.parts.push(bytes);
    return undefined;
  }

  /** Nothing more of it is to come. What has come is held until it is released. */
  end(sender: Sender, id: number): void {
    this.#underWay.get(sender)?.delete(id);
  }

  /** What has come of it is held no more. */
  release(incoming: Incoming<Card>): void {
    this.#held -= incoming.got;
    incoming.got = 0;
    incoming.parts = [];
  }
}

export const TOO_LARGE = `Too large: this page takes ${MAX_HELD_BYTES / 1024 / 1024} MB in all`;
