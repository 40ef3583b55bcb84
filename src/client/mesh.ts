/** Whom we are connected to, and whom next: the room's members become peers, and peers that end are met again. */
import type { ErrorMessage, LeaveReason, PeerJoin, Peers } from '../protocol/messages.ts';
import { parseSignal, type Signal } from '../protocol/signal.ts';
import { Admission } from './admission.ts';
import type { Emitter } from './events.ts';
import { ENVELOPE_BYTES, MAX_GRACE_SECONDS, MAX_MEMBERS, MAX_ROOM_MESSAGE_BYTES } from './limits.ts';
import { isSealed, keepable, type Member, Members, meetingDelay } from './members.ts';
import type { RoomSettings } from './options.ts';
import type { P2PCFEvents } from './p2pcf-events.ts';
import type { Peer } from './peer.ts';
import type { ConnectionSettings } from './peer-connection.ts';
import type { SignalingState } from './signaling-options.ts';
import { Silence } from './silence.ts';
import { Spare } from './spare-connection.ts';
import { SupervisedPeer } from './supervised-peer.ts';
import { WaitingLine } from './waiting-line.ts';

/** A connection that was ours for this long, in ms, was a good one: the next has no need to wait. */
const GOOD_AFTER_MS = 10_000;

/** The room, as far as the mesh needs it. */
export interface MeshRoom {
  state(): SignalingState;
  sessionId(): string;
  /** Carries a signal to a member through the room. */
  signal(id: string, signal: unknown): void;
  publish(offer: Signal): void;
  /** A peer has fallen silent: is the room still there? */
  doubt(): void;
  emit: Emitter<P2PCFEvents>['emit'];
}

export class Mesh {
  /** By session id, from the moment a peer is known to be in the room. */
  readonly peers = new Map<string, SupervisedPeer>();
  /** The connection that is made before it is needed. */
  readonly spare: Spare;
  readonly #members = new Members();
  readonly #line: WaitingLine;
  readonly #silence = new Silence(this.peers, () => this.#room.doubt());
  readonly #admission: Admission | undefined;
  readonly #connection: ConnectionSettings;
  readonly #room: MeshRoom;
  /** Runs while members that the room does not list may come back. */
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #maxMessageBytes = MAX_ROOM_MESSAGE_BYTES;
  /** The app has been told that not all members are met. */
  #hasToldOfSurplus = false;

