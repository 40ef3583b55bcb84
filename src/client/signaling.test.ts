import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SignalingClient, type SignalingOptions } from './signaling.ts';

const MINUTE_MS = 60_000;

/** A server that lets a client in after so many ms, and drops it so many ms later, and when each attempt began. */
function enter(answersAfterMs: number, dropsAfterMs: number, options: Partial<SignalingOptions> = {}) {
  const began: number[] = [];
  class FakeSocket {
    readyState = 0;
    onopen?: () => void;
    onclose?: (event: object) => void;
    onmessage?: (event: object) => void;
    constructor() {
      began.push(Date.now());
      setTimeout(() => this.#letIn(), answersAfterMs);
    }
    send(text: string): void {
      if (text === 'ping') setTimeout(() => this.onmessage?.({ data: 'pong' }), 20);
    }
    close(): void {
      this.readyState = 3;
    }
    #letIn(): void {
      if (this.readyState !== 0) return;
      this.readyState = 1;
      this.onmessage?.({ data: JSON.stringify({ type: 'peers', peers: [], yourId: 'alice' }) });
      if (dropsAfterMs < Number.POSITIVE_INFINITY)
        setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), dropsAfterMs);
    }
  }
  const WebSocket = Object(FakeSocket);
  const client = new SignalingClient({ workerUrl: 'http://127.0.0.1:1', roomId: 'room', WebSocket, ...options });
  client.start().catch(() => undefined); // it is stopped
  return { client, began };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  vi.stubGlobal('fetch', () => Promise.reject(new Error('No network.')));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test.each([
  [1_000, { pingEveryMs: 500 }],
  [9_000, {}],
  [19_000, {}],
  [29_000, {}],
])('a server that answers a join after %i ms is joined', async (answersAfterMs, options) => {
  const { client, began } = enter(answersAfterMs, Number.POSITIVE_INFINITY, options);
  await vi.advanceTimersByTimeAsync(2 * MINUTE_MS);
  expect([client.state, began.length]).toEqual(['open', Math.ceil((answersAfterMs + 1) / 10_000)]);
  client.stop();
});

test('a server that lets in and drops at once, for an hour, is asked as seldom as one that does not let in', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const { client, began } = enter(20, 1_000);
  await vi.advanceTimersByTimeAsync(60 * MINUTE_MS);
  expect(began.filter((at) => at >= 10 * MINUTE_MS).length).toBeLessThan(110); // one in 30 s
  client.stop();
});

test('a connection that lasted is followed at once, however often', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const { client, began } = enter(20, 30_000);
  await vi.advanceTimersByTimeAsync(60 * MINUTE_MS);
  expect(began.length).toBeGreaterThan(115);
  client.stop();
});
