/**
 * `sealed.js` for a script tag: `scripts/build.ts` puts this in place of `sealed-chunk.ts`. To a script of another
 * origin, such as a CDN's, Chromium does not tell its own address, so that `./sealed.js` is nowhere. Its tag knows it.
 */
import type { importSealed as importBeside } from './sealed-chunk.ts';

/** The tag is told only while the file runs: not later, nor in a worker. */
const script = globalThis.document?.currentScript;
const address = script && 'src' in script ? script.src : '';

export const importSealed: typeof importBeside = () =>
  import('./sealed/index.ts').catch((error: unknown) => {
    if (!address) throw error;
    return import(new URL('sealed.js', address).href);
  });
