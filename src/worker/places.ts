import type { Place } from '../room/room.ts';

const PREFIX = 'place:';

/**
 * The places held, a row each: with its socket goes a member's attachment, and the room may sleep or move before the
 * member is back. Where nobody drops, no row is written and no alarm set.
 */
export class Places {
  readonly #storage: DurableObjectStorage;
  /** Read once while the room is awake. */
  #places: readonly Place[] | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  get all(): readonly Place[] {
    this.#places ??= [...this.#storage.kv.list<Place>({ prefix: PREFIX })].map(([, place]) => place);
    return this.#places;
  }

  hold(place: Place): void {
    const others = this.all.filter(({ id }) => id !== place.id);
    this.#storage.kv.put(PREFIX + place.id, place);
    this.#places = [...others, place];
  }

  release({ id }: Place): void {
    this.#places = this.all.filter((place) => place.id !== id);
    try {
      this.#storage.kv.delete(PREFIX + id);
    } catch {
      // Past the day's free writes. It has lapsed by the time it is read again, or soon after.
    }
  }

  /** When the first of the places lapses, in ms since the epoch, be it overdue or not. Infinity when there is none. */
  nextExpiry(): number {
    return Math.min(...this.all.map(({ until }) => until));
  }
}
