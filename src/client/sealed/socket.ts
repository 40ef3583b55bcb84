/** The WebSocket of a sealed room: the real one, with Sealing in between. */
import { ROOM_PATH } from '../../protocol/join.ts';
import { PING, PONG, parseServerMessage, type ServerMessage } from '../../protocol/messages.ts';
import { attempt } from '../events.ts';
import type { SealedOptions } from '../sealed-options.ts';
import { openSocket } from '../server-socket.ts';
import { fromBase64Url, toBase64Url } from './base64.ts';
import type { SocketFace } from './face.ts';
import { Keys } from './keys.ts';
import { Sealing } from './sealing.ts';

/**
 * The way to a room: opens the real socket behind a face. Rejects with Error for options that cannot work, as what it
 * resolves to does for metadata that is too long.
 */
export async function newSealedSockets(
  roomId: string,
  options: SealedOptions,
  onRefused: (id: string, reason: string) => void,
  onOfferLost: () => void,
): Promise<(face: SocketFace) => Promise<void>> {
  const { key, password, hideRoom } = options;
  const hasSecret = key !== undefined || password !== undefined;
  if (hideRoom && !hasSecret) throw new Error('The option hideRoom needs a key.');
  const keys = hasSecret ? await Keys.of({ key, password }, roomId) : undefined;
  const sealing = new Sealing(keys, options, onRefused, onOfferLost);
  return (face) => connect(face, sealing, options);
}

async function connect(face: SocketFace, sealing: Sealing, options: SealedOptions): Promise<void> {
  const { WebSocket = globalThis.WebSocket } = options;
  const [clearUrl, clearSubprotocols] = face.join;
  const me = decodeURIComponent(/[?&]clientId=([^&]*)/.exec(clearUrl)?.[1] ?? '');
  const { hiddenRoom } = sealing;
  const url = hiddenRoom ? clearUrl.replace(/\/ws\/room[\w-]*\/[^/?]+(?=\?)/, ROOM_PATH + hiddenRoom) : clearUrl;
  const sealed = await Promise.all(
    clearSubprotocols.map(async (each) => {
      const [mark, parameter, value = ''] = each.split('.');
      const json = new TextDecoder().decode(fromBase64Url(value));
      if (parameter === 'metadata') return `${mark}.metadata.${encoded(await sealing.metadata(me, json))}`;
      if (parameter !== 'answer') return each;
      const answer = await sealing.answer(me, json);
      return answer === undefined ? [] : `${mark}.answer.${encoded(answer)}`;
    }),
  );
  if (face.readyState !== 0) return; // it was given up
  const socket = openSocket(WebSocket, url, sealed.flat());
  // One after the other, as sealing takes a moment: nothing overtakes what was said before it.
  let sending = Promise.resolve();
  let receiving: Promise<unknown> = Promise.resolve();
  socket.onopen = (event) => {
    face.readyState = socket.readyState;
    face.onopen?.(event);
  };
  socket.onerror = (event) => face.onerror?.(event);
  socket.onclose = (event) => {
    receiving = receiving.then(() => face.onclose?.(event));
  };
  socket.onmessage = ({ data }) => {
    if (data === PONG) {
      face.onmessage?.({ data });
      return;
    }
    const message = parseServerMessage(String(data));
    if (!message) return;
    const opening = sealing.open(message, me, receiving);
    receiving = opening
      .then((opened) => {
        const data = opened && written(opened);
        if (data !== undefined) face.onmessage?.({ data });
      })
      // What the app's functions throw does not come here (sealing.ts). Whatever does, the next messages are heard.
      .catch((error: unknown) =>
        attempt(() => {
          throw error;
        }),
      );
  };
  face.send = (text) => {
    if (text === PING) socket.send(text);
    else
      sending = sending.then(async () => {
        const sealed = JSON.stringify(await sealing.seal(JSON.parse(text), me));
        if (socket.readyState === 1) socket.send(sealed);
      });
  };
  face.close = (code) => {
    // What was said before is sent before.
    void sending.then(() => socket.close(code));
  };
}

/** Undefined for what is nested too deeply, by the server or a member: that must not end the process. */
function written(message: ServerMessage): string | undefined {
  try {
    return JSON.stringify(message);
  } catch {
    return undefined; // a RangeError: of parsed JSON nothing else can be wrong
  }
}

function encoded(json: string): string {
  return toBase64Url(new TextEncoder().encode(json));
}
