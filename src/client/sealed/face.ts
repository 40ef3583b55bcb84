import type { Close } from '../../protocol/close.ts';

/** As much of a WebSocket as a SignalingClient uses. */
export interface SocketFace {
  readonly join: [url: string, subprotocols: string[]];
  readyState: number;
  onopen?: (event: unknown) => void;
  onmessage?: (event: { data: unknown }) => void;
  /** `cause`: in a sentence, what has kept it from being opened. */
  onclose?: ((event: Close & { cause?: string }) => void) | undefined;
  onerror?: (event: unknown) => void;
  /** Not before it is open. */
  send?(text: string): void;
  close(code?: number): void;
}
