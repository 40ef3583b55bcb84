/** The link to the room: to copy, to share, and as a QR code. */
import { encode } from 'uqr';
import { announce, make, named, setIcon } from './dom.ts';
import { drawing } from './icons.ts';

/** All ways to hand on a link. */
export function invitation(link: string): HTMLElement {
  const field = named(make('input', { readOnly: true, value: link }), 'Link to this room');
  const copy = make('button', { type: 'button', className: 'primary' }, make('span', {}, 'Copy link'));
  setIcon(copy, 'copy');
  copy.addEventListener('click', () => copyLink(field, copy));
  const row = make('div', { className: 'row' }, field, copy);
  // Phones have it, and few desktops.
  if ('share' in navigator) {
    const share = make('button', { type: 'button', className: 'plain' }, make('span', {}, 'Share'));
    setIcon(share, 'share');
    share.addEventListener('click', () => {
      navigator.share({ title: document.title, url: link }).catch(() => undefined); // they changed their mind
    });
    row.append(share);
  }
  return make('div', { className: 'invitation' }, row, qrCode(link));
}

async function copyLink(field: HTMLInputElement, button: HTMLButtonElement): Promise<void> {
  field.select();
  const copied = await navigator.clipboard.writeText(field.value).then(
    () => true,
    () => false, // not a secure page, or not allowed
  );
  const label = button.querySelector('span');
  const text = copied ? 'Copied' : 'Now copy it';
  if (label) label.textContent = text;
  announce(copied ? 'The link is copied.' : 'The link is selected: copy it yourself.');
  setTimeout(() => {
    if (label) label.textContent = 'Copy link';
  }, 2_000);
}

/** Dark on light in either colour scheme: many scanners read nothing else. */
function qrCode(link: string): HTMLElement {
  const { data, size } = encode(link, { border: 2 });
  const path = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : ''))).join('');
  const figure = named(make('div', { className: 'qr' }), 'QR code of the link');
  figure.setAttribute('role', 'img');
  figure.append(drawing(size, size, path));
  return figure;
}
