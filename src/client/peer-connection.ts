/** One RTCPeerConnection, the attempt it belongs to, and how far its negotiation has come. */
import type { Description, IceCandidate } from '../protocol/signal.ts';
import type { Channel } from './channel.ts';
import { Datagrams } from './datagrams.ts';
import type { Attempt, ServerError } from './ice-failure.ts';
import { IceRestarts } from './ice-restart.ts';
import { type Allowance, MAX_CANDIDATES, MAX_POLLED_CANDIDATES, MAX_SURPLUS_CHANNELS } from './limits.ts';
import { isFirefox, restartsIce, type Situation } from './negotiation.ts';
import { COMPLETE_WITHIN_MS, type Outgoing } from './outgoing-signals.ts';
import { isRelayed, trafficOf } from './path.ts';
import { randomHex } from './random.ts';
import type { Traffic } from './silence.ts';

/**
 * How long after the end of its gathering node-datachannel (0.33.4) may tell of candidates, in ms; browsers do before.
 */
const CANDIDATES_TOLD_AFTER_MS = 10;

/** An offer of nothing. */
const EMPTY_SDP = 'v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n';

/**
 * What this library uses of a WebRTC implementation. `object`, because each has types of its own for the same thing.
 */
export interface WebRTC {
  RTCPeerConnection: (new (
    configuration?: RTCConfiguration,
  ) => object) & {
    generateCertificate?(algorithm: { name: string; namedCurve: string; expires: number }): Promise<object>;
  };
}

/** How a connection is made. */
export interface ConnectionSettings extends WebRTC {
  rtcConfiguration: RTCConfiguration;
  /** The second argument some browsers' RTCPeerConnection takes. */
  proprietaryConstraints: object | undefined;
  sdpTransform: (sdp: string) => string;
  /** How many may be made. */
  allowance: Allowance;
  /** How many m-lines those may describe that are not connected. */
  strangers: Allowance;
}

/** What a connection tells of itself, until it is closed. */
export interface ConnectionListener {
  negotiationNeeded(): void;
  channel(channel: RTCDataChannel): void;
  datagram(bytes: Uint8Array<ArrayBuffer>): void;
  datagramDropped(): void;
  /** The other makes us hold too much; `reason` is a sentence. */
  exceeded(reason: string): void;
  track(event: RTCTrackEvent): void;
  stateChanged(): void;
}

export class Connection {
  readonly pc: RTCPeerConnection;
  /** Names this connection in signals: what belongs to one that was given up is dropped. */
  attempt = randomHex(8);
  /** The data channel: one is all there is. */
  channel: Channel | undefined;
  /** Data that may be lost; nothing to a peer with P2PCF, which never offers. */
  datagrams: Datagrams | undefined;
  /** An offer is to follow as soon as it may: once the channel is open, or our last offer has its answer. */
  isOfferDue = false;
  /** See Situation in negotiation.ts. */
  isOfferLost = false;
  /** The other's last offer was ignored, and its candidates are. */
  isIgnoring = false;
  readonly restarts: IceRestarts;
  readonly #listener: ConnectionListener;
  readonly #outgoing: Outgoing;
  readonly #sdpTransform: ConnectionSettings['sdpTransform'];
  readonly #configuration: RTCConfiguration;
  #isMakingOffer = false;
  #hasAnsweredAhead = false;
  #offersTaken = 0;
  #surplusChannels = 0;
  #theirSdp: string | undefined;
  #theirOffer: string | undefined;
  #theirAnswer: string | undefined;
  #isTheirsFirefox = false;
  /** How many candidates have come for the other's present description, by family of addresses. */
  readonly #candidates = new Map<string, number>();

  /** What STUN and TURN servers said in place of a candidate, the newest last. */
  #errors: ServerError[] = [];

