/** One WebSocket to a room, kept open: typed messages in and out, no WebRTC. Usable alone. */

import { type Close, COMING_BACK, FULL, heldFor, isFinal, isOfRoom, UNAUTHORIZED } from '../protocol/close.ts';
import { type Join, joinSubprotocols, joinUrl } from '../protocol/join.ts';
import { type ClientMessage, type Peers, PING, PONG, parseServerMessage } from '../protocol/messages.ts';
import { retryDelay } from './backoff.ts';
import { type Deferred, newDeferred } from './deferred.ts';
import { Emitter } from './events.ts';
import { Heartbeat } from './heartbeat.ts';
import { printAs } from './printed-name.ts';
import { explainFailure } from './probe.ts';
import { randomHex } from './random.ts';
import { askForToken } from './room-token.ts';
import { leaveSocket, openSocket } from './server-socket.ts';
import type { SignalingEvents, SignalingOptions, SignalingState } from './signaling-options.ts';

export type { SignalingEvents, SignalingOptions, SignalingState, WebSocketClass } from './signaling-options.ts';

/** A socket that was open for this long, in ms, was a good one: the count of attempts starts over. */
const GOOD_AFTER_MS = 10_000;

/**
 * How long a socket may take to be answered by the room, in ms: so long at the first attempt, twice and then three
 * times as long at the next. A network with round trips of seconds needs several before that.
 */
const ANSWERED_WITHIN_MS = 10_000;
const MOST_TIMES = 3;

/** What a browser tells of a connection without a close frame: of one that fell silent, or that was not even tried. */
const BROKEN: Close = { code: 1006, reason: '' };

/**
 * A token that has not come by then, in ms, is told of: the app may have forgotten to give it, or waits for its user.
 */
const TOKEN_LATE_AFTER_MS = 5_000;

/**
 * Most messages that wait for a connection, as many as the server takes at once; when there are more, the oldest are
 * dropped.
 */
const MAX_WAITING = 500;

export class SignalingClient extends Emitter<SignalingEvents> {
  /** @internal As a minified class would else be printed by another name. */
  static override readonly name: string = 'SignalingClient';

  state: SignalingState = 'closed';
  /**
   * In a sentence for the developer: why we are still `connecting`, from the first attempt that failed on; that we are
   * `reconnecting` because the room has filled up meanwhile, or the option token fails or takes long; or why the room
   * is `closed` to us for good.
   */
  reason: string | undefined;
  /** Our id in the room, once the room has answered. */
  clientId: string | undefined;
  readonly #options: SignalingOptions;
  /** As JSON, as it was when we were made: an app may change its object into what cannot be sent. */
  readonly #metadata: string | undefined;
  /**
   * Gives us back the place we left, and nobody else. Our own from the first attempt on, so that an answer lost on the
   * way to us does not lock us out. In memory only: else a copied tab would close the connection of the original tab.
   */
  readonly #resumeToken: string;
  readonly #heartbeat: Heartbeat;
  #socket: WebSocket | undefined;
  #started: Deferred | undefined;
  /** Stands for the latest `start`: an earlier one that was undone does not go on. */
  #entry: object | undefined;
  #waiting: string[] = [];
  #attempt = 0;
  /** Whether the last token was not taken, and another is asked for. */
  #isRenewing = false;
  #openedAt = 0;
  #lostAt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #tokenTimer: ReturnType<typeof setTimeout> | undefined;

  /** Throws Error for an address, room id, client id, number of peers or metadata that cannot work. */
  constructor(options: SignalingOptions) {
    super();
    if (!options || typeof options !== 'object')
      throw new Error(`The options are ${JSON.stringify(options)}, not an object: pass { workerUrl, roomId }.`);
    this.#options = { ...options }; // an app may use its object for another room
    this.#metadata = jsonOf(options.metadata);
    this.#resumeToken = options.resumeToken ?? randomHex(36);
    this.#heartbeat = new Heartbeat(
      () => this.#socket?.send(PING),
      () => this.#lost(BROKEN),
      options.pingEveryMs,
    );
    joinUrl(options.workerUrl, this.#join);
    if (typeof (options.WebSocket ?? globalThis.WebSocket) !== 'function')
      throw new Error('There is no WebSocket: pass one as the option WebSocket, e.g. that of the npm package ws.');
  }

