/** A tile for each person, and one for each screen that is shown. */
import { make, named, setIcon } from './dom.ts';
import { layOut } from './layout.ts';
import { hue, initials } from './names.ts';
import type { Trouble } from './trouble.ts';

export interface TileOptions {
  name: string;
  /** What is said about a picture: `Ada`, `Ada's screen`. */
  isOwn?: boolean;
  isScreen?: boolean;
}

export class Tile {
  readonly item = make('li', { className: 'tile' });
  readonly isOwn: boolean;
  readonly isScreen: boolean;
  readonly #video = make('video', { playsInline: true, hidden: true });
  readonly #muted = make('span', { className: 'muted', hidden: true, title: 'Muted' });
  readonly #state = make('p', { className: 'state', hidden: true });
  readonly #name: string;

  constructor({ name, isOwn = false, isScreen = false }: TileOptions) {
    this.isOwn = isOwn;
    this.isScreen = isScreen;
    this.#name = isScreen ? `${name}’s screen` : name;
    this.#video.muted = isOwn;
    named(this.#video, isScreen ? `${name}’s screen` : `Camera of ${name}`);
    this.item.classList.toggle('own', isOwn && !isScreen);
    this.item.classList.toggle('screen', isScreen);
    this.item.style.setProperty('--hue', String(hue(name)));
    const face = make('span', { className: 'initials' }, initials(name));
    face.setAttribute('aria-hidden', 'true');
    setIcon(this.#muted, 'microphone-off');
    this.#muted.append(make('span', { className: 'unseen' }, ' is muted'));
    const label = make(
      'p',
      { className: 'name' },
      make('span', { dir: 'auto' }, isOwn && !isScreen ? `${name} (you)` : this.#name),
      this.#muted,
    );
    this.item.append(face, this.#video, label, this.#state);
  }

  /** Plays a stream: its sound, and its picture if `hasPicture`. */
  show(stream: MediaStream | undefined, hasPicture: boolean): void {
    this.#video.hidden = !hasPicture;
    if (this.#video.srcObject === (stream ?? null)) return;
    this.#video.srcObject = stream ?? null;
    if (stream) this.#play();
  }

  set isMuted(isMuted: boolean) {
    this.#muted.hidden = !isMuted;
  }

  set isSpeaking(isSpeaking: boolean) {
    this.item.classList.toggle('speaking', isSpeaking);
  }

  /** What is to be said across the tile, such as that it is not connected yet. */
  set state(state: string | Trouble | undefined) {
    this.#state.hidden = state === undefined;
    if (typeof state === 'object') this.#state.replaceChildren(make('strong', {}, state.title), ' ', state.text);
    else this.#state.textContent = state ?? '';
    this.item.classList.toggle('troubled', typeof state === 'object');
  }

  place({ x, y, width, height }: { x: number; y: number; width: number; height: number }, isOnTop: boolean): void {
    const { style } = this.item;
    style.setProperty('transform', `translate(${x}px, ${y}px)`);
    style.setProperty('width', `${width}px`);
    style.setProperty('height', `${height}px`);
    this.item.classList.toggle('small', Math.min(width, height) < 150);
    this.item.classList.toggle('on-top', isOnTop);
  }

  /** Some browsers play sound only after a click on this very thing. */
  #play(): void {
    this.#video.play().catch((error: unknown) => {
      if (Object(error).name !== 'NotAllowedError') return; // another stream has taken its place
      const button = make('button', { type: 'button', className: 'primary hear' }, `Hear ${this.#name}`);
      button.addEventListener('click', () => {
        button.remove();
        this.#play();
      });
      this.item.append(button);
    });
  }
}

/** All tiles, in a list that they share out. */
export class Tiles {
  readonly #list: HTMLElement;
  #tiles: Tile[] = [];

  constructor(list: HTMLElement) {
    this.#list = list;
    new ResizeObserver(() => this.#arrange()).observe(list);
  }

  add(options: TileOptions): Tile {
    const tile = new Tile(options);
    this.#tiles.push(tile);
    // Screens first, ourselves last.
    const rank = ({ isScreen, isOwn }: Tile): number => (isScreen ? 0 : isOwn ? 2 : 1);
    this.#tiles.sort((a, b) => rank(a) - rank(b));
    const next = this.#tiles[this.#tiles.indexOf(tile) + 1];
    this.#list.insertBefore(tile.item, next?.item ?? null);
    this.#arrange();
    return tile;
  }

  remove(tile: Tile): void {
    tile.show(undefined, false);
    tile.item.remove();
    this.#tiles = this.#tiles.filter((each) => each !== tile);
    this.#arrange();
  }

  #arrange(): void {
    const { clientWidth: width, clientHeight: height } = this.#list;
    const screens = this.#tiles.filter(({ isScreen }) => isScreen).length;
    const isPair = this.#tiles.length === 2 && screens === 0;
    for (const [index, box] of layOut(this.#tiles.length, { width, height }, screens).entries())
      this.#tiles[index]?.place(box, isPair && index === 1);
  }
}
