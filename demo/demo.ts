/** The demo: a first screen, a call, and what stands in their place when there is none. */
import P2PCF from '../src/client/index.ts';
import { clearTroubles, showTrouble } from './banner.ts';
import { Call } from './call.ts';
import { clear } from './chat.ts';
import { fillChoices } from './choices.ts';
import { canShowScreen, Devices } from './devices.ts';
import { find, findAll, make, named, setIcon } from './dom.ts';
import { invitation } from './invite.ts';
import { linkTo, newRoom, type Place, placeIn } from './link.ts';
import { hue, initials, tidy } from './names.ts';
import { openPanel } from './panel.ts';
import { forgetTimes } from './stopwatch.ts';
import { Tiles } from './tiles.ts';
import { badRoom, type DeviceKind, type Trouble } from './trouble.ts';

const screens = {
  lobby: find('lobby', HTMLElement),
  call: find('call', HTMLElement),
  ended: find('ended', HTMLElement),
};
const nameField = find('name', HTMLInputElement);
const tokenField = find('token', HTMLInputElement);
const preview = find('preview', HTMLVideoElement);
const face = find('preview-initials', HTMLElement);
const alone = find('alone', HTMLElement);
const speed = find('speed', HTMLButtonElement);
const tiles = new Tiles(find('tiles', HTMLElement));
const devices = new Devices(showDevices, showTrouble);
const invitedTo = placeIn(location);
// Encryption in browsers needs a secure context, which is https or localhost.
const place: Place = invitedTo ?? { room: newRoom(), key: isSecureContext ? P2PCF.newKey() : undefined };
const { room } = place;
let call: Call | undefined;
/** On the way back in: a second click is not to make a second call. */
let isRejoining = false;
/** Somebody is here whom we cannot meet. */
let isStrangerHere = false;

for (const [element, name] of findAll('data-icon')) setIcon(element, name);
for (const [button, kind] of findAll('data-toggle'))
  button.addEventListener('click', () => isDevice(kind) && devices.toggle(kind));
for (const [button, id] of findAll('data-opens'))
  button.addEventListener('click', () => {
    if (id === 'devices') void fillChoices(devices);
    find(id, HTMLDialogElement).showModal();
  });
for (const [button] of findAll('data-closes'))
  button.addEventListener('click', () => button.closest('dialog')?.close());
for (const dialog of document.querySelectorAll('dialog'))
  dialog.addEventListener('click', ({ target }) => target === dialog && dialog.close());

history.replaceState(null, '', linkTo(place, location.href));
// The user has put the link of another room into the address bar.
addEventListener('hashchange', () => location.reload());
const joinButton = find('join', HTMLButtonElement);
joinButton.textContent = invitedTo ? 'Join the call' : 'Start a call';
joinButton.disabled = false;
find('lobby-room', HTMLElement).textContent = invitedTo ? `Room: ${room}` : 'A new room, whose link only you have.';
find('room-name', HTMLElement).textContent = room;
find('invite', HTMLElement).append(invitation(location.href));
alone.append(invitation(location.href));

nameField.value ||= localStorage.getItem('name') ?? `Guest ${1000 + Math.floor(Math.random() * 9000)}`;
nameField.addEventListener('input', showDevices);
find('enter', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  localStorage.setItem('name', tidy(nameField.value));
  join();
});
find('leave', HTMLButtonElement).addEventListener('click', () =>
  end({ title: 'You have left the call.', text: `Room: ${room}` }),
);
find('again', HTMLButtonElement).addEventListener('click', () => void rejoin());
find('admit', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  void rejoin();
});
find('fresh', HTMLButtonElement).addEventListener('click', () => location.assign(location.pathname));

find('write', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const field = find('message', HTMLInputElement);
  const text = field.value.trim();
  if (text) call?.say(text);
  field.value = '';
});
const files = find('file', HTMLInputElement);
find('attach', HTMLButtonElement).addEventListener('click', () => files.click());
files.addEventListener('change', () => {
  call?.send(files.files ?? []);
  files.value = '';
});
const hint = find('drop-hint', HTMLElement);
screens.call.addEventListener('dragover', (event) => {
  if (isTextForField(event)) return;
  event.preventDefault(); // else a link that is dropped here would lead away from the call
  hint.hidden = !hasFiles(event);
});
screens.call.addEventListener('dragleave', ({ relatedTarget }) => {
  if (relatedTarget === null) hint.hidden = true;
});
screens.call.addEventListener('drop', (event) => {
  if (isTextForField(event)) return;
  event.preventDefault();
  hint.hidden = true;
  if (!hasFiles(event)) return;
  openPanel('chat');
  call?.send(event.dataTransfer?.files ?? []);
});

