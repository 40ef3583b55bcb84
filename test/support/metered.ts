/** The Worker with a meter: what Cloudflare would bill is counted here, in the process, and told at GET /bill. */
import worker, { SignalingRoom as Room } from '../../src/index.ts';
import type { IceServers } from '../../src/protocol/ice-servers.ts';
import type { LeaveRequest, PollRequest } from '../../src/protocol/poll.ts';
import type { PollResponse, Requester } from '../../src/room/polling.ts';
import type { Settings } from '../../src/worker/settings.ts';
import type { Env } from '../../src/worker/signaling-room.ts';

const bill = {
  workerRequests: 0,
  roomRequests: 0,
  /** WebSocket messages that reached the room; 20 are billed as one request (2026-11). */
  messages: 0,
  alarms: 0,
  rowsRead: 0,
  /** A row put or deleted, an alarm set (2026-11). */
  rowsWritten: 0,
  /** Timers set in the process, which would keep a room in memory. */
  timers: 0,
  /** Times the room was made, for the first time or after hibernation. */
  wakes: 0,
};

for (const name of ['setTimeout', 'setInterval'] as const) {
  globalThis[name] = new Proxy(globalThis[name], {
    apply(set, global, parameters) {
      bill.timers++;
      return Reflect.apply(set, global, parameters);
    },
  });
}

/** Counts what is done with the rows of a room. */
function meter(storage: DurableObjectStorage): void {
  const { kv } = storage;
  const [list, put, remove] = [kv.list.bind(kv), kv.put.bind(kv), kv.delete.bind(kv)];
  const setAlarm = storage.setAlarm.bind(storage);
  kv.list = <T>(options?: SyncKvListOptions) => {
    const rows = [...list<T>(options)];
    bill.rowsRead += rows.length;
    return rows;
  };
  kv.put = (key, value) => {
    bill.rowsWritten++;
    put(key, value);
  };
  kv.delete = (key) => {
    bill.rowsWritten++;
    return remove(key);
  };
  storage.setAlarm = (at) => {
    bill.rowsWritten++;
    return setAlarm(at);
  };
}

export class SignalingRoom extends Room {
  constructor(ctx: DurableObjectState, env: Settings) {
    meter(ctx.storage);
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

  override giveIceServers(clientId: string, token: string | undefined, given: IceServers): void {
    bill.roomRequests++;
    super.giveIceServers(clientId, token, given);
  }

  override poll(request: PollRequest, requester: Requester): PollResponse {
    bill.roomRequests++;
    return super.poll(request, requester);
  }

  override leaveByPoll(request: LeaveRequest, requester: Requester): PollResponse {
    bill.roomRequests++;
    return super.leaveByPoll(request, requester);
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
