/** The Worker with a meter: what Cloudflare would bill is counted here, in the process, and told at GET /bill. */
import worker, { SignalingRoom as Room } from '../../src/index.ts';
import type { Env } from '../../src/worker/settings.ts';

const bill = {
  workerRequests: 0,
  roomRequests: 0,
  /** WebSocket messages that reached the room; 20 are billed as one request (2026-11). */
  messages: 0,
  alarms: 0,
  /** Any use of the room's storage at all: without one, no row is read or written. */
  storageUses: 0,
  /** Times the room was made, for the first time or after hibernation. */
  wakes: 0,
};

export class SignalingRoom extends Room {
  constructor(ctx: DurableObjectState, env: Env) {
    const { storage } = ctx;
    Object.defineProperty(ctx, 'storage', {
      get() {
        bill.storageUses++;
        return storage;
      },
    });
    super(ctx, env);
    bill.wakes++;
  }

  override fetch(request: Request): Response {
    bill.roomRequests++;
    return super.fetch(request);
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    bill.messages++;
    super.webSocketMessage(socket, frame);
  }

  override alarm(): void {
    bill.alarms++;
    super.alarm();
  }
}

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === '/bill') return Response.json(bill);
    bill.workerRequests++;
    return worker.fetch(request, env);
  },
} satisfies ExportedHandler<Env>;
