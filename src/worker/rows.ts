import type { PendingOffer, Place, Posting } from '../room/room.ts';

/**
 * What outlives its socket, or has none: a row each for places held, for what pollers have posted, and for what sockets
 * have offered to pollers. Where nobody drops and nobody polls, there is none, and no table either.
 */
export class Rows {
  readonly places: RowsOfKind<Place>;
  readonly postings: RowsOfKind<Posting>;
  /** They go with their poller. */
  readonly offers: RowsOfKind<PendingOffer>;

  constructor(storage: DurableObjectStorage) {
    this.places = new RowsOfKind(storage, 'place:', ({ id }) => id);
    this.postings = new RowsOfKind(storage, 'poller:', ({ contextId }) => contextId);
    // A line break is in no id.
    this.offers = new RowsOfKind(storage, 'crossing:', ({ pollerId, socketId }) => `${pollerId}\n${socketId}`);
  }

  /** When the first of them lapses, in ms since the epoch, be it overdue or not. Infinity when there is none. */
  nextDue(): number {
    const places = this.places.all().map(({ until }) => until);
    const postings = this.postings.all().map(({ expiresAt }) => expiresAt);
    return Math.min(...places, ...postings);
  }
}

/**
 * The rows under one prefix, read once while the room is awake. Writing fails past the day's free writes (2026-11): then
 * what is in memory is right for as long as the room is awake, and what is read again has lapsed by then, or soon after.
 */
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
    const key = this.#prefix + this.#idOf(row);
    this.#read().set(key, row);
    return succeeds(() => this.#storage.kv.put(key, row));
  }

  drop(row: R): void {
    const key = this.#prefix + this.#idOf(row);
    if (this.#read().delete(key)) succeeds(() => this.#storage.kv.delete(key));
  }

  #read(): Map<string, R> {
    this.#rows ??= new Map(this.#storage.kv.list<R>({ prefix: this.#prefix }));
    return this.#rows;
  }
}

function succeeds(write: () => void): boolean {
  try {
    write();
    return true;
  } catch {
    return false;
  }
}
