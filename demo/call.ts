/** A call: who is in the room, and what goes to and fro. */
import P2PCF, { type Peer, type PeerState, type SignalingState } from '../src/client/index.ts';
import { showMessage, showNote } from './chat.ts';
import type { Devices } from './devices.ts';
import { announce } from './dom.ts';
import { forget, sendFile, takeFile } from './files.ts';
import type { Place } from './link.ts';
import { Loudness } from './loudness.ts';
import { nameOf, YOU } from './names.ts';
import { Person } from './person.ts';
import { Speaker } from './speaker.ts';
import { server, TimedConnection, TimedWebSocket } from './stopwatch.ts';
import type { Tile, Tiles } from './tiles.ts';
import { type Attempt, refusal, serverTrouble, strangerTrouble, type Trouble } from './trouble.ts';
import { follow, reached, unfollow } from './why.ts';
import { decode, encode, type Message } from './wire.ts';

/** How often we look who speaks, in ms. */
const LISTEN_EVERY_MS = 200;

/** Our own key among the keys of the speakers: no session id. */
const OURSELVES = '';

export interface CallListener {
  /** How many others are here, or connected, has changed. */
  counted(others: number, connected: number): void;
  /** Connected to somebody, so many ms after our click, or after their coming. */
  connected(ms: number): void;
  troubled(source: 'server' | 'stranger', trouble: Trouble | undefined): void;
  /** The room does not let us in. */
  refused(trouble: Trouble): void;
}

export class Call {
  readonly #room: P2PCF;
  readonly #name: string;
  readonly #devices: Devices;
  readonly #tiles: Tiles;
  readonly #listener: CallListener;
  readonly #people = new Map<Peer, Person>();
  readonly #ownTile: Tile;
  #ownScreen: Tile | undefined;
  readonly #speaker = new Speaker();
  readonly #loudness = new Loudness();
  readonly #timer = setInterval(() => this.#listen(), LISTEN_EVERY_MS);
  readonly #clickedAt = performance.now();
  readonly #attempt: Attempt;
  #hasEntered = false;

