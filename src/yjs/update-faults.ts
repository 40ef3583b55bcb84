/** What Yjs takes of an update, and can never write again: nobody who comes later would get the document. */
import { decodeUpdate } from 'yjs';

/**
 * Deepest nesting of a value in it. JSON and Yjs write values by recursion, which ends at some 5,000 (Node 24), but
 * read JSON however deep it is.
 */
const MAX_DEPTH = 1_000;

/** Throws Error for such an update, and for one that makes no sense: where it claims more parts than it has, too. */
export function checkUpdate(update: Uint8Array): void {
  const { structs, ds } = decodeUpdate(update);
  for (const deletions of ds.clients.values()) {
    let end = 0;
    for (const { clock, len } of deletions) {
      // Those that it cannot place yet Yjs keeps in a form that is garbage where they overlap: it throws on that with
      // each update from then on, and so does whoever is sent it.
      if (clock < end || clock + len > Number.MAX_SAFE_INTEGER) throw new Error('Its deletions are in disorder.');
      end = clock + len;
    }
  }
  for (const struct of structs) {
    // Yjs makes one of neighbours. What is longer than this it writes, and does not read.
    if (struct.id.clock + struct.length > Number.MAX_SAFE_INTEGER) throw new Error('It counts too far.');
    const { arr, embed, value, opts } = Object('content' in struct && struct.content);
    let level: unknown[] = [arr, embed, value, opts];
    for (let depth = 0; level.length > 0; depth++) {
      if (depth > MAX_DEPTH) throw new Error('It is nested too deeply.');
      level = level.flatMap((each) =>
        typeof each === 'object' && !ArrayBuffer.isView(each) ? Object.values(each ?? {}) : [],
      );
    }
  }
}