  /**
   * Connects, and reconnects whenever the connection is lost. Resolves when the room has answered for the first time;
   * rejects with Error only if the room refuses for good (4000, 4003, 4009, 4401, 4403), which is then the error's
   * `code`, or if `stop` is called before it answers.
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

  /**
   * Carries `signal` to one peer, or to all others if `targetId` is `__broadcast__`. Waits until the room has answered,
   * also while reconnecting; before `start` and after `stop` this and the next three have no effect.
   */
  send(targetId: string, signal: unknown): void {
    this.#send({ type: 'signal', targetId, signal });
  }

  /** Carries `data` to all others. Waits while reconnecting. */
  broadcast(data: unknown): void {
    this.#send({ type: 'broadcast', data });
  }

  /** Removes a peer from the room: our own room token has to say `host`. Waits while reconnecting. */
  remove(targetId: string): void {
    this.#send({ type: 'remove', targetId });
  }

  /** Publishes an offer ahead, for a client that joins. Worth nothing on another connection, so it does not wait. */
  publish(offer: unknown): void {
    if (this.state === 'open') this.#send({ type: 'ahead', offer });
  }

  /** Asks for new ICE servers: what comes is told by `iceservers`. They come with a join, too, so it does not wait. */
  renewIceServers(): void {
    if (this.state === 'open') this.#send({ type: 'ice_servers' });
  }

