import { expect, test } from 'vitest';
import { Received } from './received-media.ts';

/** As much of a MediaStream as is used. */
class Stream {
  tracks: unknown[] = [];
  getTracks(): unknown[] {
    return this.tracks;
  }
  /** The browser takes the tracks out. */
  empty(): void {
    this.tracks = [];
  }
}

/** What is told of tracks, each given with the streams it is part of. */
function listening(): { heard: unknown[]; received: Received; arrive(track: string, ...streams: Stream[]): void } {
  const heard: unknown[] = [];
  const received = new Received({
    track: (track) => heard.push(track),
    stream: (stream) => heard.push(stream),
  });
  return {
    heard,
    received,
    arrive(track, ...streams) {
      for (const stream of streams) stream.tracks.push(track);
      Object(received).take({ track, streams });
    },
  };
}

const microtask = (): Promise<void> => Promise.resolve();

test('what comes before the app has heard of the connection is told after that, once', async () => {
  const { heard, received, arrive } = listening();
  const stream = new Stream();
  arrive('audio', stream);
  arrive('video', stream);
  await microtask();
  expect(heard).toEqual([]);
  received.release();
  received.release();
  await microtask();
  expect(heard).toEqual(['audio', 'video', stream]);
});

test('what was removed by then, or came on a connection that was given up, is not told', async () => {
  const { heard, received, arrive } = listening();
  const removed = new Stream();
  arrive('removed', removed);
  removed.empty();
  received.release();
  received.hold();
  arrive('lost', new Stream());
  received.hold();
  received.release();
  await microtask();
  expect(heard).toEqual([]);
});

test('a stream is told again only if it was empty; a track once for each of its streams', async () => {
  const { heard, received, arrive } = listening();
  const [one, two] = [new Stream(), new Stream()];
  received.release();
  arrive('audio', one, two);
  await microtask();
  arrive('video', one);
  await microtask();
  expect(heard.splice(0)).toEqual(['audio', 'audio', one, two, 'video']);
  one.empty();
  received.forgetEmpty();
  arrive('audio', one);
  await microtask();
  expect(heard).toEqual(['audio', one]);
});
