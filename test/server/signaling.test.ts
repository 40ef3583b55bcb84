import { afterAll, beforeAll } from 'vitest';
import { type Server, startDev, startWorkerd } from '../../scripts/server.ts';
import type { Place } from '../client.ts';
import { describeSignaling } from '../signaling.ts';
import { placeOf } from './place.ts';

for (const [name, start] of [
  ['on workerd', startWorkerd],
  ['on npm run dev', startDev],
] as const) {
  let server: Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());
  const place: Place = {
    fetch: (path, init) => placeOf(server).fetch(path, init),
    open: (path, listen) => placeOf(server).open(path, listen),
  };
  describeSignaling(name, place);
}
