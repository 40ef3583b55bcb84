/** The troubles there are, across the first screen and the call, each with its way on. */
import { find, findAll, make, named, setIcon } from './dom.ts';
import type { DeviceKind, Trouble } from './trouble.ts';

/** What there is trouble with: of each there is one at a time, and what mends the one says nothing of the others. */
type Source = DeviceKind | 'server' | 'stranger';

/** Shows it on the screen that is in sight, or takes it away where there is none any more. */
export function showTrouble(source: Source, trouble: Trouble | undefined, retry?: () => void): void {
  let hadFocus = false;
  for (const [item, from] of findAll('data-trouble')) {
    if (from !== source) continue;
    hadFocus ||= item.contains(document.activeElement);
    item.remove();
  }
  if (!trouble) {
    if (hadFocus) focusScreen();
    return;
  }
  const item = make(
    'div',
    { className: 'trouble' },
    make('p', {}, make('strong', {}, trouble.title), ' ', trouble.text),
  );
  item.dataset['trouble'] = source;
  if (trouble.way === 'retry' && retry) {
    const button = make('button', { type: 'button', className: 'plain' }, 'Try again');
    button.addEventListener('click', retry);
    item.append(button);
  }
  const close = named(make('button', { type: 'button', className: 'icon-only' }), 'Close');
  setIcon(close, 'close');
  close.addEventListener('click', () => {
    item.remove();
    focusScreen();
  });
  item.append(close);
  find(find('call', HTMLElement).hidden ? 'lobby-troubles' : 'call-troubles', HTMLElement).append(item);
  if (hadFocus) item.querySelector('button')?.focus(); // to be tried again
}

/** The keyboard goes on from the head of the screen, where what it was on is gone. */
function focusScreen(): void {
  find(find('call', HTMLElement).hidden ? 'name' : 'room-name', HTMLElement).focus();
}

export function clearTroubles(): void {
  for (const [item] of findAll('data-trouble')) item.remove();
}
