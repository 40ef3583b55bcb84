/** In a page, before anything else: notes what its sockets and peer connections do, and when. */
import { now } from './clock.ts';

export interface Moment {
  at: number;
  what: string;
}

declare global {
  var trace: Moment[];
}

globalThis.trace = [];

function note(what: string): void {
  globalThis.trace.push({ at: now(), what });
}

function start(data: unknown): string {
  return typeof data === 'string' ? `${data.length} bytes: ${data.slice(0, 70).replaceAll(/\s+/g, ' ')}` : 'binary';
}

globalThis.WebSocket = class extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    note('socket made');
    super(url, protocols);
    this.addEventListener('open', () => note('socket open'));
    this.addEventListener('message', ({ data }) => note(`<- ${start(data)}`));
  }

  override send(data: string | BufferSource | Blob): void {
    note(`-> ${start(data)}`);
    super.send(data);
  }
};

let connections = 0;

globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  readonly #name: string = `connection ${++connections}`;

  constructor(configuration?: RTCConfiguration) {
    const startedAt = now();
    super(configuration);
    note(`${this.#name} made, in ${(now() - startedAt).toFixed(1)} ms`);
    this.addEventListener('icecandidate', ({ candidate }) =>
      note(`${this.#name} ${candidate?.candidate.split(' ', 8).slice(2).join(' ') ?? 'no more candidates'}`),
    );
    this.addEventListener('iceconnectionstatechange', () => note(`${this.#name} ICE ${this.iceConnectionState}`));
    this.addEventListener('connectionstatechange', () => note(`${this.#name} ${this.connectionState}`));
    this.addEventListener('datachannel', ({ channel }) => {
      note(`${this.#name} was given a channel, ${channel.readyState}`);
      channel.addEventListener('open', () => note(`${this.#name} channel open`));
    });
  }

  override createDataChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel {
    const channel = super.createDataChannel(label, options);
    channel.addEventListener('open', () => note(`${this.#name} channel open`));
    return channel;
  }

  // lib.dom gives these a second, deprecated form, which an override has to have too.
  override async setLocalDescription(description?: RTCLocalSessionDescriptionInit): Promise<void> {
    const startedAt = now();
    await super.setLocalDescription(description);
    note(`${this.#name} has its ${this.localDescription?.type}, in ${(now() - startedAt).toFixed(1)} ms`);
  }

  override async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    const startedAt = now();
    await super.setRemoteDescription(description);
    note(`${this.#name} has the other's ${description.type}, in ${(now() - startedAt).toFixed(1)} ms`);
  }

  override async addIceCandidate(candidate?: RTCIceCandidateInit | null): Promise<void> {
    const startedAt = now();
    await super.addIceCandidate(candidate);
    note(`${this.#name} took a candidate, in ${(now() - startedAt).toFixed(1)} ms`);
  }
};
