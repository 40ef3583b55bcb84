/** The log of messages, and how many of them are unread. */
import { announce, find, isShown, make, named } from './dom.ts';
import { inPieces } from './links.ts';

/** Most lines that are kept, and most UTF-16 units in all of them: a stranger may say any number. */
const MAX_LINES = 500;
const MAX_LENGTH = 200_000;

/** Most lines that are drawn in one frame, which is not to take long. */
const MAX_DRAWN = 100;

/** A line of more than words. */
export interface Line {
  readonly item: HTMLElement;
  /** It is in the log. */
  drawn(): void;
  /** It is kept no more, drawn or not. */
  gone(): void;
}

/** A line that waits for the next frame, which makes it: of a flood few ever are. */
interface Waiting {
  make(): HTMLElement;
  gone?(): void;
}

const log = find('log', HTMLElement);
const unread = find('unread', HTMLElement);
const button = find('chat-button', HTMLButtonElement);
let count = 0;
/** Lines that wait for the next frame: a page that is laid out for each of a flood would do nothing else. */
const waiting: Waiting[] = [];
const lines = new WeakMap<Element, Line>();
/** Whoever has scrolled up reads there, and is left alone. */
let isFollowing = true;
let lastTop = 0;
log.addEventListener('scroll', () => {
  const { scrollTop } = log;
  if (log.scrollHeight - scrollTop - log.clientHeight < 80) isFollowing = true;
  else if (scrollTop < lastTop) isFollowing = false; // else a line has grown since we scrolled ourselves
  lastTop = scrollTop;
});
/** Lines grow: a file becomes a picture. */
const grown = new ResizeObserver(follow);

/** What somebody says. */
export function showMessage(from: string, text: string, isOwn = false): void {
  const className = isOwn ? 'message own' : 'message';
  // Of the direction of its own words, which the name is not one of.
  show({ make: () => make('p', { className, dir: 'auto' }, byline(from), ...drawn(text)) }, !isOwn);
  if (!isOwn && !isShown(log)) announce(`${from}: ${text}`); // in sight, the log is read out by itself
}

/** Who says something, in the direction that the name is written in. */
export function byline(from: string): HTMLElement {
  return make('strong', { dir: 'auto' }, from);
}

/** A link leads to what it shows, in a tab of its own: the call goes on in this one. */
function drawn(text: string): (Node | string)[] {
  return inPieces(text).map(({ text, isLink }) =>
    isLink ? make('a', { href: text, target: '_blank', rel: 'noopener noreferrer', dir: 'ltr' }, text) : text,
  );
}

/** What has happened. */
export function showNote(text: string): void {
  show({ make: () => make('p', { className: 'note' }, text) }, false);
}

/** Shows more than words. */
export function showLine(line: Line, isForUs: boolean): void {
  lines.set(line.item, line);
  show({ make: () => line.item, gone: () => line.gone() }, isForUs);
}

/** Adds a line, in a hidden tab much later; counts it at once, if it is for us and nobody sees it. */
function show(line: Waiting, isForUs: boolean): void {
  if (waiting.push(line) === 1) requestAnimationFrame(draw);
  for (const old of waiting.splice(0, waiting.length - MAX_LINES)) old.gone?.();
  if (isForUs && !isShown(log)) showCount(count + 1);
}

/** The chat is in sight. */
export function markRead(): void {
  isFollowing = true;
  follow();
  showCount(0);
}

export function clear(): void {
  for (const item of [...log.children]) letGo(item);
  for (const line of waiting.splice(0)) line.gone?.();
  markRead();
}

function draw(): void {
  const items = waiting.splice(0, MAX_DRAWN).map((line) => line.make());
  if (waiting.length > 0) requestAnimationFrame(draw);
  log.append(...items);
  let length = 0;
  for (const [index, item] of [...log.children].reverse().entries()) {
    length += item.textContent?.length ?? 0;
    if (index >= MAX_LINES || length > MAX_LENGTH) letGo(item);
  }
  for (const item of items) {
    if (!item.isConnected) continue; // too much at a time
    grown.observe(item);
    lines.get(item)?.drawn();
  }
  follow();
}

function letGo(item: Element): void {
  grown.unobserve(item);
  item.remove();
  lines.get(item)?.gone();
}

function follow(): void {
  if (!isFollowing) return;
  log.scrollTop = log.scrollHeight;
  lastTop = log.scrollTop;
}

function showCount(now: number): void {
  count = now;
  unread.hidden = count === 0;
  const text = count > 99 ? '99+' : String(count);
  if (unread.textContent !== text) unread.textContent = text;
  named(button, count === 0 ? 'Chat' : `Chat, ${count} unread`);
}
