/** Who speaks. */

/** Loudness of speech, of 0 to 1: quieter is a fan or a keyboard. */
const SPEECH = 0.02;

/** How long somebody is still the speaker after the last word, in ms: between words nothing should flicker. */
const HOLD_MS = 1_200;

export class Speaker {
  #current: string | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;

  /** Who speaks, by how loud everybody is just now; `now` in ms. */
  next(levels: ReadonlyMap<string, number>, now: number): string | undefined {
    const [loudest] = [...levels].filter(([, level]) => level >= SPEECH).sort(([, a], [, b]) => b - a);
    const isHeld = this.#current !== undefined && levels.has(this.#current) && now - this.#heardAt < HOLD_MS;
    const goesOn = this.#current !== undefined && (levels.get(this.#current) ?? 0) >= SPEECH;
    if (goesOn) this.#heardAt = now;
    else if (!isHeld) {
      this.#current = loudest?.[0];
      this.#heardAt = now;
    }
    return this.#current;
  }
}
