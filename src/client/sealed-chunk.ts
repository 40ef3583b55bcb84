/** `sealed.js` beside the file that asks for it. Bundlers read this line. */
export const importSealed = (): Promise<typeof import('./sealed/index.ts')> => import('./sealed/index.ts');
