/** One WebSocket to a room, kept open: typed messages in and out, no WebRTC. Usable alone. */
import { type Close, COMING_BACK, heldFor, isFinal, UNAUTHORIZED } from '../protocol/close.ts';
import type { IceServers } from '../protocol/ice-servers.ts';
import { type Join, joinSubprotocols, joinUrl } from '../protocol/join.ts';
import {
  type ClientMessage,
  type ErrorMessage,
  type PeerJoin,
  type PeerLeave,
  type Peers,
  PING,
  PONG,
  parseServerMessage,
} from '../protocol/messages.ts';
import { retryDelay } from './backoff.ts';
import { type Deferred, newDeferred } from './deferred.ts';
import { Emitter } from './events.ts';
import { Heartbeat } from './heartbeat.ts';
import { explainFailure } from './probe.ts';
import { randomHex } from './random.ts';
import { askForToken, type RoomToken } from './room-token.ts';

/** How long to wait for an answer where the network has changed, in ms: a socket of the former one gets none. */
const ANSWER_ONLINE_WITHIN_MS = 1_500;

/** A socket that was open for this long, in ms, was a good one: the count of attempts starts over. */
const GOOD_AFTER_MS = 10_000;

/** Our own name for an attempt without a token: try again later (as in RFC 6455's registry of close codes). */
const UNAVAILABLE = 1013;

/** Most messages that wait for a connection, as many as the server takes at once; the oldest go first when there are more. */
const MAX_WAITING = 500;

/**
 * `connecting` until the room has answered for the first time, `open` while it can be spoken to, `reconnecting` between
 * a loss and the next answer, `closed` before `start`, after `stop` and after a final refusal.
 */
export type SignalingState = 'connecting' | 'open' | 'reconnecting' | 'closed';

export type WebSocketClass = new (url: string, subprotocols: string[]) => object;

export interface SignalingOptions {
  /** Address of the server: http, https, ws or wss, with or without a path. */
  workerUrl: string;
  /** The room: 1 to 128 characters, at most 256 UTF-8 bytes. */
  roomId: string;
  /** Our id in the room, unique there; the server makes one up if there is none. */
  clientId?: string;
  /** What the others are told of us, any JSON of at most 2,560 UTF-8 bytes. */
  metadata?: unknown;
  /** Most peers that the room is to have, if we are the first in it: 1 to 32,000. The server may have a lower limit. */
  maxPeers?: number;
  /** Ask for the offers that others have published ahead. */
  ahead?: boolean;
  /** How often to ping, in ms; default 25,000. An answer is waited for 0.4 times as long. */
  pingEveryMs?: number;
  /**
   * The secret by which we get our place back, 36 characters as a random UUID has them; made up if there is none. With an
   * owned id (PROTOCOL.md) it is the id's own.
   */
  resumeToken?: string;
  /** The room token that the server wants (PROTOCOL.md). A function is asked for one at each connection. */
  token?: RoomToken;
  /**
   * Called before the first connection, which waits for it: resolves with an answer to whichever offer published ahead
   * the room will give us, to be sent along.
   */
  prepare?: () => Promise<unknown>;
  /** For places without a global WebSocket. `object`, because each has types of its own for the same thing. */
  WebSocket?: WebSocketClass;
}

export interface SignalingEvents {
  /** The state has changed; or, while it is `connecting`, it has come out for what `reason` that takes so long. */
  state: [state: SignalingState, reason: string | undefined];
  /** We are in: who is here, after the first connection and after each later one. */
  peers: [message: Peers];
  /** Someone came, or came back. */
  join: [message: PeerJoin];
  /** Someone left. */
  leave: [message: PeerLeave];
  signal: [fromId: string, signal: unknown];
  broadcast: [fromId: string, data: unknown];
  /** ICE servers for us, in place of those we were given before. Those that are at hand come with `peers`. */
  iceservers: [given: IceServers];
  /** The server refused a message. */
  error: [message: ErrorMessage];
  /** The server refused us for good, and the state is about to be `closed`: its close code, and why. */
  refused: [close: Close];
}

export class SignalingClient extends Emitter<SignalingEvents> {
  /** @internal As a minified class would else be printed by another name. */
  static override readonly name: string = 'SignalingClient';

