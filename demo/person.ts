/** One other in the room: the tiles for camera and screen, and what is known of both. */
import type { Peer, PeerState } from '../src/client/index.ts';
import { announce } from './dom.ts';
import type { Tile, Tiles } from './tiles.ts';
import { pairTrouble } from './trouble.ts';
import type { Message } from './wire.ts';

type Media = Extract<Message, { type: 'media' }>;

/**
 * How long until what they say they show is shown, in ms, with whatever else they have said by then: a tile for each of
 * ten thousand screens would stop the page.
 */
const SHOW_AFTER_MS = 100;

export class Person {
  readonly id: string;
  readonly name: string;
  wasConnected = false;
  readonly #tiles: Tiles;
  readonly #tile: Tile;
  #screenTile: Tile | undefined;
  /** Their streams, by id. */
  readonly #streams = new Map<string, MediaStream>();
  /** What tells how loud each of their tracks is. */
  readonly #receivers = new Map<MediaStreamTrack, RTCRtpReceiver>();
  /** What they say they show; another app says nothing. */
  #media: Media | undefined;
  #showTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(peer: Peer, name: string, tiles: Tiles) {
    this.id = peer.id;
    this.name = name;
    this.#tiles = tiles;
    this.#tile = tiles.add({ name });
    this.showState(peer.state);
    // On a connection that is made anew all is sent again. What came on the old one has ended, and is never removed.
    peer.on('connect', () => {
      this.#streams.clear();
      this.#receivers.clear();
      this.#show();
    });
    peer.on('track', (track, stream, receiver) => {
      this.#streams.set(stream.id, stream);
      if (track.kind === 'audio') this.#receivers.set(track, receiver);
      stream.addEventListener('removetrack', this.#lose); // once, however often they add a track to it
      this.#show();
    });
  }

  showMedia(media: Media): void {
    this.#media = media;
    this.#showTimer ??= setTimeout(() => {
      this.#showTimer = undefined;
      this.#show();
    }, SHOW_AFTER_MS);
  }

  showState(state: PeerState, reason = ''): void {
    if (state === 'connected') this.#tile.state = undefined;
    else if (state === 'failed') this.#tile.state = pairTrouble(this.name, reason);
    else if (state === 'disconnected') this.#tile.state = 'Connection lost. Looking for another way …';
    else this.#tile.state = state === 'waiting' ? 'Waiting for a free connection …' : 'Connecting …';
    if (state === 'failed') announce(`No way to ${this.name} yet.`);
    if (state === 'disconnected') announce(`The connection to ${this.name} is lost.`);
  }

  /** 0 to 1. */
  get loudness(): number {
    if (this.#media?.microphone === false) return 0;
    const levels = [...this.#receivers.values()].map(
      (receiver) => receiver.getSynchronizationSources()[0]?.audioLevel ?? 0,
    );
    return Math.max(0, ...levels);
  }

  set isSpeaking(isSpeaking: boolean) {
    this.#tile.isSpeaking = isSpeaking;
  }

  remove(): void {
    clearTimeout(this.#showTimer);
    this.#tiles.remove(this.#tile);
    if (this.#screenTile) this.#tiles.remove(this.#screenTile);
  }

  /** It may be told late: the track may be there again. */
  readonly #lose = ({ target, track }: MediaStreamTrackEvent): void => {
    for (const [id, stream] of this.#streams) {
      if (stream !== target) continue;
      const tracks = stream.getTracks();
      if (!tracks.includes(track)) this.#receivers.delete(track);
      if (tracks.length === 0) this.#streams.delete(id);
    }
    this.#show();
  };

  #show(): void {
    this.#tile.isMuted = this.#media?.microphone === false;
    const screen = this.#media?.screen ? this.#streams.get(this.#media.screen) : undefined;
    if (screen) {
      if (!this.#screenTile) announce(`${this.name} shares a screen.`);
      this.#screenTile ??= this.#tiles.add({ name: this.name, isScreen: true });
      this.#screenTile.show(screen, true);
    } else if (this.#screenTile) {
      this.#tiles.remove(this.#screenTile);
      this.#screenTile = undefined;
    }
    const camera = [...this.#streams.values()].find((stream) => stream !== screen);
    const hasPicture = (camera?.getVideoTracks().length ?? 0) > 0 && this.#media?.camera !== false;
    this.#tile.show(camera, hasPicture);
  }
}
