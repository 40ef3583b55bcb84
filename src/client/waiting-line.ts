/** Who waits for a connection, where the page has as many as it should. */
import type { SupervisedPeer } from './supervised-peer.ts';

/** How long until the browser is asked again that refused a connection, in ms. */
const RETRY_EVERY_MS = 10_000;

export class WaitingLine {
  readonly #hasRoom: () => boolean;
  readonly #absent: () => Iterable<SupervisedPeer>;
  /** In the order of their turns, each with what is to be done when it has begun. */
  #waiting = new Map<SupervisedPeer, () => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `absent` are connected, but not in the room any more: they give way, the first of them first. */
  constructor(hasRoom: () => boolean, absent: () => Iterable<SupervisedPeer>) {
    this.#hasRoom = hasRoom;
    this.#absent = absent;
  }

  /** Whether a connection may be made now. */
  get isFree(): boolean {
    return this.#waiting.size === 0 && this.#hasRoom();
  }

  get someoneWaits(): boolean {
    return this.#waiting.size > 0;
  }

  /** Lines a peer up. */
  add(peer: SupervisedPeer, begun: () => void): void {
    this.#waiting.set(peer, begun);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // The end of each gives the next its turn. Else strangers that connect and break off could keep all others out.
      for (const peer of this.#absent()) if (this.someoneWaits && !this.#hasRoom()) peer.destroy();
      this.next();
      for (const [each, again] of this.#waiting) this.add(each, again); // which sets the timer
    }, RETRY_EVERY_MS);
  }

  /** A peer has shown that it is there: it goes first. */
  prefer(peer: SupervisedPeer): void {
    const begun = this.#waiting.get(peer);
    if (begun) this.#waiting = new Map([[peer, begun], ...this.#waiting]);
  }

  /** Takes a peer out of the line. */
  remove(peer: SupervisedPeer): void {
    this.#waiting.delete(peer);
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Gives the next their turns. */
  next(): void {
    for (const [peer, begun] of [...this.#waiting]) {
      if (!this.#hasRoom()) return;
      if (!this.#waiting.has(peer)) continue; // a listener has closed it
      this.remove(peer);
      const offered = peer.begin();
      if (!offered) return; // the browser has no more, and the peer is waiting again
      void offered.then(begun);
    }
  }
}
