/** What tests inside workerd do to a room that they know only by its stub. */
import { runInDurableObject } from 'cloudflare:test';
import { vi } from 'vitest';
import type { SignalingRoom } from '../../src/index.ts';

/** Counts what is written in the room from now on, until it sleeps: each is billed as a row (2026-11). */
export const meter = (stub: DurableObjectStub<SignalingRoom>): Promise<() => number> =>
  runInDurableObject(stub, (_room, { storage }) => {
    const calls = [
      vi.spyOn(storage.kv, 'put'),
      vi.spyOn(storage.kv, 'delete'),
      vi.spyOn(storage, 'setAlarm'),
      vi.spyOn(storage, 'deleteAll'),
    ];
    return () => calls.reduce((sum, call) => sum + call.mock.calls.length, 0);
  });

/** Moves the clock of the Worker and the room; the runtime's, which rings alarms, stays. */
export const pass = (seconds: number): unknown =>
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
