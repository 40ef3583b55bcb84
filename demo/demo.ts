/** Chat and video in a room whose name is in the URL: /demo/#room&key=key, /demo/#room or /demo/?room=room. */
import P2PCF, { type Peer } from '../src/client/index.ts';

const element = {
  signaling: find('signaling', HTMLElement),
  link: find('link', HTMLInputElement),
  copy: find('copy', HTMLButtonElement),
  share: find('share', HTMLButtonElement),
  people: find('people', HTMLUListElement),
  log: find('log', HTMLElement),
  write: find('write', HTMLFormElement),
  message: find('message', HTMLInputElement),
  send: find('send', HTMLButtonElement),
};

const name = `Guest ${1000 + (randomNumber() % 9000)}`;
const { room, key } = roomInUrl() ?? newRoom();
const me = newCard(`${name} (you)`);
const cards = new Map<Peer, Card>();
/** Our camera and microphone, while we share them. */
let shared: MediaStream | undefined;

element.link.value = location.href;
document.title = `${room} – P2PCF-WS`;
element.copy.addEventListener('click', copyLink);
element.share.addEventListener('click', () => (shared ? stopSharing(shared) : startSharing()));
element.write.addEventListener('submit', say);
// The user has put the link of another room into the address bar.
addEventListener('hashchange', () => location.reload());
showWhetherAnyoneHears();

const p2pcf = join();

function join(): P2PCF | undefined {
  try {
    const p2pcf = new P2PCF(name, room, { workerUrl: location.origin, ...(key && { key, hideRoom: true }) });
    p2pcf.on('state', (state) => showState(element.signaling, state));
    p2pcf.on('peerjoin', meet);
    p2pcf.on('peerstate', (peer, state, reason = '') => {
      const card = cards.get(peer);
      if (!card) return;
      showState(card.state, state);
      card.reason.textContent = reason;
      showWhetherAnyoneHears();
    });
    p2pcf.on('peerconnect', (peer) => {
      note(`${peer.client_id} is connected.`);
      if (shared) peer.addStream(shared);
    });
    p2pcf.on('peerclose', (peer) => {
      note(`${peer.client_id} has left.`);
      cards.get(peer)?.item.remove();
      cards.delete(peer);
      showWhetherAnyoneHears();
    });
    p2pcf.on('msg', (peer, data) => showMessage(peer.client_id, new TextDecoder().decode(data)));
    p2pcf.start().catch(report);
    return p2pcf;
  } catch (error) {
    report(error); // a room name too short or too long
    return undefined;
  }
}

function meet(peer: Peer): void {
  const card = newCard(peer.client_id);
  cards.set(peer, card);
  showState(card.state, peer.state);
  peer.on('stream', (stream) => {
    showVideo(card, stream);
    stream.addEventListener('removetrack', () => {
      if (stream.getTracks().length === 0) hideVideo(card, stream);
    });
  });
}

async function startSharing(): Promise<void> {
  element.share.disabled = true;
  try {
    // Browsers give mediaDevices only to pages on https or localhost.
    if (!navigator.mediaDevices) throw new Error('Cameras need https.');
    shared = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    showVideo(me, shared, true);
    for (const peer of cards.keys()) if (peer.connected) peer.addStream(shared); // others get it when they connect
    element.share.textContent = 'Stop sharing';
  } catch (error) {
    report(error);
  }
  element.share.disabled = false;
}

function stopSharing(stream: MediaStream): void {
  shared = undefined;
  for (const peer of cards.keys()) peer.removeStream(stream);
  for (const track of stream.getTracks()) track.stop();
  hideVideo(me, stream);
  element.share.textContent = 'Share camera and microphone';
}

function say(event: Event): void {
  event.preventDefault();
  const text = element.message.value.trim();
  if (!text) return;
  element.message.value = '';
  showMessage(name, text);
  p2pcf?.broadcast(text).catch(report);
}

async function copyLink(): Promise<void> {
  element.link.select();
  try {
    await navigator.clipboard.writeText(element.link.value);
    note('The link to this room is copied.');
  } catch {
    note('Your browser does not let this page copy: the link is selected, copy it yourself.');
  }
}

/** One person in the room, as shown. */
interface Card {
  item: HTMLLIElement;
  state: HTMLElement;
  reason: HTMLElement;
  video: HTMLVideoElement;
}

function newCard(name: string): Card {
  const item = document.createElement('li');
  const video = item.appendChild(document.createElement('video'));
  video.hidden = true;
  video.playsInline = true;
  video.setAttribute('aria-label', `Video of ${name}`);
  const who = item.appendChild(document.createElement('div'));
  who.className = 'who';
  who.appendChild(document.createElement('strong')).textContent = name;
  const state = who.appendChild(document.createElement('span'));
  const reason = item.appendChild(document.createElement('div'));
  reason.className = 'reason';
  reason.setAttribute('role', 'status');
  element.people.append(item);
  return { item, state, reason, video };
}

function showVideo({ video }: Card, stream: MediaStream, isOwn = false): void {
  video.srcObject = stream;
  video.hidden = false;
  video.muted = isOwn;
  video.controls = !isOwn;
  video.classList.toggle('own', isOwn);
  video.play().catch(async () => {
    // Browsers play sound only after the user has used the page. Muted it may play; the controls turn the sound on.
    video.muted = true;
    await video.play().catch(() => undefined); // the video is no longer shown
  });
}

function hideVideo({ video }: Card, stream: MediaStream): void {
  if (video.srcObject !== stream) return;
  video.srcObject = null;
  video.hidden = true;
}

function showState(badge: HTMLElement, state: string): void {
  badge.className = 'badge';
  badge.dataset['state'] = state;
  badge.textContent = state;
}

function showWhetherAnyoneHears(): void {
  const isHeard = [...cards.keys()].some((peer) => peer.connected);
  element.send.disabled = !isHeard;
  element.message.placeholder = isHeard ? 'Message' : 'Nobody else is connected yet';
}

function showMessage(from: string, text: string): void {
  const line = document.createElement('div');
  line.appendChild(document.createElement('strong')).textContent = from;
  line.append(` ${text}`);
  show(line);
}

function note(text: string): void {
  const line = document.createElement('div');
  line.className = 'note';
  line.textContent = text;
  show(line);
}

function show(line: HTMLElement): void {
  element.log.append(line);
  element.log.scrollTop = element.log.scrollHeight;
}

function report(error: unknown): void {
  note(error instanceof Error ? error.message : String(error));
}

/** A room, and what its members share so that the server cannot listen in: without a key, it could. */
interface Place {
  room: string;
  key?: string | undefined;
}

function roomInUrl(): Place | undefined {
  const { hash, search } = location;
  // URLSearchParams never throws, whatever the user has typed. decodeURIComponent would.
  const parameters = new URLSearchParams(hash ? `room=${hash.slice(1)}` : search);
  const room = parameters.get('room');
  // A key in the query would be sent to the server.
  return room ? { room, key: (hash && parameters.get('key')) || undefined } : undefined;
}

/** A new random room. It goes into the URL, so that the user can share the URL; the server never sees its fragment. */
function newRoom(): Place {
  const room = randomNumber().toString(36).padStart(7, '0');
  const key = P2PCF.newKey();
  history.replaceState(null, '', `#${room}&key=${key}`);
  return { room, key };
}

/** 32 bits. */
function randomNumber(): number {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return number;
}

function find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}.`);
  return found;
}
