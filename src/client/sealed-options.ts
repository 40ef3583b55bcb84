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
   * take part in it. It belongs into the fragment of the room's link, which no server sees.
   */
  key?: string | undefined;
  /** Words in place of a key. Who has seen one message can guess at them for as long as it likes: a key is better. */
  password?: string | undefined;
  /** With a key: the server is told a name that is made of it, in place of the room's. */
  hideRoom?: boolean | undefined;
  /**
   * Whether to connect to a member, by its `fingerprint`, which it has to prove: only for `true`. Asked for each description,
   * and has to answer at once; to ask somebody, use `admit`.
   */
  trust?: ((member: Claimed & { fingerprint: string }) => boolean) | undefined;
  /** Told of whatever is not taken, by the key or by `trust`: of whom it is said to be, and a sentence why. */
  onUntrusted?: ((member: Claimed, reason: string) => void) | undefined;
  /** WebSocket, for places without it. */
  WebSocket?: WebSocketClass | undefined;
}
