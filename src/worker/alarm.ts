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
   * alarm has just come. It is never put off, which would be billed as a row each time: it comes, finds what has been
   * posted anew meanwhile, and is set again. When there are no rows, nothing is left in the room's storage.
   */
  follow(before: number, next: number, now: number): void {
    if (next === before) return;
    // The alarm goes with the rest (from compatibility date 2026-02-24).
    // Past the day's free writes neither is possible: then what is stored lapses when somebody looks.
    if (next === Number.POSITIVE_INFINITY) this.#storage.deleteAll().catch(() => undefined);
    else if (next < before || before < now) this.#storage.setAlarm(next).catch(() => undefined);
  }
}
