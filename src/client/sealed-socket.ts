/** A WebSocket whose messages the server cannot read. What makes it so is loaded when it is used. */
import type { SocketFace } from './sealed/face.ts';
import { importSealed } from './sealed-chunk.ts';
import type { SealedOptions } from './sealed-options.ts';
import type { WebSocketClass } from './signaling-options.ts';

type Chunk = typeof import('./sealed/index.ts');

/** A chunk of its own, which may come another time where it does not now: browsers keep no failure. */
export function loadSealed(): Promise<Chunk> {
  return importSealed().catch((error: unknown) => {
    throw new Error(
      `sealed.js did not load: is the page online, and is the file beside the library's other files? ${error}`,
    );
  });
}

/**
 * The options of sealed messages, if one of them needs these. An empty key is not a missing one: it is refused, not
 * ignored. They are as they are now: the app may wipe its key, or put another room's in its place, before they are used.
 */
export function sealedOptions({
  key,
  password,
  hideRoom,
  trust,
  onUntrusted,
  WebSocket,
}: SealedOptions): SealedOptions | undefined {
  const isNeeded = [key, password, trust].some((given) => given !== undefined) || hideRoom;
  return isNeeded ? { key, password, hideRoom, trust, onUntrusted, WebSocket } : undefined;
}

/**
 * `onRefused` is told who is refused, and why; `onOfferLost` that one of these was given the offer that we published;
 * `onFailed` why there can be no such socket.
 */
export function sealedWebSocket(
  roomId: string,
  options: SealedOptions,
  onRefused: (id: string, reason: string) => void,
  onOfferLost: () => void,
  onFailed: (error: Error) => void,
): WebSocketClass {
  let sockets: ReturnType<Chunk['newSealedSockets']> | undefined;
  const begin = ({ newSealedSockets }: Chunk): NonNullable<typeof sockets> => {
    sockets ??= newSealedSockets(roomId, options, onRefused, onOfferLost);
    return sockets;
  };
  loadSealed()
    .then(begin)
    .catch(() => undefined); // whoever connects hears of it
  return class implements SocketFace {
    readyState = 0;
    readonly join: SocketFace['join'];
    constructor(...join: SocketFace['join']) {
      this.join = join;
      loadSealed().then(
        (chunk) =>
          begin(chunk)
            .then((connect) => connect(this))
            .catch(onFailed),
        ({ message }: Error) => this.onclose?.({ code: 1006, reason: '', cause: message }),
      );
    }
    onclose?: SocketFace['onclose'];
    close(): void {
      this.readyState = 3;
    }
  };
}
