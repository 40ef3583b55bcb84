import { afterAll, beforeAll } from 'vitest';
import { describeSignaling } from '../signaling.ts';
import type { Place } from '../support/client.ts';
import { placeOf } from '../support/place.ts';
import { type Server, startDev, startWorkerd } from '../support/server.ts';

for (const [name, start] of [
  ['on workerd', startWorkerd],
  ['on npm run dev', () => startDev()],
] as const) {
  let server: Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());
  const place: Place = {
    fetch: (path, init) => placeOf(server).fetch(path, init),
    open: (path, ...rest) => placeOf(server).open(path, ...rest),
  };
  describeSignaling(name, place);
}