  /** @internal Something else has fallen silent: looks whether the server still answers. */
  doubt(): void {
    if (this.state === 'open') this.#heartbeat.doubt();
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
    clearTimeout(this.#tokenTimer);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const entry = {};
    this.#entry = entry;
    // A microtask later at least, so that a start that is undone at once, as by React's StrictMode, asks nothing of the
    // server, nor of the app.
    await undefined;
    if (this.#entry !== entry) return;
    if (typeof this.#options.token === 'function')
      this.#tokenTimer = setTimeout(() => this.#warn('The option token has not answered yet.'), TOKEN_LATE_AFTER_MS);
    // One that fails costs us the answer, not the join.
    const prepared = Promise.resolve()
      .then(prepare)
      .catch((error: unknown) => console.warn(`P2PCF-WS: The option prepare failed: ${error}`));
    const [answer, token] = await Promise.all([prepared, askForToken(this.#options.token)]);
    if (this.#entry !== entry || this.#socket) return;
    clearTimeout(this.#tokenTimer);
    if (token instanceof Error) return this.#lost(BROKEN, token.message);
    try {
      this.#connect(token, answer);
    } catch (error) {
      this.#end(error);
    }
  }

  #connect(token: string | undefined, answer: unknown): void {
    const { workerUrl, WebSocket = globalThis.WebSocket } = this.#options;
    const join = { ...this.#join, token, answer: JSON.stringify(answer) };
    const socket = openSocket(WebSocket, joinUrl(workerUrl, join), joinSubprotocols(join));
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onclose = (event) => this.#lost(event, Object(event).cause);
    // One that never opens may end by its error alone: in Node 22, and in Chromium (156) for a page whose policy forbids
    // it. One that is open tells by close, with a code; the npm package ws throws an error nobody listens for.
    socket.onerror = () => this.#socket === socket && this.#lost(BROKEN);
    socket.onopen = () => {
      socket.onerror = () => undefined;
    };
    this.#heartbeat.expect(ANSWERED_WITHIN_MS * Math.min(this.#attempt + 1, MOST_TIMES));
  }

  #receive(text: string): void {
    if (text === PONG) this.#heartbeat.heard();
    else this.#heartbeat.heardOther();
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
        message satisfies undefined; // a pong; and a newer server may say more
    }
  }

  #opened(message: Peers): void {
    this.clientId = message.yourId;
    this.#openedAt = Date.now();
    this.#isRenewing = false;
    this.#heartbeat.heard();
    this.#heartbeat.beat(); // at once: the room holds no place for a page that may have gone while its socket opened
    for (const text of this.#waiting.splice(0)) this.#socket?.send(text);
    const started = this.#started;
    this.#setState('open');
    started?.resolve();
    if (this.#socket) this.emit('peers', message); // unless a listener has stopped us
  }

  /** `cause` is what we know that the server does not. */
  #lost(close: Close, cause?: string): void {
    const { code } = close;
    const refusal = `The room refused: ${close.reason} (${code}).`;
    const mayRenew = code === UNAUTHORIZED && typeof this.#options.token === 'function' && !this.#isRenewing;
    // A room that forgot us let in others meanwhile. We were first, and come back as soon as one of them leaves.
    const isShutOut = code === FULL.code && this.state === 'reconnecting';
    if (mayRenew) this.#isRenewing = true;
    else if (isFinal(close) && !isShutOut) {
      const started = this.#started;
      this.emit('refused', { code, reason: close.reason });
      if (started !== this.#started) return; // a listener has left, and perhaps started anew
      if (this.state !== 'connecting') console.warn(`P2PCF-WS: ${refusal}`); // nobody waits for start() any more
      this.#end(Object.assign(new Error(refusal), { code }));
      return;
    }
    this.#leaveSocket(COMING_BACK);
    const now = Date.now();
    const wasOpen = this.state === 'open';
    // A room that lets us in and drops us at once, over and over, is as good as lost.
    if (wasOpen && now - this.#openedAt >= GOOD_AFTER_MS) this.#attempt = this.#lostAt = 0;
    this.#lostAt ||= now;
    // Looks why less and less often. A code of a room's says why by itself.
    const isTurn = Number.isInteger(Math.log2(this.#attempt || 1));
    if (!cause && this.state === 'connecting' && isTurn && !isOfRoom(close)) void this.#explain(this.#started);
    const delay = retryDelay(this.#attempt++, now - this.#lostAt, Math.random());
    this.#retryTimer = setTimeout(() => void this.#enter(), delay + (heldFor(close) ?? 0) * 1000);
    // Last, as a listener may stop us.
    if (wasOpen) this.#setState('reconnecting');
    if (isShutOut) this.#tell(refusal);
    if (cause) this.#warn(cause);
  }

  /** An attempt has failed, which a browser gives no reason for. */
  async #explain(started: Deferred | undefined): Promise<void> {
    const reason = await explainFailure(this.#options.workerUrl);
    if (started === this.#started && this.state === 'connecting') this.#warn(reason);
  }

  /** Why the present state goes on, once for each reason. */
  #warn(reason: string): void {
    if (reason === this.reason) return;
    console.warn(`P2PCF-WS: ${reason}`);
    this.#tell(reason);
  }

  /** The network is back or another, or the user is back: no need to wait any longer, or a need to look. */
  readonly #hurry = ({ type }: Event): void => {
    const isOnline = type === 'online';
    if (!isOnline && globalThis.document?.visibilityState === 'hidden') return;
    if (this.state === 'open' && isOnline) this.#heartbeat.doubt();
    else if (this.state === 'open') this.#heartbeat.beat();
    else if (isOnline || this.#retryTimer !== undefined) {
      this.#leaveSocket(COMING_BACK); // an attempt that hangs on the former network
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
    this.#close(Object(error).name === 'AbortError' ? undefined : Object(error).message);
  }

  #close(reason?: string): void {
    this.#entry = undefined;
    this.#leaveSocket();
    this.#listen('removeEventListener');
    clearTimeout(this.#tokenTimer);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#waiting = [];
    this.#attempt = this.#lostAt = 0;
    this.#isRenewing = false;
    this.#setState('closed', reason);
  }

  #leaveSocket(code?: number): void {
    this.#heartbeat.stop();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) leaveSocket(socket, code);
  }

  get #join(): Join {
    const { roomId, clientId, maxPeers, ahead = false } = this.#options;
    return {
      roomId,
      // The id the server made up is ours from then on; never another in place of our own.
      clientId: clientId || this.clientId,
      metadata: this.#metadata,
      maxPeers,
      resume: this.#resumeToken,
      // Whoever returns has its connections.
      ahead: ahead && this.state !== 'reconnecting',
    };
  }

  /** Why the present state goes on. */
  #tell(reason: string): void {
    this.reason = reason;
    this.emit('state', this.state, reason);
  }

  #setState(state: SignalingState, reason?: string): void {
    if (state === this.state) return;
    this.state = state;
    this.reason = reason;
    this.emit('state', state, reason);
  }
}
/** Throws Error for what JSON cannot say. */
function jsonOf(metadata: unknown): string | undefined {
  try {
    return JSON.stringify(metadata);
  } catch (error) {
    throw new Error(`The metadata must be what JSON can say: ${error}`);
  }
}

printAs(SignalingClient, 'SignalingClient');