  state: SignalingState = 'closed';
  /** Why we are still `connecting`, in a sentence for the developer, from the first attempt that failed on. */
  reason: string | undefined;
  /** Our id in the room, once the room has answered. */
  clientId: string | undefined;
  readonly #options: SignalingOptions;
  /**
   * Gives us back the place we left, and nobody else. Our own from the first attempt on, so that an answer lost on the
   * way to us does not lock us out. In memory only: a copied tab would else throw out the one it was copied from.
   */
  readonly #resumeToken: string;
  readonly #heartbeat: Heartbeat;
  #socket: WebSocket | undefined;
  #started: Deferred | undefined;
  /** Which `start` is entering: one before it, that was undone, does not go on. */
  #entry: object | undefined;
  #waiting: string[] = [];
  #attempt = 0;
  /** Whether the last token was not taken, and another is asked for. */
  #isRenewing = false;
  #openedAt = 0;
  #lostAt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  /** Throws Error for an address, room id, client id, number of peers or metadata that cannot work. */
  constructor(options: SignalingOptions) {
    super();
    this.#options = options;
    this.#resumeToken = options.resumeToken ?? randomHex(36);
    this.#heartbeat = new Heartbeat(
      () => this.#socket?.send(PING),
      () => this.#lost({ code: 1006, reason: '' }),
      options.pingEveryMs,
    );
    joinUrl(options.workerUrl, this.#join);
    if (!(options.WebSocket ?? globalThis.WebSocket))
      throw new Error('There is no WebSocket here: pass one as the option WebSocket, e.g. that of the npm package ws.');
  }

  /**
   * Connects, and reconnects whenever the connection is lost. Resolves when the room has answered for the first time;
   * rejects with Error only if it refuses for good (4000, 4003, 4009, 4401, 4403), which is then the error's `code`, or if `stop` is
   * called before it answers.
   */
  start(): Promise<void> {
    this.#started ??= newDeferred();
    const { promise } = this.#started;
    if (this.state === 'closed') this.#begin();
    return promise;
  }

  /** Leaves the room for now: a `start` that is pending goes on with the next one. */
  pause(): void {
    if (this.state === 'connecting') this.#close();
    else if (this.state !== 'closed') this.stop();
  }

  /**
   * Leaves the room. What waits to be sent is dropped, and a `start` that is pending rejects with an Error named
   * AbortError, or with `error`. `start` may be called again.
   */
  stop(error = Object.assign(new Error('Stopped before the room had answered.'), { name: 'AbortError' })): void {
    this.#end(error);
  }

  /** Carries `signal` to one peer, or to all others if `targetId` is `__broadcast__`. Waits while reconnecting. */
  send(targetId: string, signal: unknown): void {
    this.#send({ type: 'signal', targetId, signal });
  }

  /** Carries `data` to all others. Waits while reconnecting. */
  broadcast(data: unknown): void {
    this.#send({ type: 'broadcast', data });
  }

  /** Has one peer put out of the room: for those whose room token says `host`. Waits while reconnecting. */
  remove(targetId: string): void {
    this.#send({ type: 'remove', targetId });
  }

  /** Publishes an offer ahead, for one who joins. Worth nothing on another connection, so it does not wait. */
  publish(offer: unknown): void {
    if (this.state === 'open') this.#send({ type: 'ahead', offer });
  }

  /** Asks for new ICE servers: what comes is told by `iceservers`. */
  renewIceServers(): void {
    this.#send({ type: 'ice_servers' });
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

  #begin(): void {
    this.#listen('addEventListener');
    void this.#enter(this.#options.prepare);
    this.#setState('connecting'); // last, as a listener may stop us
  }

