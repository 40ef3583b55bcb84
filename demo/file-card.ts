/** A file in the chat: its name, how far it has come, and then a picture of it or a way to save it. */
import { byline, type Line } from './chat.ts';
import { make, named, setIcon } from './dom.ts';
import { HEADER_BYTES, isDrawable } from './picture.ts';

/** Pictures that run nothing, unlike SVG, which may hold a script, and whose size picture.ts can read, unlike AVIF. */
const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

export interface FileCardOptions {
  from: string;
  isOwn: boolean;
  name: string;
  /** In bytes. */
  size: number;
  /** A MIME type, as the sender says. */
  kind: string;
  cancel: () => void;
  /** It is in the chat no more, and nobody can save it. */
  gone?: () => void;
}

export class FileCard implements Line {
  readonly item: HTMLElement;
  readonly name: string;
  readonly #size: number;
  readonly #kind: string;
  readonly #state = make('p', { className: 'quiet' });
  readonly #bar = make('progress');
  readonly #cancel = make('button', { type: 'button', className: 'plain icon-only' });
  readonly #gone: (() => void) | undefined;
  #isDrawn = false;
  #isGone = false;
  /** All of it, until the card is in the chat: of a flood of files few ever are. */
  #contents: BlobPart[] | undefined;
  #href = '';

  constructor({ from, isOwn, name, size, kind, cancel, gone }: FileCardOptions) {
    this.name = name;
    this.#size = size;
    this.#kind = kind;
    this.#gone = gone;
    this.#bar.max = Math.max(1, size);
    this.#bar.value = 0;
    named(this.#bar, `Progress of ${name}`);
    named(this.#cancel, `Cancel ${name}`);
    setIcon(this.#cancel, 'close');
    this.#cancel.addEventListener('click', cancel);
    const title = make('p', { className: 'file-name', dir: 'auto' }, byline(from), name);
    const top = make('div', { className: 'row' }, make('div', { className: 'grow' }, title, this.#state), this.#cancel);
    this.item = make('div', { className: isOwn ? 'file own' : 'file' }, top, this.#bar);
    this.progress(0);
  }

  progress(bytes: number): void {
    this.#bar.value = bytes;
    this.#state.textContent = `${formatBytes(bytes)} of ${formatBytes(this.#size)}`;
  }

  /** All of it is here, or with the others. */
  complete(contents: BlobPart[]): void {
    this.end(formatBytes(this.#size));
    if (this.#isDrawn) this.#offer(contents);
    else this.#contents = contents;
  }

  /** Nothing more of it is to come. */
  end(reason: string): void {
    this.#state.textContent = reason;
    this.#bar.remove();
    const hadFocus = this.#cancel === document.activeElement;
    this.#cancel.remove();
    if (hadFocus) this.item.closest<HTMLElement>('[tabindex]')?.focus(); // the chat
  }

  drawn(): void {
    this.#isDrawn = true;
    if (this.#contents) this.#offer(this.#contents);
    this.#contents = undefined;
  }

  gone(): void {
    this.#isGone = true;
    this.#contents = undefined;
    if (this.#href) URL.revokeObjectURL(this.#href); // else the browser would hold the file
    this.#gone?.();
  }

  #offer(parts: BlobPart[]): void {
    if (this.#isGone) return;
    const isPicture = PICTURES.includes(this.#kind);
    // Of a type that no browser runs, whatever the sender says.
    const contents = new Blob(parts, { type: isPicture ? this.#kind : 'application/octet-stream' });
    this.#href = URL.createObjectURL(contents);
    const save = make('a', { href: this.#href, download: this.name, className: 'button' }, 'Save');
    named(save, `Save ${this.name}`);
    setIcon(save, 'download');
    this.item.append(save);
    if (isPicture) this.#preview(contents, save).catch(() => undefined); // the file has changed on our disk
  }

  /** Shows it, unless drawing it could take all memory there is. */
  async #preview(contents: Blob, save: Element): Promise<void> {
    const start = new Uint8Array(await contents.slice(0, HEADER_BYTES).arrayBuffer());
    if (isDrawable(start) && !this.#isGone) save.before(make('img', { src: this.#href, alt: this.name }));
  }
}

function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
