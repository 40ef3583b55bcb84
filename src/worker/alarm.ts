/** What the alarm needs of a room's storage. */
interface AlarmStorage {
  setAlarm(at: number): Promise<void>;
  deleteAll(): Promise<void>;
}

/** The room's one alarm: it comes when, or before, the first row is due. */
export class Alarm {
  readonly #storage: AlarmStorage;

  constructor(storage: AlarmStorage) {
    this.#storage = storage;
  }

  /**
   * The first row was due at `before` and is due at `next`, Infinity for none; `before` is Infinity as well when the
   * alarm has just come. It is never put off, which would be billed as a row each time: it comes, finds that postings
   * have been renewed meanwhile, and is set again. When there are no rows, nothing is left in the room's storage.
   */
  follow(before: number, next: number, now: number): void {
    if (next === before) return;
    // The alarm goes with the rest (from compatibility date 2026-02-24).
    if (next === Number.POSITIVE_INFINITY) attempt(() => this.#storage.deleteAll());
    else if (next < before || before < now) attempt(() => this.#storage.setAlarm(next));
  }
}

/** Past the day's free quota neither is possible (2026-11): then what is stored lapses when somebody looks. */
function attempt(write: () => Promise<void>): void {
  try {
    write().catch(() => undefined);
  } catch {
    // It may fail at once, too.
  }
}
