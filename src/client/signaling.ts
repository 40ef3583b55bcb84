/** One WebSocket to a room, kept open: typed messages in and out, no WebRTC. Usable alone. */
import { type Close, COMING_BACK, heldFor, isFinal } from '../protocol/close.ts';
import { joinUrl } from '../protocol/join.ts';
import {
  type ClientMessage,
  type ErrorMessage,
  type PeerJoin,
  type PeerLeave,
  type Peers,
  PING,
  PONG,
  type ServerMessage,
} from '../protocol/messages.ts';
import { retryDelay } from './backoff.ts';
import { Emitter } from './events.ts';

/** How often to ping, in ms: half of what the most impatient of proxies wait. */
const PING_EVERY_MS = 25_000;

/** How long to wait for any answer of the server, as part of the time between pings: 10 of 25 s. */
const ANSWER_WITHIN = 0.4;

/** A socket that was open for this long, in ms, was a good one: the count of attempts starts over. */
const GOOD_AFTER_MS = 10_000;

/** Most messages that wait for a connection, as many as the server takes at once; the oldest go first when there are more. */
const MAX_WAITING = 500;

/**
 * `connecting` until the room has answered for the first time, `open` while it can be spoken to, `reconnecting` between
 * a loss and the next answer, `closed` before `start`, after `stop` and after a final refusal.
 */
export type SignalingState = 'connecting' | 'open' | 'reconnecting' | 'closed';

export interface SignalingOptions {
  /** Address of the server: http, https, ws or wss, with or without a path. */
  workerUrl: string;
  /** The room: 1 to 128 characters, at most 256 UTF-8 bytes. */
  roomId: string;
  /** Our id in the room, unique there; the server makes one up if there is none. */
  clientId?: string;
  /** What the others are told of us, any JSON of at most 2,560 UTF-8 bytes. */
  metadata?: unknown;
  /** Ask for the offers that others have published ahead. */
  ahead?: boolean;
  /** How often to ping, in ms; default 25,000. An answer is waited for 0.4 times as long. */
  pingEveryMs?: number;
  /** For places without a global WebSocket. `object`, because each has types of its own for the same thing. */
  WebSocket?: new (
    url: string,
  ) => object;
}

export interface SignalingEvents {
  /** The state has changed. */
  state: [state: SignalingState];
  /** We are in: who is here, after the first connection and after each later one. */
  peers: [message: Peers];
  /** Someone came, or came back. */
  join: [message: PeerJoin];
  /** Someone left. */
  leave: [message: PeerLeave];
  signal: [fromId: string, signal: unknown];
  broadcast: [fromId: string, data: unknown];
  /** The server refused a message. */
  error: [message: ErrorMessage];
}

export class SignalingClient extends Emitter<SignalingEvents> {
  state: SignalingState = 'closed';
  /** Our id in the room, once the room has answered. */
  clientId: string | undefined;
  readonly #options: SignalingOptions;
  /**
   * Gives us back the place we left, and nobody else. Our own from the first attempt on, so that an answer lost on the
   * way to us does not lock us out. In memory only: a copied tab would else throw out the one it was copied from.
   */
  readonly #resumeToken = hex(18);
  #socket: WebSocket | undefined;
  #started: PromiseWithResolvers<void> | undefined;
  #waiting: string[] = [];
  #attempt = 0;
  #openedAt = 0;
  #lostAt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;

  /** Throws Error for an address, room id, client id or metadata that cannot work. */
  constructor(options: SignalingOptions) {
    super();
    this.#options = options;
    this.#url();
  }

  /**
   * Connects, and reconnects whenever the connection is lost. Resolves when the room has answered for the first time;
   * rejects with Error only if it refuses for good (4000, 4003, 4009) or `stop` is called before it answers.
   */
  start(): Promise<void> {
    if (this.#started) return this.#started.promise;
    this.#started = Promise.withResolvers();
    this.#listen('addEventListener');
    const { promise } = this.#started;
    this.#setState('connecting');
    try {
      this.#connect();
    } catch (error) {
      this.#end(error); // a page on https may not open ws://
    }
    return promise;
  }

  /** Leaves the room. What waits to be sent is dropped. `start` may be called again. */
  stop(): void {
    this.#end(new Error('Stopped.'));
  }

  /** Carries `signal` to one peer, or to all others if `targetId` is `__broadcast__`. Waits while reconnecting. */
  send(targetId: string, signal: unknown): void {
    this.#send({ type: 'signal', targetId, signal });
  }

  /** Carries `data` to all others. Waits while reconnecting. */
  broadcast(data: unknown): void {
    this.#send({ type: 'broadcast', data });
  }

  /** Publishes an offer ahead, for one who joins. Worth nothing on another connection, so it does not wait. */
  publish(offer: unknown): void {
    if (this.state === 'open') this.#send({ type: 'ahead', offer });
  }

  #send(message: ClientMessage): void {
    const text = JSON.stringify(message);
    if (this.state === 'open') {
      this.#socket?.send(text);
    } else if (this.state !== 'closed') {
      this.#waiting.push(text);
      if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    }
  }

