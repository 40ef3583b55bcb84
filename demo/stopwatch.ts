/**
 * When each step towards a connection is done: the library lets an app bring its own WebSocket and RTCPeerConnection,
 * and these tell. Times are those of performance.now().
 */

/** What we and the server have said to each other. */
export const server = {
  openedAt: 0,
  /** The first message of the room: who is in it. */
  answeredAt: 0,
  /** Messages from us, joins included. Pings are not among them: they do not wake the server. */
  sent: 0,
  received: 0,
  lastAt: 0,
};

/** A call begins. */
export function forgetTimes(): void {
  Object.assign(server, { openedAt: 0, answeredAt: 0, sent: 0, received: 0, lastAt: performance.now() });
}

const PINGS: readonly unknown[] = ['ping', 'pong'];

export class TimedWebSocket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    server.answeredAt = 0;
    this.addEventListener('open', () => {
      server.openedAt = performance.now();
      note('sent'); // the join
    });
    this.addEventListener('message', ({ data }) => {
      if (PINGS.includes(data)) return;
      note('received');
      server.answeredAt ||= server.lastAt;
    });
  }

  override send(data: Parameters<WebSocket['send']>[0]): void {
    if (!PINGS.includes(data)) note('sent');
    super.send(data);
  }
}

function note(direction: 'sent' | 'received'): void {
  server[direction]++;
  server.lastAt = performance.now();
}

/** When a connection first was so far; undefined before. */
export interface Steps {
  offer?: number;
  answer?: number;
  ice?: number;
  dtls?: number;
}

/** The steps of the newest connection with each other, by the fingerprint of the other's certificate. */
const stepsWith = new Map<string, Steps>();

/** What is known of the newest connection with that other (peer.fingerprint); it goes on being filled in. */
export function stepsTo(fingerprint = ''): Steps | undefined {
  return stepsWith.get(fingerprint);
}

const isOfMedia = (description: RTCSessionDescription | null): description is RTCSessionDescription =>
  /^m=/m.test(description?.sdp ?? '');

export class TimedConnection extends RTCPeerConnection {
  readonly #steps: Steps = {};

  constructor(configuration?: RTCConfiguration) {
    super(configuration);
    this.addEventListener('signalingstatechange', () => {
      // A joiner first answers an offer of nothing, so as to be ICE controlled: that is no step.
      const { localDescription: ours, remoteDescription: theirs } = this;
      if (isOfMedia(ours) || isOfMedia(theirs)) this.#reach('offer');
      if (this.signalingState !== 'stable' || !isOfMedia(theirs)) return;
      this.#reach('answer');
      this.#file(theirs);
    });
    this.addEventListener('iceconnectionstatechange', () => {
      if (['connected', 'completed'].includes(this.iceConnectionState)) this.#reach('ice');
    });
    // `connected` is both: ICE has found a way, and DTLS has agreed on keys.
    this.addEventListener('connectionstatechange', () => {
      if (this.connectionState === 'connected') this.#reach('dtls');
    });
  }

  #reach(step: keyof Steps): void {
    this.#steps[step] ??= performance.now();
  }

  #file({ sdp }: RTCSessionDescription): void {
    const [, hash = '', digits = ''] = /^a=fingerprint:(\S+) (\S+)/m.exec(sdp) ?? [];
    stepsWith.set(`${hash.toLowerCase()} ${digits.toUpperCase()}`, this.#steps);
  }
}
