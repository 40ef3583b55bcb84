import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PollReply, Session } from '../protocol/poll.ts';
import { poll, type Row, type Surroundings, unpoll } from './board.ts';

const START = 1_790_000_000_000;
const ALONE: Surroundings = { isTaken: () => false, count: () => 0, maxPeers: 10, bridged: [] };
const hex = (digit: string): string => digit.repeat(32);

const entryOf = (sessionId: string): Session['entry'] => ({
  sessionId,
  clientId: 'a label',
  isSymmetric: false,
  fingerprint: `${'A'.repeat(43)}=`,
  startedAt: START,
  reflexiveIps: [],
});

/** A board with its rows kept as a caller would. */
class Board {
  rows: Row[] = [];
  now = START;
  written = 0;
  surroundings = ALONE;

  look(contextId = ''): PollReply {
    return this.#poll(contextId);
  }

  listen(contextId: string, sessionId: string, postedAt = this.now): PollReply {
    return this.#poll(contextId, { entry: entryOf(sessionId), postedAt, keepMs: 120_000 });
  }

  post(contextId: string, sessionId: string, more: Partial<Session> = {}): PollReply {
    return this.#poll(contextId, {
      entry: entryOf(sessionId),
      postedAt: this.now,
      keepMs: 120_000,
      packages: [],
      ...more,
    });
  }

  leave(contextId: string, sessionId: string, deleteKey = ''): number {
    const outcome = unpoll({ roomId: 'lobby', contextId, sessionId, deleteKey }, this.rows, this.now);
    if ('status' in outcome) return outcome.status;
    this.rows = this.rows.filter((row) => row.contextId !== outcome.remove);
    return 200;
  }

  #poll(contextId: string, session?: Session): PollReply {
    const request = session ? { roomId: 'lobby', contextId, session } : { roomId: 'lobby', contextId };
    const makeKey = (): string => `key ${this.written}`;
    const outcome = poll(request, this.rows, this.surroundings, makeKey, this.now);
    if ('status' in outcome) throw new Error(`${outcome.status} ${outcome.sentence}`);
    const { write } = outcome;
    if (write) {
      this.written++;
      this.rows = [...this.rows.filter((row) => row.contextId !== write.contextId), write];
    }
    return outcome.reply;
  }
}

const idsIn = ({ ps }: PollReply): string[] => ps.map(([sessionId]) => sessionId);

