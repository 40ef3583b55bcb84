/** Events by name, each with the arguments its listeners get. */
type EventMap<Events> = Record<keyof Events, unknown[]>;

type Listener<Arguments extends unknown[]> = (...args: Arguments) => void;
type Listeners<Events extends EventMap<Events>> = { [Name in keyof Events]?: readonly Entry<Events[Name]>[] };
interface Entry<Arguments extends unknown[]> {
  listener: Listener<Arguments>;
  once: boolean;
}

/**
 * Typed events with the names of Node's EventEmitter, which P2PCF's users know. A listener that throws does not keep
 * the others from hearing: its error is reported as an uncaught one. Unlike in Node, `error` needs no listener.
 */
export class Emitter<Events extends EventMap<Events>> {
  #listeners: Listeners<Events> = {};

  /** Calls `listener` each time. Returns this object. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.#add(name, listener, false);
  }

  /** Calls `listener` the next time only. Returns this object. */
  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.#add(name, listener, true);
  }

  /** Undoes the newest `on` or `once` of this listener. Returns this object. */
  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    const entries = this.#listeners[name] ?? [];
    this.#remove(name, entries[entries.map((each) => each.listener).lastIndexOf(listener)]);
    return this;
  }

  /** The same as `on`. */
  addListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.on(name, listener);
  }

  /** The same as `off`. */
  removeListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.off(name, listener);
  }

  /** Forgets the listeners of one event, or of all. Returns this object. */
  removeAllListeners(name?: keyof Events): this {
    if (name === undefined) this.#listeners = {};
    else delete this.#listeners[name];
    return this;
  }

  /** How many listeners an event has. */
  listenerCount(name: keyof Events): number {
    return this.#listeners[name]?.length ?? 0;
  }

  /** Without effect: there is no limit that Node would warn of. Returns this object. */
  setMaxListeners(_most: number): this {
    return this;
  }

  /** Calls the listeners in the order they were added. Not listeners that are added meanwhile, as in Node. */
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    const entries = this.#listeners[name] ?? [];
    if (this.stops(name, args)) return;
    for (const entry of entries) {
      if (entry.once && !this.#remove(name, entry)) continue; // a listener before it has had the event emitted again
      attempt(() => entry.listener.call(this, ...args));
    }
  }

  /** @internal Is asked before the listeners are called: whether the event ends here. */
  protected stops<Name extends keyof Events>(_name: Name, _args: Events[Name]): unknown {
    return undefined;
  }

  #add<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>, once: boolean): this {
    if (typeof listener !== 'function')
      throw new TypeError(`The listener of ${String(name)} is ${listener}, no function.`);
    this.#listeners[name] = [...(this.#listeners[name] ?? []), { listener, once }];
    return this;
  }

  /** Whether it was there. */
  #remove<Name extends keyof Events>(name: Name, entry: Entry<Events[Name]> | undefined): boolean {
    const entries = this.#listeners[name] ?? [];
    const rest = entries.filter((each) => each !== entry);
    this.#listeners[name] = rest;
    return rest.length < entries.length;
  }
}

/** Calls what the app has given us. If it throws, that is reported as an uncaught error, and we go on. */
export function attempt(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
