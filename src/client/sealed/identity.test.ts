import { expect, test } from 'vitest';
import { identity } from './identity.ts';

test('without a name, and outside of browsers, it says what it needs', async () => {
  await expect(Reflect.apply(identity, undefined, [])).rejects.toThrow('takes a name, as a string, and got undefined.');
  await expect(identity('app')).rejects.toThrow('needs a browser');
});
