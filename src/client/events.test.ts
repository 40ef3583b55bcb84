import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { Emitter } from './events.ts';

/** What Node's has, too: of both the same is to be heard. */
type Face = Pick<EventEmitter, 'on' | 'once' | 'off' | 'emit' | 'removeAllListeners' | 'listenerCount'>;

const scenes: [what: string, play: (emitter: Face, hear: (what: unknown) => void) => void][] = [
  [
    'a listener that is added by once, and then by on',
    (emitter, hear) => {
      emitter.once('a', hear).on('a', hear);
      for (const n of [1, 2, 3]) emitter.emit('a', n);
    },
  ],
  [
    'a listener that is added by on, and then by once, and taken away',
    (emitter, hear) => {
      emitter.on('a', hear).once('a', hear).off('a', hear);
      for (const n of [1, 2]) emitter.emit('a', n);
    },
  ],
  [
    'an event that is emitted again by a listener, with one behind it that hears it once',
    (emitter, hear) => {
      emitter.once('a', () => emitter.emit('a', 'again'));
      emitter.once('a', hear);
      emitter.emit('a', 'first');
    },
  ],
  [
    'a listener that takes itself away, and adds another',
    (emitter, hear) => {
      const self = (n: number): void => {
        hear(`self ${n}`);
        emitter.off('a', self).on('a', hear);
      };
      emitter.on('a', self).on('a', hear);
      for (const n of [1, 2]) emitter.emit('a', n);
    },
  ],
  [
    'all listeners of an event are taken away, or all',
    (emitter, hear) => {
      emitter.on('a', hear).once('a', hear).on('b', hear).removeAllListeners('a');
      emitter.emit('a', 1);
      emitter.emit('b', 2);
      hear([emitter.listenerCount('a'), emitter.listenerCount('b'), emitter.removeAllListeners().listenerCount('b')]);
    },
  ],
];

test.each(scenes)('as with Node: %s', (_what, play) => {
  const [ours, nodes] = [new Emitter(), new EventEmitter()].map((emitter) => {
    const heard: unknown[] = [];
    play(Object(emitter), (what) => heard.push(what));
    return heard;
  });
  expect(ours).toEqual(nodes);
});

test.each([undefined, null, 'close', {}])('%j, which is no function, is named as a listener', (listener) => {
  const emitter = new Emitter<{ close: [] }>();
  for (const method of ['on', 'once', 'addListener'] as const)
    expect(() => Reflect.apply(emitter[method], emitter, ['close', listener])).toThrow(
      `The listener of close is ${listener}, no function.`,
    );
});
