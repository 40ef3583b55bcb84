/** A file in the chat: its name, how far it has come, and then a picture of it or a way to save it. */
import { make, setIcon } from './dom.ts';

/** Pictures that run nothing: SVG may hold a script. */
const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'];

export class FileCard {
  readonly item: HTMLElement;
  readonly name: string;
  readonly #size: number;
  readonly #kind: string;
  readonly #state = make('p', { className: 'quiet' });
  readonly #bar = make('progress');
  readonly #cancel = make('button', { type: 'button', className: 'plain icon-only' });

  /** `size` in bytes; `kind` is a MIME type, as the sender says. */
  constructor(from: string, name: string, size: number, cancel: () => void, kind = '') {
    this.name = name;
    this.#size = size;
    this.#kind = kind;
    this.#bar.max = Math.max(1, size);
    this.#bar.value = 0;
    this.#bar.ariaLabel = `Progress of ${name}`;
    this.#cancel.ariaLabel = `Cancel ${name}`;
    setIcon(this.#cancel, 'close');
    this.#cancel.addEventListener('click', cancel);
    const title = make('p', { className: 'file-name' }, make('strong', {}, from), name);
    const top = make('div', { className: 'row' }, make('div', { className: 'grow' }, title, this.#state), this.#cancel);
    this.item = make('div', { className: from === 'You' ? 'file own' : 'file' }, top, this.#bar);
    this.progress(0);
  }

  progress(bytes: number): void {
    this.#bar.value = bytes;
    this.#state.textContent = `${formatBytes(bytes)} of ${formatBytes(this.#size)}`;
  }

  /** All of it is here, or with the others. */
  complete(contents: Blob): void {
    this.end(formatBytes(this.#size));
    const kind = contents.type || this.#kind;
    // Of a type that no browser runs, whatever the sender says.
    const type = PICTURES.includes(kind) ? kind : 'application/octet-stream';
    const href = URL.createObjectURL(new Blob([contents], { type }));
    const save = make('a', { href, download: this.name, className: 'button' }, 'Save');
    save.ariaLabel = `Save ${this.name}`;
    setIcon(save, 'download');
    if (PICTURES.includes(kind)) this.item.append(make('img', { src: href, alt: this.name }));
    this.item.append(save);
  }

  /** Nothing more of it is to come. */
  end(reason: string): void {
    this.#state.textContent = reason;
    this.#bar.remove();
    this.#cancel.remove();
  }
}

function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
