/** What Yjs keeps of updates that it cannot place yet, as they build on what is not here: `doc.store` has it. */
import { convertUpdateFormatV2ToV1, type Doc } from 'yjs';

type Store = Doc['store'];

/** Most of it, in bytes: Yjs takes it up again with each update that has more of it, deletions with any update. */
const MAX_PENDING = 2 ** 14;

/** It as it was at some time. */
export interface Pending {
  structs: Store['pendingStructs'];
  /** Yjs changes `structs` itself where it only adds to it. */
  copy: Store['pendingStructs'];
  deletions: Store['pendingDs'];
}

export function pendingIn({ pendingStructs: structs, pendingDs: deletions }: Store): Pending {
  return { structs, copy: structs && { ...structs, missing: new Map(structs.missing) }, deletions };
}

/** Whether some of it has found its place since. */
export function hasPlaced({ pendingStructs, pendingDs }: Store, { structs, deletions }: Pending): boolean {
  return (structs !== null && pendingStructs !== structs) || lengthOf(pendingDs) < lengthOf(deletions);
}

/** Takes back what has been added to it since, if it is too much now. Returns whether it was. */
export function limitPending(store: Store, { copy, deletions }: Pending): boolean {
  const { pendingStructs: structs, pendingDs } = store;
  const length = lengthOf(pendingDs);
  if (structs?.update === copy?.update && length <= lengthOf(deletions)) return false;
  // At first, as the next line may throw.
  store.pendingStructs = copy;
  store.pendingDs = deletions;
  // As updates are sent: as Yjs packs it here, a thousand parts may take ten bytes.
  if (length + lengthOf(structs && convertUpdateFormatV2ToV1(structs.update)) > MAX_PENDING) return true;
  store.pendingStructs = structs;
  store.pendingDs = pendingDs;
  return false;
}

const lengthOf = (bytes: Uint8Array | null): number => bytes?.length ?? 0;
