/** What happens to the page around a room. Outside a browser nothing does. */

export interface PageListener {
  /** The page is going, perhaps into the back-forward cache. */
  hidden(): void;
  /** Back from the back-forward cache. */
  restored(): void;
  networkChanged(): void;
}

/** Network Information API (https://wicg.github.io/netinfo/), not in Firefox and Safari (2026-11). */
interface WithConnection {
  connection?: EventTarget & { type?: string };
}

export class Page {
  readonly #handlers: [target: Partial<EventTarget> | undefined, event: string, handler: (event: Event) => void][];

  constructor(listener: PageListener) {
    const page: Partial<EventTarget> = globalThis;
    const { connection }: WithConnection = Object(globalThis.navigator);
    let type = connection?.type;
    this.#handlers = [
      [page, 'pagehide', () => listener.hidden()],
      [page, 'pageshow', (event) => 'persisted' in event && event.persisted && listener.restored()],
      [page, 'online', () => listener.networkChanged()],
      // A telephone that goes from Wi-Fi to its own network may never be offline. Where the type is not told, what has
      // changed is an estimate of the speed.
      [
        connection,
        'change',
        () => {
          if (connection?.type === type) return;
          type = connection?.type;
          listener.networkChanged();
        },
      ],
    ];
  }

  watch(): void {
    for (const [target, event, handler] of this.#handlers) target?.addEventListener?.(event, handler);
  }

  unwatch(): void {
    for (const [target, event, handler] of this.#handlers) target?.removeEventListener?.(event, handler);
  }
}
