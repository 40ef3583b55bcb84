/**
 * A game in which one page, the host, decides what happens: the others tell it which way they go, and it tells them
 * where everybody is. All that goes by datagrams: what is lost need not come again, as something newer is on its way.
 */
import P2PCF from 'p2pcf-ws';

type Point = [x: number, y: number];

const workerUrl = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';
const SIZE = 300;
const STEP = 5;
const ARROWS: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// The link to a game names its host. Nobody else can be that: a session id belongs to the page that made it.
const [game = `game-${crypto.randomUUID()}`, hostId] = location.hash.slice(1).split('/').filter(Boolean);
const room = new P2PCF('player', game, { workerUrl, maxPeers: 8 }); // all of them fit into one datagram
const isHost = hostId === undefined;

/** Where everybody is. A datagram may overtake another, so each has a number. */
let world: { tick: number; places: Record<string, Point> } = { tick: 0, places: {} };
/** Which way players go: all of them for the host, we alone for the others. */
const ways = new Map<string, Point>();

room.on('datagram', ({ id }, data) => {
  if (isHost) {
    // A player says which way it goes, not where it is. Whatever it says, it is no faster than others.
    const [dx = 0, dy = 0] = new Int8Array(data);
    ways.set(id, [Math.sign(dx), Math.sign(dy)]);
  } else if (id === hostId) {
    const news = JSON.parse(new TextDecoder().decode(data));
    if (news.tick > world.tick) world = news;
  }
});

const inside = (n: number): number => Math.min(Math.max(n, 0), SIZE);

function moved(id: string): Point {
  const [x, y] = world.places[id] ?? [SIZE / 2, SIZE / 2];
  const [dx, dy] = ways.get(id) ?? [0, 0];
  return [inside(x + dx * STEP), inside(y + dy * STEP)];
}

const field = document.body.appendChild(document.createElement('main'));
field.style.cssText = `position: relative; width: ${SIZE}px; height: ${SIZE}px`;

// A page in the background has its timers slowed down to one a second: the host should stay in front.
setInterval(() => {
  const players = [room.sessionId, ...room.connectedSessions];
  if (isHost) {
    world = { tick: world.tick + 1, places: Object.fromEntries(players.map((id) => [id, moved(id)])) };
    room.broadcastUnreliable(JSON.stringify(world));
  } else {
    const host = room.peers.get(hostId);
    if (host?.connected) room.sendUnreliable(host, Int8Array.from(ways.get(room.sessionId) ?? [0, 0]));
  }
  field.replaceChildren(...Object.entries(world.places).map(([id, place]) => drawn(id, place)));
}, 50);

function drawn(id: string, [x, y]: Point): HTMLElement {
  const player = document.createElement('span');
  player.textContent = id === room.sessionId ? '★' : '●';
  player.style.cssText = `position: absolute; left: ${x}px; top: ${y}px`;
  return player;
}

addEventListener('keydown', ({ key }) => ways.set(room.sessionId, ARROWS[key] ?? [0, 0]));
addEventListener('keyup', () => ways.set(room.sessionId, [0, 0]));

await room.start();
if (isHost) {
  const link = document.body.appendChild(document.createElement('a'));
  link.href = `#${game}/${room.sessionId}`;
  link.target = '_blank';
  link.textContent = 'Send this link to those who play.';
}
