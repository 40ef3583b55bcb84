/** One other in the room: the tiles for camera and screen, and what is known of both. */
import type { Peer, PeerState } from '../src/client/index.ts';
import { announce } from './dom.ts';
import type { Tile, Tiles } from './tiles.ts';
import { pairTrouble } from './trouble.ts';
import type { Message } from './wire.ts';

type Media = Extract<Message, { type: 'media' }>;

export class Person {
  readonly id: string;
  readonly name: string;
  wasConnected = false;
  readonly #tiles: Tiles;
  readonly #tile: Tile;
  #screenTile: Tile | undefined;
  /** Their streams, by id. */
  readonly #streams = new Map<string, MediaStream>();
  readonly #receivers = new Set<RTCRtpReceiver>();
  /** What they say they show; another app says nothing. */
  #media: Media | undefined;

  constructor(peer: Peer, name: string, tiles: Tiles) {
    this.id = peer.id;
    this.name = name;
    this.#tiles = tiles;
    this.#tile = tiles.add({ name });
    this.showState(peer.state);
    peer.on('track', (track, stream, receiver) => {
      this.#streams.set(stream.id, stream);
      if (track.kind === 'audio') this.#receivers.add(receiver);
      stream.addEventListener('removetrack', () => {
        if (stream.getTracks().length === 0 && this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
        this.#show();
      });
      this.#show();
    });
  }

  showMedia(media: Media): void {
    this.#media = media;
    this.#tile.isMuted = !media.microphone;
    this.#show();
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
    const levels = [...this.#receivers].map((receiver) => receiver.getSynchronizationSources()[0]?.audioLevel ?? 0);
    return Math.max(0, ...levels);
  }

  set isSpeaking(isSpeaking: boolean) {
    this.#tile.isSpeaking = isSpeaking;
  }

  remove(): void {
    this.#tiles.remove(this.#tile);
    if (this.#screenTile) this.#tiles.remove(this.#screenTile);
  }

  #show(): void {
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
