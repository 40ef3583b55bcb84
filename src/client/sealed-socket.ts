/** A WebSocket whose messages the server cannot read. What makes it so is loaded when it is used. */
import type { SocketFace } from './sealed/face.ts';
import type { SealedOptions } from './sealed-options.ts';
import type { WebSocketClass } from './signaling-options.ts';

/** A chunk of its own. */
export const loadSealed = (): Promise<typeof import('./sealed/index.ts')> => import('./sealed/index.ts');

/** Whether an option needs sealed messages. An empty key is not a missing one: it is refused, not ignored. */
export function needsSealing({ key, password, hideRoom, trust }: SealedOptions): boolean {
  return [key, password, trust].some((given) => given !== undefined) || Boolean(hideRoom);
}

/** `onRefused` is told who is refused, and why; `onFailed` why there can be no such socket. */
export function sealedWebSocket(
  roomId: string,
  options: SealedOptions,
  onRefused: (id: string, reason: string) => void,
  onFailed: (error: Error) => void,
): WebSocketClass {
  const sealed = loadSealed().then((chunk) => chunk.newSealedSockets(roomId, options, onRefused));
  sealed.catch(() => undefined); // whoever connects hears of it
  return class implements SocketFace {
    readyState = 0;
    readonly join: SocketFace['join'];
    constructor(...join: SocketFace['join']) {
      this.join = join;
      sealed.then((connect) => connect(this)).catch(onFailed);
    }
    close(): void {
      this.readyState = 3;
    }
  };
}
