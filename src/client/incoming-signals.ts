/** The other's signals on their way to us: how many, how large, and in which order. */
import type { ParsedSignal } from '../protocol/signal.ts';
import {
  attemptFault,
  MAX_CANDIDATES,
  mLinesIn,
  newMLineAllowance,
  newSignalAllowance,
  signalsOfDescription,
  sizeFault,
} from './limits.ts';

/** Most signals that are kept while nothing is worked off: a description, and every candidate by itself. */
const MAX_HELD = MAX_CANDIDATES + 1;

export class Incoming {
  readonly #allowance = newSignalAllowance();
  readonly #mLineAllowance = newMLineAllowance();
  /** What is to be worked off when the gate is open; undefined once it is, and where there is none. */
  #held: (() => void)[] | undefined;
  /** The last of what is to be worked off. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Works nothing off before `gate` is settled, which may be long: of what comes by then the last description is kept, as it
   * is said again and again with all its candidates, and what follows it.
   */
  hold(gate: Promise<unknown>): void {
    this.#held = [];
    const release = (): void => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const each of held) each();
    };
    gate.then(release, release);
  }

  /** What is wrong with a signal that came by the room, as a sentence. One that makes no sense counts, too. */
  roomFault(signal: ParsedSignal | undefined): string | undefined {
    const fault = shapeFault(signal);
    const mLines = fault ? 0 : mLinesOf(signal);
    const count = signal?.description && !fault ? signalsOfDescription(mLines) : 1;
    return this.#allowance.take(count) ? (fault ?? this.#workFault(mLines)) : 'It sends too many signals.';
  }

  /** What is wrong with a signal that came by the channel, which counts what comes. */
  fault(signal: ParsedSignal | undefined): string | undefined {
    return shapeFault(signal) ?? this.#workFault(mLinesOf(signal));
  }

  #workFault(mLines: number): string | undefined {
    return this.#mLineAllowance.take(mLines) ? undefined : 'It describes its media too often.';
  }

  /**
   * Works signals off one after the other: a candidate has to wait for its description. Settles as `work` does, unless that
   * is not kept.
   */
  inTurn(work: () => void | Promise<void>, isDescription = false): Promise<void> {
    const held = isDescription && this.#held ? [] : this.#held;
    this.#held = held;
    if (held)
      return new Promise((resolve, reject) => {
        if (held.length < MAX_HELD) held.push(() => this.inTurn(work).then(resolve, reject));
      });
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** The connection is given up. Chromium (156) never settles what was under way on it, so nothing waits for that. */
  startOver(): void {
    this.#last = Promise.resolve();
  }
}

function shapeFault(signal: ParsedSignal | undefined): string | undefined {
  return attemptFault(signal?.attempt) ?? (signal?.description && sizeFault(signal.description.sdp));
}

function mLinesOf(signal: ParsedSignal | undefined): number {
  return signal?.description ? mLinesIn(signal.description.sdp) : 0;
}
