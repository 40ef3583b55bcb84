/** The room in the page's link: /demo/#room&key=key, /demo/#room, or /demo/?room=room. */

/** A room, and what its members share so that the server cannot listen in: without a key, it could. */
export interface Place {
  room: string;
  key?: string | undefined;
}

/**
 * The room that a link names, or undefined. Whatever was typed is a room's name: `a+b&c=d` is one. A key counts in the
 * fragment alone, which no server sees. A link that was cut within its end has an empty one, with which nobody gets in:
 * as if it had had none, one would speak without the encryption that the link was made for.
 */
export function placeIn({ hash, search }: { hash: string; search: string }): Place | undefined {
  const [, before = '', end] = /^#?(.*?)(&(?:k|ke|key|key=[^&]*)?)?$/s.exec(hash) ?? [];
  const key = end?.slice('&key='.length);
  const room = decode(before) || new URLSearchParams(search).get('room');
  return room ? { room, key } : undefined;
}

/** The link to a room, from the address of this page. */
export function linkTo({ room, key }: Place, page: string): string {
  const url = new URL(page);
  url.search = '';
  url.hash = encodeURIComponent(room) + (key ? `&key=${key}` : '');
  return url.href;
}

/** The name of a room that nobody can guess: 80 bits, in letters that can be read out. */
export function newRoom(): string {
  const letters = 'abcdefghijkmnpqrstuvwxyz23456789'; // 32, without the l, o, 0 and 1 that look like others
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => letters[byte % 32]).join('');
}

/** A `%` that was typed, rather than made by a browser, stands for itself. */
function decode(text: string): string {
  return text.replace(/(%[\da-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes; // not UTF-8
    }
  });
}
