/** What tests inside workerd do to a room that they know only by its stub. */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { vi } from 'vitest';
import type { SignalingRoom } from '../../src/index.ts';

type Stub = DurableObjectStub<SignalingRoom>;

/** Counts the room's calls to its storage from now on, until it sleeps: each write is billed as a row (2026-11). */
export const meter = (stub: Stub): Promise<() => { reads: number; writes: number }> =>
  runInDurableObject(stub, (_room, { storage }) => {
    const reads = [vi.spyOn(storage.kv, 'list'), vi.spyOn(storage.kv, 'get'), vi.spyOn(storage, 'getAlarm')];
    const writes = [
      vi.spyOn(storage.kv, 'put'),
      vi.spyOn(storage.kv, 'delete'),
      vi.spyOn(storage, 'setAlarm'),
      vi.spyOn(storage, 'deleteAll'),
    ];
    const countOf = (calls: { mock: { calls: unknown[] } }[]): number =>
      calls.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    return () => ({ reads: countOf(reads), writes: countOf(writes) });
  });

/** Puts the room to sleep, unless it sleeps already. */
export const keepAsleep = (stub: Stub): Promise<void> =>
  evictDurableObject(stub, { webSockets: 'hibernate' }).catch((error: unknown) => {
    if (!String(error).includes('not currently running')) throw error;
  });

/** What is stored in the room. */
export const stored = (stub: Stub): Promise<{ keys: string[]; alarm: number | null; tables: unknown[] }> =>
  runInDurableObject(stub, async (_room, { storage }) => ({
    keys: [...storage.kv.list()].map(([key]) => key),
    alarm: await storage.getAlarm(),
    tables: storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray(),
  }));
export const NOTHING = { keys: [], alarm: null, tables: [] };

/** Moves the clock of the Worker and the room; the runtime's, which rings alarms, stays. */
export const pass = (seconds: number): unknown =>
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