  #connect(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const { WebSocket = globalThis.WebSocket } = this.#options;
    const socket: WebSocket = Object(new WebSocket(this.#url()));
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onclose = (event) => this.#lost(event);
    socket.onerror = () => undefined; // close tells; the npm package ws throws an error nobody listens for
    this.#expectAnswer();
  }

  /** A half-open connection says nothing, and its close event may take minutes: move on without it. */
  #expectAnswer(): void {
    clearTimeout(this.#answerTimer);
    const withinMs = this.#pingEveryMs * ANSWER_WITHIN;
    this.#answerTimer = setTimeout(() => this.#lost({ code: 1006, reason: '' }), withinMs);
  }

  get #pingEveryMs(): number {
    return this.#options.pingEveryMs ?? PING_EVERY_MS;
  }

  #receive(text: string): void {
    if (text === PONG) {
      clearTimeout(this.#answerTimer);
      return;
    }
    const message: ServerMessage = JSON.parse(text);
    switch (message.type) {
      case 'peers':
        this.#opened(message);
        return;
      case 'peer_join':
        this.emit('join', message);
        return;
      case 'peer_leave':
        this.emit('leave', message);
        return;
      case 'signal':
        this.emit('signal', message.fromId, message.signal);
        return;
      case 'broadcast':
        this.emit('broadcast', message.fromId, message.data);
        return;
      case 'error':
        this.emit('error', message);
        return;
      default:
        message satisfies never; // a newer server may say more
    }
  }

  #opened(message: Peers): void {
    clearTimeout(this.#answerTimer);
    this.clientId = message.yourId;
    this.#openedAt = Date.now();
    this.#pingTimer = setInterval(() => this.#ping(), this.#pingEveryMs);
    for (const text of this.#waiting.splice(0)) this.#socket?.send(text);
    this.#setState('open');
    this.#started?.resolve();
    if (this.#socket) this.emit('peers', message); // unless a listener has stopped us
  }

  #ping(): void {
    this.#socket?.send(PING);
    this.#expectAnswer();
  }

  #lost(close: Close): void {
    if (isFinal(close)) {
      this.#end(new Error(`The room refused: ${close.reason} (${close.code}).`));
      return;
    }
    this.#letGo(COMING_BACK);
    const now = Date.now();
    if (this.state === 'open') {
      this.#lostAt = now;
      if (now - this.#openedAt >= GOOD_AFTER_MS) this.#attempt = 0;
      this.#setState('reconnecting');
    } else {
      this.#lostAt ||= now;
    }
    const delay = retryDelay(this.#attempt++, now - this.#lostAt, Math.random());
    this.#retryTimer = setTimeout(() => this.#connect(), delay + (heldFor(close) ?? 0) * 1000);
  }

  /** The network is back or another, or the user is back: no need to wait any longer, or a need to look. */
  readonly #hurry = ({ type }: Event): void => {
    const isOnline = type === 'online';
    if (!isOnline && globalThis.document?.visibilityState === 'hidden') return;
    if (this.state === 'open') this.#ping();
    else if (isOnline || this.#retryTimer !== undefined) {
      this.#letGo(COMING_BACK); // an attempt that hangs on the network that was
      this.#connect();
    }
  };

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    globalThis[how]?.('online', this.#hurry);
    globalThis.document?.[how]('visibilitychange', this.#hurry);
  }

  #end(error: unknown): void {
    if (!this.#started) return;
    this.#letGo();
    this.#listen('removeEventListener');
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#waiting = [];
    this.#attempt = this.#lostAt = 0;
    const { promise, reject } = this.#started;
    this.#started = undefined;
    promise.catch(() => undefined); // whoever waits for start() hears of it there
    reject(error);
    this.#setState('closed');
  }

  /** Is done with the present socket, whatever becomes of it. */
  #letGo(code = 1000): void {
    clearInterval(this.#pingTimer);
    clearTimeout(this.#answerTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #url(): string {
    const { workerUrl, roomId, clientId, metadata, ahead = false } = this.#options;
    // The id the server made up is ours from then on.
    const id = this.clientId ?? clientId;
    return joinUrl(workerUrl, {
      roomId,
      ...(id && { clientId: id }),
      ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
      resume: this.#resumeToken,
      // Whoever returns has its connections.
      ahead: ahead && this.state !== 'reconnecting',
    });
  }

  #setState(state: SignalingState): void {
    if (state === this.state) return;
    this.state = state;
    this.emit('state', state);
  }
}

/** So many random bytes as hexadecimal digits. */
function hex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
}
