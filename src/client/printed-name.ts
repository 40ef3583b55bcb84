/**
 * Has the objects of a class printed under this name. Minified, a class is called by a letter: Chromium's console shows
 * that whatever `name` says, but for this. And Vue leaves what has a name of its own as it is: in a proxy of Vue's, in
 * which it puts plain objects, nothing that is private would work.
 */
export function printAs({ prototype }: { prototype: object }, name: string): void {
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name });
}
