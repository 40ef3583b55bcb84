/** The app's own word on who is met: the option `admit`. */
import type { Peer } from './peer.ts';

/**
 * Whether a member may be connected to: asked with its `id`, `client_id`, `metadata` and `verified`, and nothing more.
 */
export type Admit = (peer: Peer) => boolean | Promise<boolean>;

/**
 * Most session ids of refused peers that are kept. When there are more, all are forgotten, and the app is asked again.
 */
const MAX_REFUSED = 10_000;

export class Admission {
  readonly #admit: Admit;
  readonly #refused = new Set<string>();

  constructor(admit: Admit) {
    this.#admit = admit;
  }

  /** Whether it has been refused, also if it has left and is back since. */
  refuses(id: string): boolean {
    return this.#refused.has(id);
  }

  /** Asks the app. Resolves to why the peer is refused, in a sentence, or to undefined if it is not. */
  async ask(peer: Peer): Promise<string | undefined> {
    try {
      if (await this.#admit(peer)) return undefined;
    } catch (error) {
      return this.#refuse(peer.id, `The option admit failed: ${error}`);
    }
    return this.#refuse(peer.id, 'The option admit refused it.');
  }

  #refuse(id: string, reason: string): string {
    if (this.#refused.size >= MAX_REFUSED) this.#refused.clear();
    this.#refused.add(id);
    return reason;
  }
}