showDevices();
void devices.start();

function join(): void {
  clear();
  forgetTimes();
  isStrangerHere = false;
  speed.hidden = true;
  showCounted(0, 0);
  alone.hidden = true; // before the room has answered, nobody knows
  try {
    call = new Call(tidy(nameField.value) || 'Guest', place, tokenField.value.trim(), devices, tiles, {
      counted: showCounted,
      connected: (ms) => {
        speed.hidden = false;
        const label = make('span', { className: 'label' }, 'Connected in ');
        speed.replaceChildren(make('span', {}, label, `${Math.round(ms)} ms`));
        setIcon(speed, 'bolt');
      },
      troubled: (source, trouble) => {
        showTrouble(source, trouble);
        if (source === 'stranger') isStrangerHere = trouble !== undefined;
        if (isStrangerHere || call?.isShutOut) alone.hidden = true;
      },
      refused: end,
    });
  } catch (error) {
    end(badRoom(error));
    return;
  }
  document.title = `${room} – P2PCF-WS`;
  see('call');
  find('room-name', HTMLElement).focus(); // what had it is out of sight
  void call.start();
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes('Files') === true;
}

function isTextForField(event: DragEvent): boolean {
  return event.target instanceof HTMLInputElement && !hasFiles(event);
}

async function rejoin(): Promise<void> {
  if (isRejoining) return;
  isRejoining = true;
  await devices.start();
  isRejoining = false;
  join();
}

function end({ title, text, way }: Trouble): void {
  call?.leave();
  call = undefined;
  devices.stop();
  openPanel(undefined);
  clearTroubles();
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  find('ended-title', HTMLElement).textContent = title;
  find('ended-text', HTMLElement).textContent = text;
  const again = find('again', HTMLButtonElement);
  again.hidden = way === 'new room' || way === 'token';
  again.textContent = way ? 'Try again' : 'Join again';
  find('fresh', HTMLButtonElement).hidden = way === 'retry' || way === 'token';
  find('admit', HTMLFormElement).hidden = way !== 'token';
  see('ended');
  find('ended-title', HTMLElement).focus();
}

function see(which: keyof typeof screens): void {
  for (const [name, screen] of Object.entries(screens)) screen.hidden = name !== which;
}

function showCounted(others: number, connected: number): void {
  alone.hidden = others > 0 || isStrangerHere || call?.isShutOut === true;
  find('message', HTMLInputElement).placeholder = connected > 0 ? 'Message to everybody' : 'Nobody else is here yet';
}

function showDevices(): void {
  for (const [button, kind] of findAll('data-toggle')) {
    if (!isDevice(kind)) continue;
    if (kind === 'screen') button.hidden = !canShowScreen();
    const isOn = devices.isOn(kind);
    const ofScreen = isOn ? 'Stop sharing the screen' : 'Share the screen';
    named(button, kind === 'screen' ? ofScreen : labelOf(kind, isOn));
    button.classList.toggle('off', kind !== 'screen' && !isOn);
    button.classList.toggle('active', kind === 'screen' && isOn);
    setIcon(button, kind === 'screen' ? (isOn ? 'screen-off' : 'screen') : isOn ? kind : `${kind}-off`);
  }
  preview.hidden = !devices.isOn('camera');
  // A stream without a picture would keep the page loading for ever.
  const picture = preview.hidden ? null : devices.stream;
  if (preview.srcObject !== picture) preview.srcObject = picture;
  if (!preview.hidden) preview.play().catch(() => undefined); // hidden again
  const name = tidy(nameField.value);
  face.textContent = initials(name);
  face.style.setProperty('--hue', String(hue(name)));
  call?.showOwn();
}

function labelOf(kind: DeviceKind, isOn: boolean): string {
  if (kind === 'microphone') return isOn ? 'Mute' : 'Unmute';
  return isOn ? 'Turn the camera off' : 'Turn the camera on';
}

function isDevice(kind: string): kind is DeviceKind {
  return kind === 'camera' || kind === 'microphone' || kind === 'screen';
}
