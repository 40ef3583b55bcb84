/** The log of messages, and how many of them are unread. */
import { find, make } from './dom.ts';

/** Most lines that are kept: a stranger may say any number. */
const MAX_LINES = 500;

const log = find('log', HTMLElement);
const unread = find('unread', HTMLElement);
const button = find('chat-button', HTMLButtonElement);
let count = 0;

/** What somebody says. */
export function showMessage(from: string, text: string, isOwn = false): void {
  const line = make('p', { className: isOwn ? 'message own' : 'message' }, make('strong', {}, from), text);
  show(line, !isOwn);
}

/** What has happened. */
export function showNote(text: string): void {
  show(make('p', { className: 'note' }, text), false);
}

/** Adds a line; counts it, if it is for us and nobody sees it. */
export function show(line: HTMLElement, isForUs: boolean): void {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(line);
  if (log.childElementCount > MAX_LINES) log.firstElementChild?.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
  if (isForUs && !log.checkVisibility()) count++;
  showCount();
}

/** The chat is in sight. */
export function markRead(): void {
  count = 0;
  log.scrollTop = log.scrollHeight;
  showCount();
}

export function clear(): void {
  log.replaceChildren();
  markRead();
}

function showCount(): void {
  unread.hidden = count === 0;
  unread.textContent = count > 99 ? '99+' : String(count);
  button.ariaLabel = count === 0 ? 'Chat' : `Chat, ${count} unread`;
}