  /** `token` is a room token, or empty. Throws Error for a room's name that cannot be. */
  constructor(
    name: string,
    { room, key }: Place,
    token: string,
    devices: Devices,
    tiles: Tiles,
    listener: CallListener,
  ) {
    try {
      this.#room = new P2PCF('demo', room, {
        workerUrl: new URL('..', location.href).href, // the demo is at demo/ there
        metadata: { name },
        // The room's name is not hidden: whoever has another key would be elsewhere, and never hear of it.
        ...(key !== undefined && { key }),
        ...(token && { token }),
        WebSocket: TimedWebSocket,
        wrtc: { RTCPeerConnection: TimedConnection },
      });
    } catch (error) {
      clearInterval(this.#timer);
      this.#loudness.stop();
      throw error;
    }
    this.#attempt = { room, token, origin: location.origin, isSecure: isSecureContext };
    this.#name = name;
    this.#devices = devices;
    this.#tiles = tiles;
    this.#listener = listener;
    this.#ownTile = tiles.add({ name, isOwn: true });
    this.showOwn();
    devices.tracksListener = {
      added: (track, stream) => this.#each((peer) => peer.addTrack(track, stream)),
      removed: (track, stream) => this.#each((peer) => peer.removeTrack(track, stream)),
      replaced: (before, after, stream) => this.#each((peer) => void peer.replaceTrack(before, after, stream)),
    };
    this.#room
      .on('state', (state, reason) => this.#showServer(state, reason))
      .on('peerjoin', (peer) => this.#meet(peer))
      .on('peerconnect', (peer) => this.#greet(peer))
      .on('peerstate', (peer, state, reason) => this.#showState(peer, state, reason))
      .on('peerclose', (peer) => this.#part(peer))
      .on('msg', (peer, data) => this.#take(peer, decode(data)));
  }

  /** How many others. */
  get connected(): number {
    return this.#room.connectedSessions.length;
  }

  /** We were in, and the room does not let us in any more. */
  get isShutOut(): boolean {
    return this.#hasEntered && this.#room.state === 'closed';
  }

  async start(): Promise<void> {
    try {
      await this.#room.start();
      this.#hasEntered = true;
      this.#count();
    } catch (error) {
      if (Object(error).name !== 'AbortError') this.#listener.refused(refusal(error, this.#attempt));
    }
  }

  say(text: string): void {
    showMessage(YOU, text, true);
    this.#tell({ type: 'chat', text });
  }

  send(files: Iterable<File>): void {
    const peers = this.#connectedPeers;
    if (peers.length === 0) showNote('Nobody else is here to get it.');
    else for (const file of files) void sendFile(file, peers);
  }

  /** Our camera, microphone or screen has changed. */
  showOwn(): void {
    const { stream, screen } = this.#devices;
    this.#ownTile.show(stream, this.#devices.isOn('camera'));
    this.#ownTile.isMuted = !this.#devices.isOn('microphone');
    if (screen && !this.#ownScreen)
      this.#ownScreen = this.#tiles.add({ name: this.#name, isOwn: true, isScreen: true });
    if (!screen && this.#ownScreen) {
      this.#tiles.remove(this.#ownScreen);
      this.#ownScreen = undefined;
    }
    this.#ownScreen?.show(screen, true);
    this.#tell(this.#media);
  }

  leave(): void {
    clearInterval(this.#timer);
    this.#loudness.stop();
    this.#devices.tracksListener = undefined;
    this.#room.destroy();
    this.#room.removeAllListeners();
    this.#tiles.remove(this.#ownTile);
    if (this.#ownScreen) this.#tiles.remove(this.#ownScreen);
  }

  get #media(): Message {
    const { screen } = this.#devices;
    return {
      type: 'media',
      microphone: this.#devices.isOn('microphone'),
      camera: this.#devices.isOn('camera'),
      screen: screen?.id ?? '',
    };
  }

  get #connectedPeers(): Peer[] {
    return [...this.#people.keys()].filter(({ connected }) => connected);
  }

  #each(work: (peer: Peer) => void): void {
    for (const peer of this.#connectedPeers) work(peer);
  }

  #tell(message: Message): void {
    this.#each((peer) => void peer.send(encode(message)));
  }

  #meet(peer: Peer): void {
    const name = nameOf(peer, this.#name);
    this.#people.set(peer, new Person(peer, name, this.#tiles));
    // Whom we find here we have connected to since our click; whoever comes later, since then.
    const times = this.#hasEntered
      ? { start: performance.now() }
      : { start: this.#clickedAt, socket: server.openedAt, peers: server.answeredAt };
    follow(peer, name, times);
    this.#count();
  }

  #greet(peer: Peer): void {
    const person = this.#people.get(peer);
    if (!person) return;
    for (const stream of this.#devices.streams) peer.addStream(stream);
    void peer.send(encode(this.#media));
    const ms = reached(peer);
    if (!person.wasConnected) {
      showNote(`${person.name} is here, connected in ${Math.round(ms)} ms.`);
      announce(`${person.name} is here.`);
      this.#listener.connected(ms);
    }
    person.wasConnected = true;
    this.#count();
  }

  #showState(peer: Peer, state: PeerState, reason: string | undefined): void {
    const person = this.#people.get(peer);
    if (person) person.showState(state, reason);
    // Never met: it has another key.
    else if (state === 'failed') this.#listener.troubled('stranger', strangerTrouble(reason ?? ''));
  }

  #part(peer: Peer): void {
    const person = this.#people.get(peer);
    this.#people.delete(peer);
    person?.remove();
    forget(peer);
    unfollow(peer);
    if (person?.wasConnected) {
      showNote(`${person.name} has left.`);
      announce(`${person.name} has left.`);
    }
    this.#count();
  }

  #take(peer: Peer, message: Message | undefined): void {
    const person = this.#people.get(peer);
    if (!person || !message) return;
    if (message.type === 'chat') showMessage(person.name, message.text);
    else if (message.type === 'media') person.showMedia(message);
    else takeFile(peer, person.name, message);
  }

  #count(): void {
    const { connected } = this;
    this.#listener.counted(this.#people.size, connected);
    this.#devices.share(connected);
  }

  #showServer(state: SignalingState, reason: string | undefined): void {
    this.#listener.troubled('server', serverTrouble(state, reason, this.connected));
  }

  #listen(): void {
    const people = [...this.#people.values()];
    const levels = new Map(people.map((person) => [person.id, person.loudness]));
    levels.set(OURSELVES, this.#loudness.of(this.#devices.track('microphone')));
    const speaking = this.#speaker.next(levels, performance.now());
    this.#ownTile.isSpeaking = speaking === OURSELVES;
    for (const person of people) person.isSpeaking = person.id === speaking;
  }
}
