/** So many at a time; whoever else comes waits for one to be done. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when it is one's turn: `next` is to be called after it. */
  async wait(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  next(): void {
    const first = this.#waiting.shift();
    if (first) first();
    else this.#free++;
  }
}
