/** What a peer is told of the other when the two are introduced. */
import type { Verified } from '../protocol/messages.ts';
import type { RestartRequest, Signal } from '../protocol/signal.ts';
import type { Allowance } from './limits.ts';

/** Who the other is, and the way to it. */
export interface Introduction {
  id: string;
  clientId: string;
  metadata: unknown;
  verified?: Verified | undefined;
  /** When both offer at once, the polite one gives way. Exactly one of the two must be. */
  isPolite: boolean;
  /**
   * It has P2PCF in place of this library, and no socket. So it reads one offer, of nothing but a data channel and with
   * all its candidates, and never offers: it asks for what it needs over the channel.
   */
  polls: boolean;
  /** Carries a signal to the other through the room. */
  send: (signal: Signal | RestartRequest) => void;
  /** Whether the room can be heard, so that our own network is there. */
  hasRoom: () => boolean;
  /** The most bytes of JSON that a signal through the room may have. */
  maxSignalBytes: () => number;
  /** How many new connections it may have on the other's demand. */
  connections: Allowance;
  /**
   * Called with a description that shows another client, with another certificate, under the id. The peer does not take
   * it.
   */
  onStranger: (signal: unknown) => void;
}