  constructor({ connection, offersAhead, maxConnections, admit }: RoomSettings, room: MeshRoom) {
    this.#connection = connection;
    this.#room = room;
    this.#admission = admit && new Admission(admit);
    const most = offersAhead ? maxConnections - 1 : maxConnections; // beside the spare
    this.#line = new WaitingLine(
      () => this.#connections < most,
      () => this.#absent(),
    );
    this.spare = new Spare(
      () => new SupervisedPeer(connection),
      offersAhead ? (offer) => room.publish(offer) : undefined,
    );
  }

  /** How many peers have a connection, or are on the way to one. */
  get #connections(): number {
    return [...this.peers.values()].filter(({ state }) => state !== 'waiting').length;
  }

  /** Peers that the room does not list: the longest gone come first. */
  get #unlisted(): SupervisedPeer[] {
    return [...this.#members].flatMap(([id, { isListed }]) => (!isListed && this.peers.get(id)) || []);
  }

  /** Those of them whose places the room does not hold any more. */
  #absent(): SupervisedPeer[] {
    return this.#room.state() !== 'open' || this.#graceTimer !== undefined ? [] : this.#unlisted;
  }

  /** The room has answered: connects to all in it. The side that came last, or came back last, is to do so. */
  meetAll({
    peers,
    metadata = {},
    verified = {},
    offers = {},
    answered,
    polling = [],
    removed = [],
    resumed,
    graceSeconds = 0,
    maxMessageBytes,
  }: Peers): void {
    this.#maxMessageBytes = maxMessageBytes ?? this.#maxMessageBytes;
    const listed = new Set(peers);
    const pollers = new Set(polling);
    for (const [id, member] of this.#members) member.isListed = listed.has(id); // a removal closes what is not listed
    for (const id of removed) this.forget(id, 'removed');
    // A room that has forgotten us has forgotten the others, too: they may come back as we did.
    if (resumed) this.#forgetUnlisted();
    if (this.#room.state() !== 'open') return; // a listener has left
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => {
      this.#graceTimer = undefined;
      this.#forgetUnlisted();
    }, Math.min(graceSeconds, MAX_GRACE_SECONDS) * 1000);
    for (const id of listed) {
      if (this.#room.state() !== 'open') return;
      const brings = Object.hasOwn(metadata, id);
      const member = this.#arrive(id, brings && metadata[id]);
      if (!member) continue;
      member.isListed = true;
      if (brings) member.brought = keepable(metadata[id]);
      member.verified = Object.hasOwn(verified, id) ? verified[id] : undefined;
      const known = this.peers.get(id);
      if (known) {
        known.negotiator.signalAgain();
        continue;
      }
      const peer = this.#peer(id, pollers.has(id), this.spare.take(id === answered ? 'resident' : 'any'));
      if (peer.state === 'waiting') continue;
      if (Object.hasOwn(offers, id)) peer.negotiator.receive(offers[id]);
      else if (!peer.initiator) void peer.negotiator.initiate();
    }
    this.#publishSpare(peers.length > 0);
  }

  /** A peer has joined; it offers to us, or answers the offer we published. */
  meetJoiner({ clientId, metadata, verified, offerTaken, polling }: PeerJoin): void {
    const member = this.#arrive(clientId, metadata);
    if (!member) {
      if (offerTaken) this.republish();
      return;
    }
    member.isListed = true;
    member.brought = keepable(metadata);
    member.verified = verified;
    const taken = offerTaken && this.spare.take('joiner');
    if (isLive(this.peers.get(clientId))) {
      member.rejoined ??= 'perhaps itself';
      if (taken) taken.destroy();
    } else if (taken) {
      // A peer that takes an offer is new here, even if we have not noticed that it was away.
      this.peers.get(clientId)?.destroy();
      if (this.#room.state() !== 'open') {
        taken.destroy(); // a listener has left
        return;
      }
    }
    const known = this.peers.get(clientId);
    if (!known) this.#peer(clientId, polling === true, taken || undefined);
    // What we sent to its former socket is lost. If the two of us are connected, no more is needed.
    else if (!polling) known.negotiator.markOfferLost();
    // Our offer is far longer than the news, which a server may say without end.
    else if (member.connections.take()) known.negotiator.signalAgain();
    if (offerTaken) this.#publishSpare(true);
  }

  /** Nothing comes of the offer that we published, as where whoever is not met has taken it: another follows. */
  republish(): void {
    this.spare.discard();
    this.#publishSpare(true);
  }

  /**
   * The member with this id; unless what it has brought says that it cannot be met, the app has refused it, or the
   * server names more than can be met.
   */
  #arrive(id: string, brought?: unknown): Member | undefined {
    if (this.#admission?.refuses(id)) return undefined;
    const member = this.#members.arrive(id);
    if (member && isSealed(brought)) {
      this.#members.delete(id);
      this.refuse(id, 'It has a key, and we have none: look whether the link is whole.');
      return undefined;
    }
    if (member || this.#hasToldOfSurplus) return member;
    this.#hasToldOfSurplus = true;
    const reason = `The server names more than ${MAX_MEMBERS} members, or too many at once: the others are not met.`;
    console.warn(`P2PCF-WS: ${reason}`);
    this.#room.emit('state', this.#room.state(), reason);
    return undefined;
  }

  /**
   * The room no longer has this peer. Unless that said goodbye, an open connection to it goes on. But not to a peer
   * that a host has removed, whoever has the id by now: else whoever joins anew under its own id could not be put out.
   * Nor do other connections of its subject, of which the room does not know.
   */
  forget(id: string, reason?: LeaveReason): void {
    const peer = this.peers.get(id);
    // Rejoined perhaps as somebody else, whose goodbye is not the peer's. If the room has lost it, only the peer itself
    // has its subject.
    const { rejoined, verified = peer?.verified } = this.#members.get(id) ?? {};
    this.#members.delete(id);
    // Where all is there but our channel, the other may have opened its own.
    const isThere = isLive(peer) || peer?.negotiator.isOpening;
    const goesOn = reason === 'left' ? rejoined : reason !== 'removed';
    if (isThere && goesOn) this.#members.note(id).isListed = false;
    else peer?.destroy();
    if (reason === 'removed' && verified)
      for (const other of this.#unlisted) if (other.verified?.sub === verified.sub) other.destroy();
  }

  #forgetUnlisted(): void {
    for (const [id, { isListed }] of [...this.#members]) if (!isListed) this.forget(id);
  }

  /** Another has come under the id of a peer, with another certificate. */
  #meetStranger(peer: Peer, polls: boolean, signal: unknown): void {
    const member = this.#members.note(peer.id);
    member.rejoined = 'a stranger';
    if (isLive(peer)) return;
    member.rejoined = undefined;
    peer.destroy();
    if (this.#room.state() !== 'open') return;
    if (parseSignal(signal)?.description?.type === 'offer') this.#peer(peer.id, polls).negotiator.receive(signal);
    else this.#meet(peer.id, polls);
  }

  /** Offers a connection to a member. */
  #meet(id: string, polls: boolean): void {
    if (this.#admission?.refuses(id)) return;
    const peer = this.#peer(id, polls);
    if (!polls && peer.state !== 'waiting') void peer.negotiator.initiate(); // a peer that polls has our offer already
  }

  /** The connection to a member has ended, whoever ended it, and the room still lists it. */
  #meetAgain(id: string, member: Member, polls: boolean, wasGood: boolean): void {
    clearTimeout(member.meetTimer);
    const delayMs = meetingDelay(member, wasGood, this.#isPoliteTo(id, polls), Date.now(), Math.random());
    member.meetTimer = setTimeout(() => {
      // A room that has been lost is met as a whole when it is back.
      const isThere = this.#room.state() === 'open' && this.#members.get(id) === member && member.isListed;
      if (isThere && !this.peers.has(id)) this.#meet(id, polls);
    }, delayMs);
  }

  #isPoliteTo(id: string, polls: boolean): boolean {
    return !polls && this.#room.sessionId() < id;
  }

  receive(fromId: string, signal: unknown): void {
    if (this.#admission?.refuses(fromId)) return;
    const known = this.peers.get(fromId);
    known?.negotiator.receive(signal);
    // Candidates that come late, of a connection that is closed, are no reason for another.
    if ((known && known.state !== 'waiting') || parseSignal(signal)?.description?.type !== 'offer') return;
    if (known) this.#line.prefer(known);
    else if (this.#arrive(fromId)?.connections.take()) this.#peer(fromId).negotiator.receive(signal);
  }

  /** A member is not met, or a signal that is said to be its own is not taken. */
  refuse(id: string, reason: string): void {
    if (this.#room.state() === 'closed') return; // left, perhaps as the app was told by onUntrusted
    const peer = this.peers.get(id) ?? Object.assign(new SupervisedPeer(this.#connection), { id, client_id: id });
    if (peer.connected) return;
    if (peer.state !== 'waiting') peer.state = 'failed'; // else it would have a place among the connections for good
    this.#room.emit('peerstate', peer, 'failed', reason);
  }

  /** The room has refused a message: a message to this member, or a message of more than this many bytes. */
  takeError({ code, message, targetId, maxBytes }: ErrorMessage): void {
    if (code === 'not_host') console.warn(`P2PCF-WS: ${message}`);
    if (maxBytes) this.#maxMessageBytes = maxBytes;
    this.peers.get(targetId ?? '')?.negotiator.markOfferLost();
  }

  /** There are other ICE servers now. */
  takeIceServers(): void {
    for (const peer of this.peers.values()) peer.negotiator.takeIceServers();
    this.spare.takeIceServers();
  }

  /** The network has changed. */
  findNewWays(): void {
    for (const peer of this.peers.values()) peer.negotiator.restart();
    this.republish();
  }

  /** Closes all connections, and forgets all members. */
  leave(): void {
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#members.clear();
    this.#hasToldOfSurplus = false;
    const peers = [...this.peers.values()];
    for (const peer of peers) this.#line.remove(peer); // else the end of each would give the next its turn
    for (const peer of peers) peer.destroy();
    this.spare.discard(); // last, as each end may have it published again
  }

  /** The peer with this session id, made if it is new. */
  #peer(id: string, polls = false, made = this.peers.get(id)): SupervisedPeer {
    if (made?.id === id) return made;
    const isTurn = made !== undefined || this.#line.isFree;
    const peer = made ?? new SupervisedPeer(this.#connection);
    const member = this.#members.note(id);
    this.peers.set(id, peer);
    const announce = this.#follow(peer, id, polls);
    const { client_id, metadata } = Object(member.brought);
    peer.introduce({
      id,
      clientId: typeof client_id === 'string' ? client_id : id,
      metadata,
      verified: member.verified,
      isPolite: this.#isPoliteTo(id, polls),
      polls,
      // What the room cannot hear now is said again by signalAgain().
      send: (signal) => this.#room.state() === 'open' && this.#room.signal(id, signal),
      hasRoom: () => this.#room.state() === 'open',
      maxSignalBytes: () => Math.max(0, this.#maxMessageBytes - ENVELOPE_BYTES),
      connections: member.connections,
      onStranger: (signal) => this.#meetStranger(peer, polls, signal),
    });
    const refusal = this.#admission?.ask(peer);
    if (peer.destroyed) return peer; // by the app
    if (refusal) peer.hold(refusal);
    void refusal?.then((reason) => {
      if (reason === undefined || peer.destroyed) return;
      this.refuse(id, reason);
      peer.destroy();
    });
    if (!isTurn) peer.wait();
    if (!isTurn || !peer.negotiator.open()) return peer;
    // Tracks that the app adds must not get into the first offer to a peer that polls.
    if (polls) void peer.negotiator.initiate().then(announce);
    else announce();
    return peer;
  }

  /** Has the room hear of what becomes of a peer. Returns what announces the peer to the app. */
  #follow(peer: SupervisedPeer, id: string, polls: boolean): () => void {
    let isAnnounced = false;
    let connectedAt = Number.POSITIVE_INFINITY;
    const announce = (): void => {
      if (peer.destroyed || isAnnounced) return;
      isAnnounced = true;
      this.#room.emit('peerjoin', peer);
    };
    peer.follow({
      state: (state, reason) => {
        if (state === 'waiting') this.#line.add(peer, announce);
        // Before it is told: of a peer that has not been announced nothing else is.
        if (state === 'closed' && this.peers.get(id) === peer) this.peers.delete(id);
        this.#room.emit('peerstate', peer, state, reason);
        // Our own network may have changed: nobody tells us when a router gets another address.
        if (state === 'disconnected') this.#room.doubt();
        if (state === 'failed') this.#letFail(peer, id);
      },
      connect: () => {
        connectedAt = Date.now();
        announce();
        if (!peer.destroyed) this.#room.emit('peerconnect', peer);
      },
      progress: (...bytes) => this.#room.emit('progress', peer, ...bytes),
      datagram: (bytes) => {
        this.#silence.heard(peer);
        this.#room.emit('datagram', peer, toArrayBuffer(bytes));
      },
      data: (bytes) => {
        this.#silence.heard(peer);
        this.#room.emit('msg', peer, toArrayBuffer(bytes));
      },
      close: () => {
        const member = this.#members.get(id);
        if (member) member.rejoined = undefined;
        this.#line.remove(peer);
        this.#silence.forget(peer);
        if (member?.isListed) this.#meetAgain(id, member, polls, Date.now() - connectedAt > GOOD_AFTER_MS);
        else if (!this.peers.has(id)) this.#members.delete(id);
        if (isAnnounced) this.#room.emit('peerclose', peer); // whose listener may leave, and have all forgotten
        if (this.#room.state() !== 'closed') this.#line.next();
        this.#publishSpare(true);
      },
    });
    return announce;
  }

  /** A peer has failed: it is tried again, unless neither ICE nor the room has a way to it, or another waits. */
  #letFail(peer: SupervisedPeer, id: string): void {
    const { isListed = false, rejoined } = this.#members.get(id) ?? {};
    const isGivenUp = !isListed && this.#graceTimer === undefined;
    if (isGivenUp || (peer.connected && rejoined === 'a stranger')) peer.destroy();
    if (peer.connected || peer.destroyed || !this.#line.someoneWaits) return;
    peer.wait(); // another has not had its turn
    this.#line.next();
  }

  /** Publishes the next offer, if a connection may come of it. */
  #publishSpare(isBusy: boolean): void {
    if (this.#room.state() === 'open' && this.#line.isFree) this.spare.publish(isBusy);
  }
}

/** Whether a connection to a peer is open, and has not failed since. */
function isLive(peer: Peer | undefined): boolean {
  return peer?.connected === true && peer.state !== 'failed';
}

function toArrayBuffer({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}
