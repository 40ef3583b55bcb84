/** As much of a WebSocket as a SignalingClient uses. */
export interface SocketFace {
  readonly join: [url: string, subprotocols: string[]];
  readyState: number;
  onopen?: (event: unknown) => void;
  onmessage?: (event: { data: unknown }) => void;
  onclose?: (event: unknown) => void;
  onerror?: (event: unknown) => void;
  /** Not before it is open. */
  send?(text: string): void;
  close(code?: number): void;
}
