/** The oldest browsers and Node that package.json names, as esbuild wants them: 'chrome >= 100' is chrome100 to it. */
import manifest from '../package.json' with { type: 'json' };

export const TARGETS = manifest.browserslist.map((oldest) => oldest.replace(' >= ', ''));
