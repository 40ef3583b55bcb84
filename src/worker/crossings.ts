import type { Crossing } from '../room/bridge.ts';

const PREFIX = 'crossing:';

/**
 * What sockets have offered to pollers, a row for each two of them: either may wait for the other through any number of
 * the room's sleeps. They go with the poller. Without pollers there is none.
 */
export class Crossings {
  readonly #storage: DurableObjectStorage;
  /** As stored; read once after the room wakes, when it is first asked for. */
  #rows: Map<string, Crossing> | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  of(pollerId: string): readonly Crossing[] {
    return [...this.#read().values()].filter((crossing) => crossing.pollerId === pollerId);
  }

  save(crossing: Crossing): void {
    this.#read().set(keyOf(crossing), crossing);
    try {
      this.#storage.kv.put(keyOf(crossing), crossing);
    } catch {
      // Past the day's free writes it is kept for as long as the room is awake.
    }
  }

  remove(crossing: Crossing): void {
    this.#storage.kv.delete(keyOf(crossing));
    this.#read().delete(keyOf(crossing));
  }

  #read(): Map<string, Crossing> {
    this.#rows ??= new Map(this.#storage.kv.list<Crossing>({ prefix: PREFIX }));
    return this.#rows;
  }
}

/** A line break is in no id. */
function keyOf({ pollerId, socketId }: Crossing): string {
  return `${PREFIX}${pollerId}\n${socketId}`;
}
