import type { Place, Posting, Removal } from '../room/room.ts';

/**
 * What outlives its socket, or has none: a row each for places held, for what pollers have posted, and for those who
 * have been removed. Where nobody drops, polls or is removed, there is none, and no table either.
 *
 * Past the day's free quota reading and writing fail (2026-11). Then what is in memory is right for as long as the room
 * is awake; what cannot be read is not there; and what could not be deleted is read again, and has lapsed by then, or
 * soon.
 *
 * What has lapsed is read like the rest: the others are told who it was, and there is no list of keys alone (2026-11).
 * How much it may be, the room decides before it is written.
 */
export class Rows {
  readonly places: RowsOfKind<Place>;
  readonly postings: RowsOfKind<Posting>;
  readonly removals: RowsOfKind<Removal>;

  constructor(storage: DurableObjectStorage) {
    this.places = new RowsOfKind(storage, 'place:', ({ id }) => id);
    this.postings = new RowsOfKind(storage, 'poller:', ({ contextId }) => contextId);
    this.removals = new RowsOfKind(storage, 'removed:', ({ bearer }) => bearer);
  }

  /** When the first of them lapses, in ms since the epoch, overdue or not. Infinity when there is none. */
  nextDue(): number {
    const places = this.places.all().map(({ until }) => until);
    const postings = this.postings.all().map(({ expiresAt }) => expiresAt);
    const removals = this.removals.all().map(({ until }) => until);
    return Math.min(...places, ...postings, ...removals);
  }
}

/** The rows under one prefix, read once while the room is awake. */
class RowsOfKind<R> {
  readonly #storage: DurableObjectStorage;
  readonly #prefix: string;
  readonly #idOf: (row: R) => string;
  #rows: Map<string, R> | undefined;

  constructor(storage: DurableObjectStorage, prefix: string, idOf: (row: R) => string) {
    this.#storage = storage;
    this.#prefix = prefix;
    this.#idOf = idOf;
  }

  all(): readonly R[] {
    return [...this.#read().values()];
  }

  /** In place of the row with the same id. Returns false for a row that will not outlive this waking. */
  keep(row: R): boolean {
    if (this.store(row)) return true;
    this.#read().set(this.#prefix + this.#idOf(row), row);
    return false;
  }

  /** The same, but a row that would not outlive this waking is not kept at all. */
  store(row: R): boolean {
    const key = this.#prefix + this.#idOf(row);
    const rows = this.#read();
    const isStored = this.#succeeds(() => this.#storage.kv.put(key, row));
    if (isStored) rows.set(key, row);
    return isStored;
  }

  drop(row: R): void {
    const key = this.#prefix + this.#idOf(row);
    if (this.#read().delete(key)) this.#succeeds(() => this.#storage.kv.delete(key));
  }

  #read(): Map<string, R> {
    if (!this.#rows) {
      this.#rows = new Map();
      this.#succeeds(() => {
        this.#rows = new Map(this.#storage.kv.list<R>({ prefix: this.#prefix }));
      });
    }
    return this.#rows;
  }

  #succeeds(access: () => void): boolean {
    try {
      access();
      return true;
    } catch {
      return false;
    }
  }
}
