/** The room in the page's link: /demo/#room, or /demo/?room=room. */

/** The room that a link names, or undefined. Whatever was typed is a room's name: `a+b&c=d` is one. */
export function roomIn({ hash, search }: { hash: string; search: string }): string | undefined {
  return decode(hash.slice(1)) || new URLSearchParams(search).get('room') || undefined;
}

/** The link to a room, from the address of this page. */
export function linkTo(room: string, page: string): string {
  const url = new URL(page);
  url.search = '';
  url.hash = encodeURIComponent(room);
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
