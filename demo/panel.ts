/** The panel beside the tiles: chat, or why it is so fast. On a small window it covers them. */
import { markRead } from './chat.ts';
import { find, findAll } from './dom.ts';
import { refresh } from './why.ts';

type Content = 'chat' | 'why';

const TITLES = { chat: 'Chat', why: 'Why so fast?' } satisfies Record<Content, string>;

const panel = find('panel', HTMLElement);
let current: Content | undefined;
/** What opened the panel: the keyboard's focus goes back to it. */
let opener: HTMLElement | undefined;

/** Shows this content, or nothing. */
export function openPanel(content: Content | undefined): void {
  current = content;
  panel.hidden = content === undefined;
  for (const name of ['chat', 'why'] as const) find(name, HTMLElement).hidden = name !== content;
  for (const [button, name] of findAll('data-panel')) button.setAttribute('aria-expanded', String(name === content));
  if (content === undefined) return;
  find('panel-title', HTMLElement).textContent = TITLES[content];
  if (content === 'why') {
    void refresh();
    find('why', HTMLElement).focus();
  } else {
    markRead();
    find('message', HTMLInputElement).focus();
  }
}

function close(): void {
  openPanel(undefined);
  opener?.focus();
}

for (const [button, content] of findAll('data-panel')) {
  button.addEventListener('click', () => {
    opener = button;
    if (content === current) close();
    else if (content === 'chat' || content === 'why') openPanel(content);
  });
}
find('close-panel', HTMLButtonElement).addEventListener('click', close);
panel.addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') close();
});
openPanel(undefined);