  async #enter(prepare?: SignalingOptions['prepare']): Promise<void> {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const entry = {};
    this.#entry = entry;
    // A microtask later at least, so that a start that is undone at once, as by React's StrictMode, asks nothing of the
    // server.
    const [answer, token] = await Promise.all([prepare?.(), askForToken(this.#options.token)]);
    if (this.#entry !== entry || this.#socket) return;
    if (token === null) return this.#lost({ code: UNAVAILABLE, reason: '' });
    try {
      this.#connect(token, answer);
    } catch (error) {
      this.#end(error); // a page on https may not open ws://
    }
  }

  #connect(token: string | undefined, answer: unknown): void {
    const { workerUrl, WebSocket = globalThis.WebSocket } = this.#options;
    const join = {
      ...this.#join,
      ...(token && { token }),
      ...(answer !== undefined && { answer: JSON.stringify(answer) }),
    };
    const socket: WebSocket = Object(new WebSocket(joinUrl(workerUrl, join), joinSubprotocols(join)));
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onclose = (event) => this.#lost(event);
    socket.onerror = () => undefined; // close tells; the npm package ws throws an error nobody listens for
    this.#heartbeat.expect();
  }

  #receive(text: string): void {
    if (text === PONG) {
      this.#heartbeat.heard();
      return;
    }
    const message = parseServerMessage(text);
    switch (message?.type) {
      case 'peers':
        if (this.state !== 'open') this.#opened(message); // a room answers once
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
      case 'ice_servers':
        this.emit('iceservers', message);
        return;
      case 'error':
        if (message.close) this.#lost(message.close);
        else this.emit('error', message);
        return;
      default:
        message satisfies undefined; // a newer server may say more
    }
  }

  #opened(message: Peers): void {
    this.clientId = message.yourId;
    this.#openedAt = Date.now();
    this.#isRenewing = false;
    this.#heartbeat.beat(); // at once: the room holds no place for a page that may have gone while its socket opened
    for (const text of this.#waiting.splice(0)) this.#socket?.send(text);
    const started = this.#started;
    this.#setState('open');
    started?.resolve();
    if (this.#socket) this.emit('peers', message); // unless a listener has stopped us
  }

  #lost(close: Close): void {
    const mayRenew = close.code === UNAUTHORIZED && typeof this.#options.token === 'function' && !this.#isRenewing;
    if (mayRenew) this.#isRenewing = true;
    else if (isFinal(close)) {
      this.emit('refused', { code: close.code, reason: close.reason });
      const error = new Error(`The room refused: ${close.reason} (${close.code}).`);
      this.#end(Object.assign(error, { code: close.code }));
      return;
    }
    this.#leaveSocket(COMING_BACK);
    const now = Date.now();
    const wasOpen = this.state === 'open';
    if (wasOpen) {
      this.#lostAt = now;
      if (now - this.#openedAt >= GOOD_AFTER_MS) this.#attempt = 0;
    } else {
      this.#lostAt ||= now;
    }
    // Any other code is a room's, which has said why.
    if (this.state === 'connecting' && this.#attempt === 0 && close.code === 1006) void this.#explain(this.#started);
    const delay = retryDelay(this.#attempt++, now - this.#lostAt, Math.random());
    this.#retryTimer = setTimeout(() => void this.#enter(), delay + (heldFor(close) ?? 0) * 1000);
    if (wasOpen) this.#setState('reconnecting'); // last, as a listener may stop us
  }

  /** The first attempt has failed, which a browser gives no reason for. */
  async #explain(started: Deferred | undefined): Promise<void> {
    const reason = await explainFailure(this.#options.workerUrl);
    if (started !== this.#started || this.state !== 'connecting') return;
    if (reason !== this.reason) console.warn(`P2PCF-WS: ${reason}`);
    this.reason = reason;
    this.emit('state', this.state, reason);
  }

  /** The network is back or another, or the user is back: no need to wait any longer, or a need to look. */
  readonly #hurry = ({ type }: Event): void => {
    const isOnline = type === 'online';
    if (!isOnline && globalThis.document?.visibilityState === 'hidden') return;
    if (this.state === 'open') this.#heartbeat.beat(isOnline ? ANSWER_ONLINE_WITHIN_MS : undefined);
    else if (isOnline || this.#retryTimer !== undefined) {
      this.#leaveSocket(COMING_BACK); // an attempt that hangs on the network that was
      void this.#enter();
    }
  };

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    globalThis[how]?.('online', this.#hurry);
    globalThis.document?.[how]('visibilitychange', this.#hurry);
  }

  #end(error: unknown): void {
    const started = this.#started;
    this.#started = undefined;
    started?.reject(error);
    this.#close();
  }

  #close(): void {
    this.#entry = undefined;
    this.#leaveSocket();
    this.#listen('removeEventListener');
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#waiting = [];
    this.#attempt = this.#lostAt = 0;
    this.#isRenewing = false;
    this.#setState('closed');
  }

  /** Is done with the present socket, whatever becomes of it. */
  #leaveSocket(code = 1000): void {
    this.#heartbeat.stop();
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    // Closed before it is open, a socket just breaks off. If the join has arrived by then the room takes that for a drop,
    // and holds our place for a while: so who leaves for good is let in first, and then says goodbye.
    if (socket.readyState === 0 && code === 1000) socket.onopen = () => socket.close(code);
    else socket.close(code);
  }

  get #join(): Join {
    const { roomId, clientId, metadata, maxPeers, ahead = false } = this.#options;
    // The id the server made up is ours from then on.
    const id = this.clientId ?? clientId;
    return {
      roomId,
      ...(id && { clientId: id }),
      ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
      ...(maxPeers !== undefined && { maxPeers }),
      resume: this.#resumeToken,
      // Whoever returns has its connections.
      ahead: ahead && this.state !== 'reconnecting',
    };
  }

  #setState(state: SignalingState): void {
    if (state === this.state) return;
    this.state = state;
    this.reason = undefined;
    this.emit('state', state, undefined);
  }
}
