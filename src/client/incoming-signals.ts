/** The other's signals on their way to us: how many, how large, and in which order. */
import type { ParsedSignal } from '../protocol/signal.ts';
import {
  type Allowance,
  attemptFault,
  candidatesOf,
  FREE_M_LINES,
  iceLinesIn,
  MAX_CANDIDATES,
  mLinesIn,
  newCandidateAllowance,
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
  readonly #candidateAllowance = newCandidateAllowance();
  /** What the last description said to ICE, and the candidates since. */
  #iceLines = new Set<string>();
  /** What is to be worked off when the gate is open; undefined once it is, and where there is none. */
  #held: (() => void)[] | undefined;
  /** Stands for all that comes on one connection: of the connections before, nothing waits for its time. */
  #line = {};
  /** Ends the present wait. */
  #passTime: (() => void) | undefined;
  /** The last of what is to be worked off. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Works nothing off before `gate` is settled, which may be long: of what comes by then the last description is kept,
   * as it is said again and again with all its candidates, and what follows it.
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

  /**
   * What is wrong with a signal, as a sentence. The channel counts by itself what comes; what comes by the room counts
   * here, even if it makes no sense. `strangers`: the m-lines of all who are not connected, if the other is one of
   * them.
   */
  fault(signal: ParsedSignal | undefined, isByRoom = false, strangers?: Allowance): string | undefined {
    const { description, candidates = [], attempt } = signal ?? {};
    const fault = attemptFault(attempt) ?? (description && sizeFault(description.sdp));
    const mLines = description && !fault ? mLinesIn(description.sdp) : 0;
    const count = description && !fault ? signalsOfDescription(mLines) : 1;
    if (isByRoom && !this.#allowance.take(count)) return 'It sends too many signals.';
    const mayDescribe = strangers?.take(Math.max(0, mLines - FREE_M_LINES)) ?? this.#mLineAllowance.take(mLines);
    if (fault || !mayDescribe) return fault ?? 'Too much media is described.';
    const lines = new Set(iceLinesIn(description?.sdp));
    const present = description ? lines : this.#iceLines;
    for (const { candidate } of candidates)
      for (const line of iceLinesIn(asDescribed(candidate, present))) lines.add(line);
    let news = 0;
    for (const line of lines) if (!this.#iceLines.has(line)) news += candidatesOf(line);
    // By the room nothing waits: a description is dropped, as it is said again.
    const isTooSoon = isByRoom && description && news && this.#candidateAllowance.halfFullInMs();
    if (isTooSoon || !this.#candidateAllowance.take(news)) return 'It sends too many candidates.';
    if (description) this.#iceLines = lines;
    else for (const line of lines) this.#iceLines.add(line);
    return undefined;
  }

  /** How long a signal on the channel is to wait, as much media or many candidates came lately, in ms. */
  get waitMs(): number {
    return Math.max(this.#mLineAllowance.halfFullInMs(), this.#candidateAllowance.halfFullInMs());
  }

  /**
   * Works signals off one after the other: a candidate has to wait for its description. Settles as `work` does, unless
   * that is not kept. It waits for `waitMs` at least, and so does all that comes behind it.
   */
  inTurn(work: () => void | Promise<void>, isDescription = false, waitMs = 0): Promise<void> {
    const held = isDescription && this.#held ? [] : this.#held;
    this.#held = held;
    if (held)
      return new Promise((resolve, reject) => {
        if (held.length < MAX_HELD) held.push(() => this.inTurn(work).then(resolve, reject));
      });
    const dueAt = performance.now() + waitMs;
    const line = this.#line;
    const turn = waitMs ? this.#last.then(() => (line === this.#line ? this.#until(dueAt) : undefined)) : this.#last;
    const done = turn.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /**
   * The connection is given up. Chromium (156) never settles what was under way on it, so nothing waits for that; nor
   * does anything wait for its time, which would keep a Node process.
   */
  startOver(): void {
    this.#last = Promise.resolve();
    this.#line = {};
    this.#passTime?.();
  }

  #until(time: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, time - performance.now());
      this.#passTime = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** A candidate as it is in a description, where the credentials that it belongs to are not said again. */
function asDescribed(candidate: string | undefined, present: Set<string>): string | undefined {
  return candidate?.replace(/ ufrag (\S+)/, (all, ufrag) => (present.has(`ice-ufrag:${ufrag}`) ? '' : all));
}