  /**
   * Descriptions and candidates of ours go to `outgoing`. Throws what the constructor of RTCPeerConnection throws, and
   * Error where too many are made at once.
   */
  constructor(settings: ConnectionSettings, outgoing: Outgoing, listener: ConnectionListener) {
    const { RTCPeerConnection, rtcConfiguration, proprietaryConstraints, sdpTransform, allowance } = settings;
    if (!allowance.take()) throw new Error('The room has us make too many connections at once.');
    this.#listener = listener;
    this.#outgoing = outgoing;
    this.#sdpTransform = sdpTransform;
    this.#configuration = rtcConfiguration;
    const pc: RTCPeerConnection = Reflect.construct(RTCPeerConnection, [rtcConfiguration, proprietaryConstraints]);
    pc.onicecandidate = ({ candidate }) => outgoing.addCandidate(candidate);
    pc.onicecandidateerror = (error) => {
      this.#errors = [...this.#errors.slice(1 - MAX_CANDIDATES), error];
    };
    pc.ondatachannel = ({ channel }) => {
      // Another could only take the place of the one.
      if (!this.channel) listener.channel(channel);
      else if (++this.#surplusChannels > MAX_SURPLUS_CHANNELS) listener.exceeded('It opens too many channels.');
    };
    pc.ontrack = (event) => listener.track(event);
    // Firefox before 113 has ICE's state alone.
    const event = pc.connectionState ? 'onconnectionstatechange' : 'oniceconnectionstatechange';
    pc[event] = () => listener.stateChanged();
    this.pc = pc;
    this.restarts = new IceRestarts(pc);
    this.#followNeeds();
  }

  /** What negotiation.ts has to know of a connection. */
  get situation(): Pick<
    Situation,
    | 'attempt'
    | 'isOursFirefox'
    | 'isTheirsFirefox'
    | 'signalingState'
    | 'isMakingOffer'
    | 'hasAnsweredAhead'
    | 'theirSdp'
    | 'theirOffer'
    | 'theirAnswer'
    | 'isOfferLost'
  > {
    return {
      attempt: this.attempt,
      isOursFirefox: isFirefox(this.pc.localDescription),
      isTheirsFirefox: this.#isTheirsFirefox,
      signalingState: this.pc.signalingState,
      isMakingOffer: this.#isMakingOffer,
      hasAnsweredAhead: this.#hasAnsweredAhead,
      theirSdp: this.#theirSdp,
      theirOffer: this.#theirOffer,
      theirAnswer: this.#theirAnswer,
      isOfferLost: this.isOfferLost,
    };
  }

  /** How far it has come, should it have failed. */
  get evidence(): Attempt {
    const { localDescription, iceConnectionState } = this.pc;
    // Not null before the other's: node-datachannel (0.33.4) has an empty one, an answer made ahead one of nothing.
    const remoteDescription = this.#theirSdp === undefined ? null : this.pc.remoteDescription;
    const servers = (this.#configuration.iceServers ?? []).flatMap(({ urls }) => urls);
    return { localDescription, remoteDescription, iceConnectionState, servers, errors: this.#errors };
  }

  /** Makes the channel of datagrams. It costs nothing on the wire, as either side makes it beside the other's offer. */
  openDatagrams(): void {
    const { pc } = this;
    const follow = pc.onnegotiationneeded;
    pc.onnegotiationneeded = null; // node-datachannel (0.33.4) says so of any first channel, though nothing is needed
    this.datagrams ??= new Datagrams(
      pc,
      (bytes) => this.#listener.datagram(bytes),
      () => this.#listener.datagramDropped(),
    );
    pc.onnegotiationneeded = follow;
  }

  /** Makes an offer. */
  async offer(): Promise<void> {
    const offersBefore = this.#offersTaken;
    this.#isMakingOffer = true;
    this.isOfferDue = false;
    try {
      const offer = await this.pc.createOffer();
      // The other's offer came first. When that is done with, the browser asks for ours again if it is still needed.
      if (this.#offersTaken === offersBefore && !this.#isClosed) await this.#describe('offer', offer.sdp);
    } finally {
      this.#isMakingOffer = false;
    }
  }

  /** Answers an offer, which from now on names the attempt; `taken` is called when the answer is about to be made. */
  async answer(offer: Description, attempt: string, taken: () => void): Promise<void> {
    this.attempt = attempt;
    this.#offersTaken++;
    this.#outgoing.withdrawOffer();
    const { pc } = this;
    // Firefox (153) takes an offer that restarts ICE for a fault, unless its own last one does, too, even where that is
    // about to be rolled back.
    const isCollision = this.#isMakingOffer || pc.signalingState !== 'stable';
    if (isCollision && isFirefox(pc.localDescription) && restartsIce(pc.currentRemoteDescription, offer))
      await pc.createOffer({ iceRestart: true });
    await this.setRemote(offer);
    this.openDatagrams();
    taken();
    const answer = await pc.createAnswer();
    if (!this.#isClosed) await this.#describe('answer', answer.sdp);
  }

  /**
   * Makes an answer to an offer that we have not seen: our own offer, which we keep as it is, in the form of an answer.
   * It waits for `pair`, but for no candidate: those follow, and the other hears our checks before. Rejects where the
   * browser does not play along.
   */
  async answerAhead(): Promise<void> {
    const { pc } = this;
    pc.onnegotiationneeded = null;
    // Both sides have offered, so both would control ICE until their checks meet. That conflict costs Chromium (156)
    // some 50 ms, and a third of Firefox's connections (153). Who answers the first exchange is controlled (RFC 8445,
    // 6.1.1), and an exchange of nothing is a first one for both browsers (2026-11), though no standard says so.
    await pc.setRemoteDescription({ type: 'offer', sdp: EMPTY_SDP });
    await pc.setLocalDescription(await pc.createAnswer());
    this.openDatagrams(); // which makes the m-line
    const { sdp = '' } = await pc.createOffer();
    this.#outgoing.describe({ type: 'answer', sdp: withSetup(sdp, 'active') });
    await pc.setLocalDescription({ type: 'offer', sdp });
    this.#hasAnsweredAhead = true;
  }

  /** Takes the offer whose side has got our answer. */
  async pair(offer: Description, attempt: string): Promise<void> {
    this.attempt = attempt;
    this.#hasAnsweredAhead = false;
    this.#followNeeds();
    const paired = this.setRemote({ type: 'answer', sdp: withSetup(offer.sdp, 'passive') });
    this.#theirSdp = this.#theirOffer = offer.sdp;
    await paired;
  }

  /** Takes the other's description. */
  async setRemote(description: Description): Promise<void> {
    this.isIgnoring = false;
    this.#theirSdp = description.sdp;
    if (description.type === 'offer') this.#theirOffer = description.sdp;
    else this.#theirAnswer = description.sdp;
    this.#isTheirsFirefox = isFirefox(description); // Chromium keeps no such trace in remoteDescription
    this.#candidates.clear();
    await this.pc.setRemoteDescription(this.#withEarlyServer(description));
  }

  /** Takes a candidate of the other's, unless there have been too many; `polls`: it may be anybody's. */
  async add(candidate: IceCandidate, polls: boolean): Promise<void> {
    const family = polls ? (/^(?:\S+ ){4}\S*:/.test(candidate.candidate ?? '') ? 'IPv6' : 'IPv4') : '';
    const count = (this.#candidates.get(family) ?? 0) + 1;
    this.#candidates.set(family, count);
    if (count > (polls ? MAX_POLLED_CANDIDATES : MAX_CANDIDATES)) return;
    // A candidate that is too late for its description, or of a kind this browser has no use for, does no harm.
    await this.pc.addIceCandidate(candidate).catch(() => undefined);
  }

  /** Resolves when all candidates of our description are there, or those of the first second. */
  gathered(): Promise<void> {
    const { pc } = this;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, COMPLETE_WITHIN_MS);
      const check = (): void => {
        if (pc.iceGatheringState !== 'complete') return;
        clearTimeout(timer);
        setTimeout(resolve, CANDIDATES_TOLD_AFTER_MS);
      };
      pc.addEventListener('icegatheringstatechange', check);
      check();
    });
  }

  /** Gathers new candidates, to be negotiated. False if this WebRTC cannot (node-datachannel 0.33.4 has no restart). */
  restartIce(): boolean {
    this.takeIceServers(); // an app may have changed them where they are, as P2PCF lets it
    try {
      this.pc.restartIce();
      return true;
    } catch {
      return false;
    }
  }

  /** Uses the ICE servers there are now, from the next gathering on. */
  takeIceServers(): void {
    this.#errors = [];
    try {
      this.pc.setConfiguration(this.#configuration);
    } catch {
      // Not every WebRTC has it (Firefox since 117): then they are for new connections.
    }
  }

  /** Whether what we send goes by a TURN server of ours. */
  async isRelayed(): Promise<boolean> {
    return isRelayed(await this.#stats());
  }

  /** What has gone by the present path; undefined where the browser does not count it. */
  async traffic(): Promise<Traffic | undefined> {
    return trafficOf(await this.#stats());
  }

  /** Closes it, and hears no more of it. */
  close(): void {
    const { pc } = this;
    this.restarts.stop();
    this.channel?.release();
    this.datagrams?.release();
    pc.onnegotiationneeded = pc.onicecandidate = pc.onicecandidateerror = pc.ondatachannel = pc.ontrack = null;
    pc.onconnectionstatechange = pc.oniceconnectionstatechange = null;
    pc.close();
  }

  /**
   * Between two of libdatachannel (node-datachannel 0.33.4) the offerer is made DTLS client, as whoever answers has its
   * ICE up before: a client loses its hello to a server without ICE in half of all tries, and says it again after 1 s.
   * Browsers keep an early hello, and refuse an offer that leaves no choice.
   */
  #withEarlyServer({ type, sdp }: Description): Description {
    const isToServe = /^o=rtc /m.test(sdp) && this.pc.localDescription?.sdp === ''; // where browsers have null
    return { type, sdp: isToServe ? withSetup(sdp, 'active') : sdp };
  }

  /** None of a connection that is closed: @roamhq/wrtc (0.10) rejects, which would end the process of a Node app. */
  #stats(): Promise<RTCStatsReport> {
    return this.pc.getStats().catch(() => new Map());
  }

  #followNeeds(): void {
    this.pc.onnegotiationneeded = () => this.#listener.negotiationNeeded();
  }

  get #isClosed(): boolean {
    return this.pc.signalingState === 'closed';
  }

  async #describe(type: Description['type'], created: string | undefined): Promise<void> {
    const sdp: unknown = this.#sdpTransform(created ?? '');
    if (typeof sdp !== 'string') throw new TypeError(`The option sdpTransform returned ${sdp}, not a string`);
    const description = { type, sdp };
    this.#outgoing.describe(description);
    this.restarts.describe(description);
    await this.pc.setLocalDescription(description);
    this.#outgoing.schedule();
  }
}

/** An offer leaves the DTLS role open; in an answer it is chosen. */
function withSetup(sdp: string, role: 'active' | 'passive'): string {
  return sdp.replaceAll('a=setup:actpass', `a=setup:${role}`);
}
