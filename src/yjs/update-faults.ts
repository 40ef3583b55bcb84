/** What Yjs takes of an update, and can never write or read again: nobody who comes later would get the document. */
import {
  AbstractType,
  convertUpdateFormatV2ToV1,
  type Doc,
  decodeUpdate,
  findIndexSS,
  GC,
  ID,
  Item,
  mergeUpdates,
} from 'yjs';

type Store = Doc['store'];
type Struct = ReturnType<typeof decodeUpdate>['structs'][number];

/**
 * Deepest nesting of a value in it. JSON and Yjs write values by recursion, which ends at some 5,000 (Node 24), but
 * read JSON however deep it is.
 */
const MAX_DEPTH = 1_000;

/** Deepest nesting of shared types. Yjs deletes them by recursion, which ends at some 1,900 maps (Node 24). */
const MAX_NESTING = 500;

/** Throws Error for such an update, and for one that makes no sense: where it claims more parts than it has, too. */
export function checkUpdate(update: Uint8Array, store: Store): void {
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
    const { id, length } = struct;
    // Yjs makes one of neighbours. What is longer than this it writes, and does not read.
    if (id.clock + length > Number.MAX_SAFE_INTEGER) throw new Error('It counts too far.');
    // Yjs would not find it again, or another in its place.
    if (length === 0 && (struct instanceof Item || struct instanceof GC))
      throw new Error('It has parts that are nothing.');
    if (!(struct instanceof Item)) continue;
    const { origin, rightOrigin, parent, content } = struct;
    // What Yjs has not placed yet it also sends, and whoever is sent it would place nothing that follows.
    for (const base of [origin, rightOrigin, parent])
      if (base instanceof ID && base.client === id.client && base.clock >= id.clock)
        throw new Error('It builds on what is yet to come.');
    const { arr, embed, value, opts } = Object(content);
    const held = arr ?? embed ?? value ?? opts;
    let level: unknown[] = typeof held === 'object' ? [held] : [];
    for (let depth = 0; level.length > 0; depth++) {
      if (depth > MAX_DEPTH) throw new Error('It is nested too deeply.');
      level = level.flatMap((each) =>
        typeof each === 'object' && !ArrayBuffer.isView(each) ? Object.values(each ?? {}) : [],
      );
    }
  }
  const pending = store.pendingStructs?.update;
  // Both may be placed now, each between levels of the other.
  const all = pending ? decodeUpdate(mergeUpdates([update, convertUpdateFormatV2ToV1(pending)])).structs : structs;
  checkNesting(all, store);
}

/** Throws Error where shared types of these parts of a document, and of the document, are nested too deeply. */
function checkNesting(structs: Struct[], { clients }: Store): void {
  const types = structs.filter((struct) => struct instanceof Item && 'type' in struct.content);
  if (types.length === 0) return;
  const added = new Map<number, Struct[]>();
  for (const struct of structs) {
    const { client, clock } = struct.id;
    const its = added.get(client) ?? [];
    const last = its.at(-1);
    // Where a client comes twice, Yjs takes what comes last.
    if (last && last.id.clock + last.length !== clock) throw new Error('Its parts are in disorder.');
    its.push(struct);
    added.set(client, its);
  }
  const find = ({ client, clock }: ID): Struct | undefined => {
    for (const its of [clients.get(client), added.get(client)]) {
      const [first, last] = [its?.[0], its?.at(-1)];
      if (its && first && last && clock >= first.id.clock && clock < last.id.clock + last.length)
        return its[findIndexSS(its, clock)];
    }
    return undefined;
  };
  const depths = new Map<Struct, number>();
  for (const type of types) {
    // From it to what it is in, or to what is beside it, and on, as far as that is known.
    const way: Item[] = [];
    let next: Struct | null | undefined = type;
    while (next instanceof Item && !depths.has(next)) {
      depths.set(next, 0);
      way.push(next);
      const { parent, origin, rightOrigin }: Item = next;
      const id: ID | null = parent instanceof ID ? parent : (origin ?? rightOrigin);
      next = parent instanceof AbstractType ? parent._item : id && find(id);
    }
    let depth = (next && depths.get(next)) ?? 0;
    for (const each of way.reverse()) {
      if (each.parent instanceof ID || each.parent instanceof AbstractType) depth++;
      if (depth > MAX_NESTING) throw new Error('It nests shared types too deeply.');
      depths.set(each, depth);
    }
  }
}
