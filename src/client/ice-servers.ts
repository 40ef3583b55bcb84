/** The STUN and TURN servers of our connections: the app's own, else what the room gives us for a while. */
import type { IceServer, IceServers } from '../protocol/ice-servers.ts';
import { newIceServersAllowance } from './limits.ts';
import { checkIceServers } from './option-faults.ts';

/** P2PCF's own. */
const STUN: RTCIceServer[] = [{ urls: 'stun:stun1.l.google.com:19302' }, { urls: 'stun:global.stun.twilio.com:3478' }];

/** New credentials are asked for after this part of the lifetime of the old, and again while none have come. */
const RENEW_AFTER = 0.8;
const RENEW_AGAIN_AFTER = 0.06;

/** Longest lifetime taken at its word, in seconds: a timer holds 24 days. */
const MOST_SECONDS = 1e6;

export class OurIceServers {
  readonly #changed: () => void;
  readonly #renew: () => void;
  #stun: RTCIceServer[];
  #turn: RTCIceServer[] | undefined;
  #given: RTCIceServer[] = [];
  readonly #allowance = newIceServersAllowance();
  #lifetimeMs = 0;
  #dueAt = 0;
  /** What came while the present ones are good: used when they are about to end. */
  #next: { servers: IceServers; at: number } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Whatever is falsy is left out, as with P2PCF. `changed`: there are others now. `renew` asks the room for new ones.
   */
  constructor(
    stun: RTCIceServer[] | undefined,
    turn: RTCIceServer[] | undefined,
    changed: () => void,
    renew: () => void,
  ) {
    this.#stun = stun || STUN;
    this.#turn = turn;
    this.#changed = changed;
    this.#renew = renew;
  }

  get stun(): RTCIceServer[] {
    return this.#stun;
  }

  set stun(servers: RTCIceServer[]) {
    checkIceServers('stunIceServers', servers);
    this.#stun = servers;
    this.#changed();
  }

  get turn(): RTCIceServer[] {
    return this.#turn || this.#given;
  }

  set turn(servers: RTCIceServer[]) {
    checkIceServers('turnIceServers', servers);
    this.#turn = servers;
    this.forget();
    this.#changed();
  }

  /**
   * Takes what the room gives, unless the app has TURN servers of its own. What comes while the present ones are good,
   * as after a lost connection to the room, waits: connections by a TURN server would have to move for nothing. More
   * servers than there are do not wait: the room gives its own coturn at once, and with Cloudflare's a moment later.
   */
  take({ iceServers, iceServersSeconds }: Partial<IceServers>): void {
    if (!iceServers || this.#turn) return;
    const now = Date.now();
    const servers = { iceServers, ...(iceServersSeconds !== undefined && { iceServersSeconds }) };
    if (now >= this.#dueAt || iceServers.length > this.#given.length) this.#use(servers, now);
    else {
      this.#next = { servers, at: now };
      this.#askIn(this.#dueAt - now); // anew: while a computer sleeps its timers stand still, and lifetimes do not
    }
  }

  #use({ iceServers, iceServersSeconds }: IceServers, since: number): void {
    this.forget();
    if (iceServersSeconds !== undefined) {
      this.#lifetimeMs = Math.min(Math.max(1, iceServersSeconds), MOST_SECONDS) * 1000;
      this.#dueAt = since + this.#lifetimeMs * RENEW_AFTER;
      this.#askIn(this.#dueAt - Date.now());
    }
    const given = iceServers.map(plain);
    if (JSON.stringify(given) === JSON.stringify(this.#given) || !this.#allowance.take()) return;
    this.#given = given;
    this.#changed();
  }

  /** We leave the room: what it gave last may be used up, and is not renewed. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#dueAt = 0;
    this.#next = undefined;
  }

  #askIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const next = this.#next;
      if (next) {
        this.#use(next.servers, next.at);
        return;
      }
      this.#renew();
      this.#askIn(this.#lifetimeMs * RENEW_AGAIN_AFTER);
    }, ms);
  }
}

/** A server may have put more into it, even what cannot be written again. */
function plain({ urls, username, credential }: IceServer): IceServer {
  return typeof username === 'string' && typeof credential === 'string' ? { urls, username, credential } : { urls };
}
