/** What happens to the page around a room. Outside a browser nothing does. */

export interface PageListener {
  /** The page is going, perhaps into the back-forward cache. */
  hidden(): void;
  /** Back from the back-forward cache. */
  restored(): void;
  networkChanged(): void;
}

export class Page {
  readonly #handlers: [event: string, handler: (event: Event) => void][];

  constructor(listener: PageListener) {
    this.#handlers = [
      ['pagehide', () => listener.hidden()],
      ['pageshow', (event) => 'persisted' in event && event.persisted && listener.restored()],
      ['online', () => listener.networkChanged()],
    ];
  }

  watch(): void {
    for (const [event, handler] of this.#handlers) globalThis.addEventListener?.(event, handler);
  }

  unwatch(): void {
    for (const [event, handler] of this.#handlers) globalThis.removeEventListener?.(event, handler);
  }
}