describe('the board', () => {
  test('two who post see each other and their packages, and nothing of their own', () => {
    const board = new Board();
    expect(board.look('a')).toEqual({ ps: [], pk: [] });
    const alice = board.post('a', 'alice');
    expect(alice).toEqual({ ps: [], pk: [], dk: expect.any(String) });
    const forAlice = ['alice', 'bob', 'ufrag', ['candidate']] as const;
    const forCarol = ['carol', 'bob', 'ufrag', ['candidate']] as const;
    const bob = board.post('b', 'bob', { packages: [forCarol, forAlice] });
    expect(idsIn(bob)).toEqual(['alice']);
    expect(board.listen('a', 'alice')).toEqual({
      ps: [['bob', 'a label', false, `${'A'.repeat(43)}=`, START, [], START]],
      pk: [forAlice],
    });
    expect(board.listen('a', 'alice').pk).toEqual([forAlice]); // until Bob posts anew
    expect(idsIn(board.look())).toEqual(['alice', 'bob']);
    expect(board.look().pk).toEqual([]);
    expect(bob.dk).not.toBe(alice.dk);
  });

  test('only a changed timestamp makes a post worth writing', () => {
    const board = new Board();
    const { dk } = board.post('a', 'alice');
    expect(board.post('a', 'alice', { packages: [['bob', 'alice']] }).dk).toBe(dk);
    board.listen('a', 'alice', START + 1);
    expect(board.written).toBe(1);
    board.now += 1;
    expect(board.post('a', 'alice', { packages: [['bob', 'alice']] }).dk).toBe(dk);
    expect(board.written).toBe(2);
    expect(board.listen('b', 'bob').pk).toEqual([['bob', 'alice']]);
  });

  test('a posting lapses to the millisecond, and its context begins anew', () => {
    const board = new Board();
    const { dk } = board.post('a', 'alice');
    board.now += 119_999;
    expect(idsIn(board.look())).toEqual(['alice']);
    board.now += 1;
    expect(idsIn(board.look())).toEqual([]);
    expect(board.leave('a', 'alice', dk)).toBe(404);
    expect(board.post('a', 'alice').dk).not.toBe(dk);
  });

  test('who reloads the page takes over its row, key and place in the line', () => {
    const board = new Board();
    const { dk } = board.post('a', 'alice');
    board.now += 1000;
    board.post('b', 'bob');
    board.now += 1000;
    expect(board.post('a', 'alice reloaded').dk).toBe(dk);
    expect(idsIn(board.look())).toEqual(['alice reloaded', 'bob']);
    expect(board.leave('a', 'alice', dk)).toBe(404);
    expect(board.leave('a', 'alice reloaded', dk)).toBe(200);
    expect(idsIn(board.look())).toEqual(['bob']);
  });

  test('one leaves by context, session and key together', () => {
    const board = new Board();
    const { dk = '' } = board.post('a', 'alice');
    for (const [context, session, key] of [
      ['b', 'alice', dk],
      ['a', 'bob', dk],
      ['a', '', dk],
      ['a', 'alice', ''],
      ['a', 'alice', `${dk}x`],
      ['a', 'alice', dk.replace(/.$/, 'x')],
    ] as const) {
      expect(board.leave(context, session, key)).toBe(404);
    }
    expect(board.leave('a', 'alice', dk)).toBe(200);
    expect(board.leave('a', 'alice', dk)).toBe(404);
  });

  test('nobody polls as another: not as a poller of another context, not as a socket', () => {
    const board = new Board();
    board.post('a', 'alice');
    board.surroundings = { ...ALONE, isTaken: (id) => id === 'sue' };
    expect(() => board.listen('m', 'alice')).toThrow(/^409 Taken: /);
    expect(() => board.post('m', 'alice')).toThrow(/^409 /);
    expect(() => board.listen('m', 'sue')).toThrow(/^409 /);
    expect(() => board.post('m', 'sue')).toThrow(/^409 /);
    expect(idsIn(board.look())).toEqual(['alice']);
    board.now += 120_000;
    expect(idsIn(board.post('m', 'alice'))).toEqual([]); // she has lapsed
  });

  test('a full room takes no newcomer, and goes on serving those in it', () => {
    const board = new Board();
    board.surroundings = { ...ALONE, maxPeers: 3, count: () => 1 };
    const { dk } = board.post('a', 'alice');
    board.post('b', 'bob');
    expect(() => board.post('c', 'carol')).toThrow(/^503 Full: /);
    expect(idsIn(board.listen('c', 'carol'))).toEqual(['alice', 'bob']);
    board.now += 1;
    board.post('b', 'bob');
    expect(board.leave('a', 'alice', dk)).toBe(200);
    board.post('c', 'carol');
  });

  test('p2pcf and p2pcf.rn do not see each other', () => {
    const board = new Board();
    board.post('a', 'alice', { packages: [[hex('b'), 'alice']] });
    board.post('b', hex('b'), { packages: [['alice', hex('b')]] });
    board.post('c', hex('c'), { packages: [[hex('b'), hex('c'), 'offer', {}]] });
    board.now += 1;
    const reply = board.post('b', hex('b'));
    expect(idsIn(reply)).toEqual([hex('c')]);
    expect(reply.pk).toEqual([[hex('b'), hex('c'), 'offer', {}]]);
    expect(board.listen('a', 'alice')).toEqual({ ps: [], pk: [] });
    expect(idsIn(board.look())).toEqual(['alice']);
  });

  test('p2pcf.rn, which posts every three seconds, is written when it has news and at half its time', () => {
    const board = new Board();
    const post = (packages: Session['packages'] = []): PollReply =>
      board.post('a', hex('a'), { keepMs: 60_000, packages });
    post();
    for (let polls = 0; polls < 9; polls++) {
      board.now += 3000;
      post();
    }
    expect(board.written).toBe(1);
    board.now += 3000;
    post();
    expect(board.written).toBe(2);
    post([[hex('b'), hex('a'), 'offer', {}]]);
    expect(board.written).toBe(2); // the same millisecond is the same posting, as with p2pcf
    board.now += 3000;
    post([[hex('b'), hex('a'), 'offer', {}]]);
    expect(board.listen('b', hex('b')).pk).toHaveLength(1);
    board.now += 3000;
    post();
    expect(board.listen('b', hex('b')).pk).toHaveLength(0);
    expect(board.written).toBe(4);
  });

  test('peers of other kinds are shown with what they have for pollers, as the caller gave it', () => {
    const board = new Board();
    const offer = ['alice', 'sue', 'ufrag'] as const;
    const sue = { contextId: 'sue', entry: entryOf('sue'), postedAt: 7, packages: [offer, ['bob', 'sue'] as const] };
    board.surroundings = { ...ALONE, bridged: [sue] };
    const reply = board.listen('a', 'alice');
    expect(reply.ps).toEqual([['sue', 'a label', false, `${'A'.repeat(43)}=`, START, [], 7]]);
    expect(reply.pk).toEqual([offer]);
    expect(reply.pk[0]).toBe(offer);
  });
});

test('whatever happens, a poll tells of exactly those who are there, and an idle one writes nothing', () => {
  const contexts = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({ do: fc.constant('post' as const), context: contexts, keepMs: fc.integer({ min: 1, max: 900_000 }) }),
    fc.record({ do: fc.constant('leave' as const), context: contexts }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 600_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const board = new Board();
      const model = new Map<string, { until: number; dk: string | undefined; since: number; postedAt: number }>();
      let order = 0;
      for (const step of steps) {
        if (step.do === 'wait') board.now += step.ms;
        for (const [context, { until }] of model) if (until <= board.now) model.delete(context);
        if (step.do === 'post') {
          const { dk } = board.post(step.context, `session of ${step.context}`, { keepMs: step.keepMs });
          const known = model.get(step.context);
          const until = known?.postedAt === board.now ? known.until : board.now + step.keepMs;
          model.set(step.context, { until, dk, since: known?.since ?? order++, postedAt: board.now });
        }
        if (step.do === 'leave') {
          const known = model.get(step.context);
          expect(board.leave(step.context, `session of ${step.context}`, known?.dk)).toBe(known ? 200 : 404);
          model.delete(step.context);
        }
        const before = board.written;
        const present = [...model.keys()].map((context) => `session of ${context}`);
        expect(new Set(idsIn(board.look()))).toEqual(new Set(present));
        for (const context of ['a', 'b', 'c', 'd']) {
          const rest = present.filter((session) => session !== `session of ${context}`);
          expect(new Set(idsIn(board.listen(context, `session of ${context}`)))).toEqual(new Set(rest));
        }
        expect(board.written).toBe(before);
      }
    }),
  );
});

test('where there are others than pollers, a first look finds nobody, so that p2pcf posts itself at once', () => {
  const board = new Board();
  board.post('ca', 'a');
  expect(board.look().ps).toHaveLength(1);
  board.surroundings = { ...ALONE, count: () => 1 };
  expect(board.look()).toEqual({ ps: [], pk: [] });
  expect(board.listen('cb', 'b').ps).toHaveLength(1);
});
