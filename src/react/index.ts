/** Hooks of React (18 or newer) for a room and its peers. */
'use client'; // so that Next.js names the hook where a component of the server calls it
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { P2PCF, type P2PCFOptions, type Peer, type SignalingState } from '../client/index.ts';

export interface RoomView {
  /** Undefined until the component is mounted: on a server, and in the first render. */
  room: P2PCF | undefined;
  /** The state of the connection to the server. */
  state: SignalingState;
  /** Why there is no room, or why it refused us for good. */
  error: Error | undefined;
}

const NO_ROOM: RoomView = { room: undefined, state: 'connecting', error: undefined };
const NOBODY: readonly Peer[] = [];

/** For a room that the app makes. */
const NO_OPTIONS: P2PCFOptions = { workerUrl: '' };

/** What happens to the peers of a room. */
const PEER_EVENTS = ['peerjoin', 'peerconnect', 'peerstate', 'peerclose'] as const;

/**
 * Joins a room while the component is mounted. It is another room when `clientId`, `roomId`, or one of `workerUrl`,
 * `key`, `password` and `hideRoom` is another; the other options are read when it is made.
 */
export function useRoom(clientId: string, roomId: string, options: P2PCFOptions): RoomView;
/** Follows a room that the app itself makes, starts and destroys. */
export function useRoom(room: P2PCF | undefined): RoomView;
export function useRoom(given: P2PCF | string | undefined, roomId = '', options = NO_OPTIONS): RoomView {
  const [view, setView] = useState(NO_ROOM);
  const { workerUrl, key, password, hideRoom } = options;
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the options that make it another room stand for all of them
  useEffect(() => {
    if (typeof given !== 'string') return given ? follow(given, setView) : undefined; // null, too, in JavaScript
    return join(() => new P2PCF(given, roomId, latest.current), setView);
  }, [given, roomId, workerUrl, key, password, hideRoom]);
  return view;
}

/**
 * The peers of a room, in the order in which they became known. A new array each time that one comes, goes or changes;
 * a peer in it stays the same object. So give a component that is memoized, by `memo` or by the React Compiler, the
 * fields that it shows, such as `peer.state`, in place of the peer.
 */
export function usePeers(room: P2PCF | undefined): readonly Peer[] {
  const { subscribe, snapshot } = useMemo(() => peersOf(room), [room]);
  return useSyncExternalStore(subscribe, snapshot, () => NOBODY);
}

type SetView = (change: (view: RoomView) => RoomView) => void;

/** Returns what ends it. */
function follow(room: P2PCF, setView: SetView): () => void {
  const update = (state: SignalingState, reason?: string): void =>
    setView((view) => ({ ...view, state, error: state === 'closed' && reason ? new Error(reason) : undefined }));
  setView(() => ({ room, state: room.state, error: undefined }));
  room.on('state', update);
  return () => {
    room.off('state', update);
    setView(() => NO_ROOM);
  };
}

function join(make: () => P2PCF, setView: SetView): () => void {
  let isLeft = false;
  const fail = (error: Error): void => {
    if (!isLeft) setView((view) => ({ ...view, error }));
  };
  try {
    const room = make();
    const unfollow = follow(room, setView);
    room.start().catch(fail);
    return () => {
      isLeft = true;
      unfollow();
      room.destroy();
    };
  } catch (error) {
    fail(error instanceof Error ? error : new Error(String(error)));
    return () => setView(() => NO_ROOM);
  }
}

interface Store {
  subscribe(changed: () => void): () => void;
  snapshot(): readonly Peer[];
}

function peersOf(room: P2PCF | undefined): Store {
  if (!room) return { subscribe: () => () => undefined, snapshot: () => NOBODY };
  let peers: readonly Peer[] = [...room.peers.values()];
  return {
    snapshot: () => peers,
    subscribe(changed) {
      const update = (): void => {
        peers = [...room.peers.values()];
        changed();
      };
      update(); // what has happened since the render
      for (const event of PEER_EVENTS) room.on(event, update);
      return () => {
        for (const event of PEER_EVENTS) room.off(event, update);
      };
    },
  };
}
