/** The options of a room whose server need not be trusted, and of whom its members trust. */
import type { WebSocketClass } from './signaling-options.ts';

/** Who a member says it is. With a key, another member may say so, but not the server. */
export interface Claimed {
  /** Its session id. */
  id: string;
  clientId: string;
  metadata: unknown;
  /** The certificate that a description of its names, as in `peer.fingerprint`. */
  fingerprint?: string;
}

export interface SealedOptions {
  /**
   * What the members of the room share, from `P2PCF.newKey()`, so that the server can neither read their signaling nor
   * take part in it. It belongs in the fragment of the room's link, which no server sees.
   */
  key?: string | undefined;
  /** Words instead of a key. Whoever has seen one message can go on guessing them: a key is better. */
  password?: string | undefined;
  /** With a key: the server is told a name that is derived from it, instead of the room's name. */
  hideRoom?: boolean | undefined;
  /**
   * Whether to connect to a member, by its `fingerprint`, which it has to prove: only if this returns `true`. Called
   * for each description, and has to answer at once; if the user has to answer, use `admit`.
   */
  trust?: ((member: Claimed & { fingerprint: string }) => boolean) | undefined;
  /**
   * Called when the key or `trust` refuses something: with the member it is said to come from, and a sentence that says
   * why.
   */
  onUntrusted?: ((member: Claimed, reason: string) => void) | undefined;
  /** WebSocket, for places without it. */
  WebSocket?: WebSocketClass | undefined;
}
