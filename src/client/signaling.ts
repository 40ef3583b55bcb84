/** One WebSocket to a room, kept open: typed messages in and out, no WebRTC. Usable alone. */
import { isFinal } from '../protocol/close.ts';
import { idFault } from '../protocol/ids.ts';
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

/** How often to ping, and how long to wait for the answer, in ms. */
const PING_EVERY_MS = 25_000;
const PONG_WITHIN_MS = 10_000;

/** A socket that was open for this long, in ms, was a good one: the count of attempts starts over. */
const GOOD_AFTER_MS = 10_000;

/** Most messages that wait for a connection; the oldest go first when there are more. */
const MAX_WAITING = 1_000;

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
  /** For places without a global WebSocket. */
  WebSocket?: typeof WebSocket;
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
  readonly #url: string;
  readonly #WebSocket: typeof WebSocket;
  #socket: WebSocket | undefined;
  #started: PromiseWithResolvers<void> | undefined;
  #waiting: string[] = [];
  #attempt = 0;
  #openedAt = 0;
  #lostAt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #pongTimer: ReturnType<typeof setTimeout> | undefined;

  /** Throws Error for an address, room id, client id or metadata that cannot work. */
  constructor(options: SignalingOptions) {
    super();
    this.#url = roomUrl(options);
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
  }

  /**
   * Connects, and reconnects whenever the connection is lost. Resolves when the room has answered for the first time;
   * rejects with Error only if it refuses for good (4000, 4003) or `stop` is called before it answers.
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
    this.#end(new Error('Stopped.'), 1000);
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
    const socket = new this.#WebSocket(this.#url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  #receive(text: string): void {
    if (text === PONG) {
      clearTimeout(this.#pongTimer);
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
    this.clientId = message.yourId;
    this.#openedAt = Date.now();
    this.#pingTimer = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#setState('open');
    this.emit('peers', message);
    for (const text of this.#waiting.splice(0)) this.#socket?.send(text);
    this.#started?.resolve();
  }

  #ping(): void {
    this.#socket?.send(PING);
    // A half-open connection says nothing, and its close event may take minutes: move on without it.
    clearTimeout(this.#pongTimer);
    this.#pongTimer = setTimeout(() => this.#lost(1006, ''), PONG_WITHIN_MS);
  }

  #lost(code: number, reason: string): void {
    if (isFinal(code)) {
      this.#end(new Error(`The room refused: ${reason} (${code}).`));
      return;
    }
    this.#letGo();
    const now = Date.now();
    if (this.state === 'open') {
      this.#lostAt = now;
      if (now - this.#openedAt >= GOOD_AFTER_MS) this.#attempt = 0;
      this.#setState('reconnecting');
    } else {
      this.#lostAt ||= now;
    }
    const delay = retryDelay(this.#attempt++, now - this.#lostAt, Math.random());
    this.#retryTimer = setTimeout(() => this.#connect(), delay);
  }

  /** The network is back, or the user is: no need to wait any longer. */
  readonly #hurry = (): void => {
    if (this.#retryTimer !== undefined && globalThis.document?.visibilityState !== 'hidden') this.#connect();
  };

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    globalThis[how]?.('online', this.#hurry);
    globalThis.document?.[how]('visibilitychange', this.#hurry);
  }

  #end(error: unknown, code?: number): void {
    if (!this.#started) return;
    this.#letGo(code);
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
  #letGo(code?: number): void {
    clearInterval(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #setState(state: SignalingState): void {
    if (state === this.state) return;
    this.state = state;
    this.emit('state', state);
  }
}

/** Throws Error with a sentence for what is wrong. */
function roomUrl({ workerUrl, roomId, clientId, metadata, ahead }: SignalingOptions): string {
  if (!workerUrl) throw new Error('workerUrl is missing: pass the address of your server');
  const url = URL.canParse(workerUrl) ? new URL(workerUrl) : undefined;
  if (!url || !/^(http|ws)s?:$/.test(url.protocol)) {
    throw new Error(`workerUrl is ${workerUrl}: it must begin with https://, http://, wss:// or ws://`);
  }
  const fault = idFault(roomId) ?? (/^\.\.?$/.test(roomId) ? 'is a step in a path, which no URL can carry' : undefined);
  if (fault) throw new Error(`The room id ${fault}.`);
  const clientFault = clientId && idFault(clientId);
  if (clientFault) throw new Error(`The client id ${clientFault}.`);
  url.protocol = url.protocol.replace('http', 'ws');
  url.pathname = url.pathname.replace(/\/*$/, `/ws/room/${encodeURIComponent(roomId)}`);
  if (clientId) url.searchParams.set('clientId', clientId);
  if (metadata !== undefined) url.searchParams.set('metadata', JSON.stringify(metadata));
  if (ahead) url.searchParams.set('ahead', '1');
  return url.href;
}
