// What the test page has as globals, for the functions that run in it.
declare const P2PCF: typeof import('../../src/client/index.ts').P2PCF;
declare const SignalingClient: typeof import('../../src/client/signaling.ts').SignalingClient;
interface Window {
  room: import('../../src/client/index.ts').P2PCF;
  p2pcf: import('../../src/client/index.ts').P2PCF;
  got: { from: string; length: number; sum: string; text: string }[];
  log: string[];
  watched: Promise<string[]>;
  /** Numbers sent to and got from each peer, by session id; `sent` is how many. */
  counting: { sent: Record<string, number>; got: Record<string, number[]>; stop: () => void };
}
