import { isLapsed, type Row } from '../room/board.ts';

const PREFIX = 'poller:';

/** The board's rows in the room's storage, one for each poller. Without pollers there is none, and no table either. */
export class BoardRows {
  readonly #ctx: DurableObjectState;
  /** As stored; read once after the room wakes, when it is first asked for. */
  #rows: Map<string, Row> | undefined;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  all(): readonly Row[] {
    return [...this.#read().values()];
  }

  save(row: Row): void {
    this.#ctx.storage.kv.put(PREFIX + row.contextId, row);
    this.#read().set(row.contextId, row);
  }

  remove(contextId: string): void {
    this.#ctx.storage.kv.delete(PREFIX + contextId);
    this.#read().delete(contextId);
  }

  /** Deletes what is due at `now`. */
  lapse(now: number): void {
    for (const row of this.all()) if (isLapsed(row, now)) this.remove(row.contextId);
  }

  /** When the next row lapses, in ms since the epoch, be it overdue or not. Undefined when there is none. */
  nextExpiry(): number | undefined {
    const rows = this.all();
    return rows.length === 0 ? undefined : Math.min(...rows.map(({ expiresAt }) => expiresAt));
  }

  #read(): Map<string, Row> {
    this.#rows ??= new Map(
      [...this.#ctx.storage.kv.list<Row>({ prefix: PREFIX })].map(([, row]) => [row.contextId, row]),
    );
    return this.#rows;
  }
}
