import { isLapsed, type Row } from '../room/board.ts';

const PREFIX = 'poller:';

/** The board's rows in the room's storage, one for each poller. Without pollers there is none, and no table either. */
export class BoardRows {
  readonly #storage: DurableObjectStorage;
  /** As stored; read once after the room wakes, when it is first asked for. */
  #rows: Map<string, Row> | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  all(): readonly Row[] {
    return [...this.#read().values()];
  }

  /** What a session has posted. */
  find(sessionId: string | undefined): Row | undefined {
    return this.all().find(({ entry }) => entry.sessionId === sessionId);
  }

  save(row: Row): void {
    this.#storage.kv.put(PREFIX + row.contextId, row);
    this.#read().set(row.contextId, row);
  }

  remove(contextId: string): void {
    this.#storage.kv.delete(PREFIX + contextId);
    this.#read().delete(contextId);
  }

  /** Deletes what is due at `now`. */
  lapse(now: number): void {
    for (const row of this.all()) if (isLapsed(row, now)) this.remove(row.contextId);
  }

  /** When the first row lapses, in ms since the epoch, be it overdue or not. Infinity when there is none. */
  nextExpiry(): number {
    return Math.min(...this.all().map(({ expiresAt }) => expiresAt));
  }

  #read(): Map<string, Row> {
    this.#rows ??= new Map([...this.#storage.kv.list<Row>({ prefix: PREFIX })].map(([, row]) => [row.contextId, row]));
    return this.#rows;
  }
}
