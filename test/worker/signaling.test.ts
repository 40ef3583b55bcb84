import { evictAllDurableObjects } from 'cloudflare:test';
import { describeSignaling } from '../signaling.ts';
import { workerd } from '../support/workerd-place.ts';

describeSignaling('awake throughout', workerd);

describeSignaling('asleep before every step', {
  ...workerd,
  beforeStep: () => evictAllDurableObjects({ webSockets: 'hibernate' }),
});
