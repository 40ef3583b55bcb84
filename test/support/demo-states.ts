/** The demo in every state it has: for screenshots of each, and to ask of each whether everybody can use it. */
import type { Browser, Page } from 'playwright-core';
import { linkTo, newRoom, type Place } from '../../demo/link.ts';
import { startFaultyProxy } from './faults.ts';
import { WAIT } from './wait.ts';

export interface DemoWorld {
  browser: Browser;
  /** The server's address. */
  url: string;
  /** A page with the library as a global (servePage), for others who have no window of their own. */
  crowd: Page;
  /** Called when the state is done with. */
  onEnd(work: () => Promise<unknown>): void;
}

const PEOPLE = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Hedy Lamarr'];

export const CROWD = ['Bea', 'Carlos', 'Dmitri', 'Élise', 'Farah', 'Gus', 'Hana', 'Ivo', 'Jun', 'Kofi', 'Lena'];

export const demoStates: Record<string, (world: DemoWorld) => Promise<Page>> = {
  /** What the server's address shows. */
  async server(world) {
    const page = await newPage(world);
    await page.goto(world.url);
    return page;
  },
  lobby: (world) => openDemo(world),
  'camera-denied': (world) => withoutCamera(world, 'NotAllowedError'),
  'camera-absent': (world) => withoutCamera(world, 'NotFoundError'),
  'camera-busy': (world) => withoutCamera(world, 'NotReadableError'),
  async 'camera-lost'(world) {
    const page = await meeting(world, 2);
    await page.getByLabel(`Camera of ${PEOPLE[0]}`).evaluate((video) => {
      for (const track of Object(video).srcObject.getVideoTracks()) track.dispatchEvent(new Event('ended'));
    });
    await page.getByText('Your camera has stopped.').waitFor();
    return page;
  },
  async alone(world) {
    return await join(await openDemo(world));
  },
  pair: (world) => meeting(world, 2),
  four: (world) => meeting(world, 4),
  async twelve(world) {
    const room = newRoom();
    const page = await join(await openDemo(world, { room }));
    await enterCrowd(world, { room }, CROWD);
    await page.locator('.tile').nth(CROWD.length).waitFor();
    await page.locator('.tile .state:visible').first().waitFor({ state: 'detached' });
    return page;
  },
  async screen(world) {
    const page = await meeting(world, 4);
    await page.getByRole('button', { name: 'Share the screen' }).click();
    await page.locator('.tile.screen video').waitFor();
    return page;
  },
  async chat(world) {
    const page = await meeting(world, 2);
    await world.crowd.evaluate(() => window.room.broadcast('Did the link work at once? https://example.com/'));
    await page.getByRole('button', { name: /1 unread/ }).click();
    await page
      .getByLabel('Message', { exact: true })
      .fill('In no time. See https://example.com/portraits. Here is the one I told you about:');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    const picture = await page.locator('.tile').first().screenshot();
    await page.locator('#file').setInputFiles({ name: 'portrait.png', mimeType: 'image/png', buffer: picture });
    await page.getByRole('link', { name: 'Save portrait.png' }).waitFor();
    return page;
  },
  /** A file on its way, and a file that its sender has withdrawn. */
  async files(world) {
    const page = await meeting(world, 2);
    await world.crowd.evaluate(() => {
      const size = 24_000_000;
      for (const [id, name] of ['The whole of the lecture.mp4', 'Notes.pdf'].entries())
        window.room.broadcast(JSON.stringify({ type: 'file', id, name, size, kind: '' }));
      const part = new Uint8Array(8 + 65_536); // of the first
      for (let n = 0; n < 140; n++) window.room.broadcast(part);
      window.room.broadcast(JSON.stringify({ type: 'withdraw', id: 1 }));
    });
    await page.getByRole('button', { name: /2 unread/ }).click();
    await page.getByText('Cancelled').waitFor();
    return page;
  },
  async why(world) {
    const page = await meeting(world, 3);
    await page.getByRole('button', { name: 'Why so fast?' }).click();
    // The plots of eight seconds or more: a line ends at 60, and begins a second earlier with each look.
    await page.waitForFunction(
      () => Number(/^M(\d+)/.exec(document.querySelector('#why .plot path')?.getAttribute('d') ?? '')?.[1]) <= 52,
    );
    return page;
  },
  async invite(world) {
    const page = await meeting(world, 2);
    await page.getByRole('button', { name: 'Invite' }).click();
    return page;
  },
  async devices(world) {
    const page = await join(await openDemo(world));
    await page.getByRole('button', { name: 'Devices' }).click();
    await page.getByText('A change takes effect').waitFor();
    return page;
  },
  async 'server-gone'(world) {
    const proxy = await startFaultyProxy(world.url);
    world.onEnd(proxy.stop);
    const page = await meeting({ ...world, url: proxy.url }, 2);
    proxy.refuse(true);
    proxy.drop();
    await page.getByText('you are still connected to each other').waitFor();
    return page;
  },
  async 'out-of-reach'(world) {
    const proxy = await startFaultyProxy(world.url);
    world.onEnd(proxy.stop);
    const page = await join(await openDemo({ ...world, url: proxy.url }));
    await page.getByRole('heading', { name: 'Nobody else is here' }).waitFor();
    proxy.refuse(true);
    proxy.drop();
    await page.getByText('The server is out of reach.').waitFor();
    return page;
  },
  async unreachable(world) {
    const proxy = await startFaultyProxy(world.url);
    world.onEnd(proxy.stop);
    const page = await openDemo({ ...world, url: proxy.url });
    proxy.refuse(true);
    proxy.drop();
    await join(page);
    await page.getByText('The server cannot be reached yet.').waitFor();
    return page;
  },
  async 'put-out'(world) {
    const page = await newPage(world);
    let putOut = (): unknown => undefined;
    await page.routeWebSocket(/\/ws\/room/, (socket) => {
      socket.connectToServer();
      putOut = () => socket.close({ code: 4403, reason: 'Removed by a host' });
    });
    await meeting(world, 2, page);
    await putOut();
    await page.getByText('The server no longer lets you in.').waitFor();
    await page.getByLabel(`Camera of ${PEOPLE[1]}`).waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'Nobody else is here' }).waitFor({ state: 'hidden' });
    return page;
  },
  async 'no-way'(world) {
    const room = newRoom();
    const page = await newPage(world);
    await page.clock.install();
    await join(await openDemo(world, { room }, page));
    // Somebody who never answers an offer.
    await world.crowd.evaluate(
      ([workerUrl, roomId]) =>
        new SignalingClient({
          workerUrl,
          roomId,
          metadata: { client_id: 'demo', metadata: { name: 'Alan Turing' } },
        }).start(),
      [world.url, room] as const,
    );
    await page.getByText('Connecting …').waitFor();
    await page.clock.fastForward(60_000); // how long the library tries
    await page.getByRole('list').getByText('No way to Alan Turing').waitFor();
    return page;
  },
  async 'other-key'(world) {
    const room = newRoom();
    const page = await join(await openDemo(world, { room, key: 'AAECAwQFBgcICQoLDA0ODw' }));
    await enterCrowd(world, { room, key: 'ZZECAwQFBgcICQoLDA0ODw' }, CROWD.slice(0, 1));
    await page.getByText('Somebody here has another link').waitFor();
    return page;
  },
  async 'no-key'(world) {
    const page = await join(await openDemo(world, { room: newRoom(), key: 'cut' }));
    await page.getByRole('heading', { name: 'The link is not complete.' }).waitFor();
    return page;
  },
  full: (world) => refused(world, { code: 4003, reason: 'Room is full' }, 'This room is full.'),
  'token-wanted': (world) =>
    refused(world, { code: 4401, reason: 'A token is needed' }, 'This server lets you in only with a room token.'),
  async 'token-refused'(world) {
    const close = { code: 4403, reason: 'The token is not for this room' };
    const page = await refused(world, { code: 4401, reason: 'A token is needed' }, 'This server lets you in only');
    await page.routeWebSocket(/\/ws\/room/, (socket) => socket.close(close));
    await page.getByLabel('Room token').fill('eyJhbGciOiJIUzI1NiJ9');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'This room token does not open the room.' }).waitFor();
    return page;
  },
  'not-this-page': (world) =>
    refused(
      world,
      { code: 4403, reason: 'Pages of this origin may not come in' },
      'This page may not use this server.',
    ),
  async 'not-secure'(world) {
    const page = await newPage(world);
    await page.addInitScript(() => Object.defineProperty(window, 'isSecureContext', { value: false }));
    await join(await openDemo(world, { room: newRoom(), key: 'cut' }, page));
    await page.getByRole('heading', { name: 'This page cannot use the key in the link.' }).waitFor();
    return page;
  },
  async 'bad-room'(world) {
    const page = await join(await openDemo(world, { room: 'abc' }));
    await page.getByText('4 to 128 characters').waitFor();
    return page;
  },
  async left(world) {
    const page = await join(await openDemo(world));
    await page.getByRole('button', { name: 'Leave' }).click();
    return page;
  },
};

async function newPage({ browser, onEnd }: DemoWorld): Promise<Page> {
  const context = await browser.newContext();
  onEnd(() => context.close());
  context.setDefaultTimeout(WAIT.timeout);
  return await context.newPage();
}

/** The first screen, with the portrait of a person in place of a camera's picture. */
export async function openDemo(world: DemoWorld, place: Place = { room: newRoom() }, page?: Page): Promise<Page> {
  page ??= await newPage(world);
  await page.addInitScript(paintCameras, 0);
  await page.goto(linkTo(place, `${world.url}/demo/`));
  await page.getByLabel('Your name').fill(PEOPLE[0] ?? '');
  return page;
}

/** The first screen where camera and microphone end in an error of this name. */
async function withoutCamera(world: DemoWorld, error: string): Promise<Page> {
  const page = await openDemo(world);
  await page.addInitScript((error) => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('No.', error));
  }, error);
  await page.reload();
  await page.getByLabel('Your name').fill(PEOPLE[0] ?? '');
  await page.locator('.trouble').first().waitFor();
  return page;
}

/** A room that refuses with this close frame. */
async function refused(world: DemoWorld, close: { code: number; reason: string }, title: string): Promise<Page> {
  const page = await newPage(world);
  await page.routeWebSocket(/\/ws\/room/, (socket) => socket.close(close));
  await join(await openDemo(world, undefined, page));
  await page.getByRole('heading', { name: title }).waitFor();
  return page;
}

export async function join(page: Page): Promise<Page> {
  await page.locator('#join').click();
  return page;
}

/** So many people in a room, each with a camera, and the picture of each is there. */
async function meeting(world: DemoWorld, count: number, made?: Page): Promise<Page> {
  const room = newRoom();
  await enterCrowd(world, { room }, PEOPLE.slice(1, count), true);
  const page = await join(await openDemo(world, { room }, made));
  for (const name of PEOPLE.slice(0, count))
    await page
      .getByLabel(`Camera of ${name}`)
      .evaluate((video) => new Promise((resolve) => Object(video).requestVideoFrameCallback(resolve)));
  return page;
}

/** Others in a room, all of them in one page, who meet those outside of it alone, and show them cameras or nothing. */
export async function enterCrowd(
  { crowd, url, onEnd }: DemoWorld,
  place: Place,
  names: string[],
  haveCameras = false,
): Promise<void> {
  onEnd(() => crowd.reload());
  await crowd.evaluate(() => (window.log ??= [])); // their session ids
  for (const [index, name] of names.entries()) {
    if (haveCameras) await crowd.evaluate(paintCameras, index + 1);
    await crowd.evaluate(
      async ([workerUrl, { room, key }, name, hasCamera]) => {
        window.room = new P2PCF('demo', room, {
          workerUrl,
          metadata: { name },
          stunIceServers: [],
          admit: ({ id }) => !window.log.includes(id),
          ...(key && { key }),
        });
        window.log.push(window.room.sessionId);
        if (hasCamera) {
          const camera = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
          window.room.on('peerconnect', (peer) => peer.addStream(camera));
        }
        await window.room.start();
      },
      [url, place, name, haveCameras] as const,
    );
  }
}

/** Runs in the page: a camera that shows a portrait in colours of its own, and a screen with a drawing. */
function paintCameras(index: number): void {
  const paint = (width: number, height: number, draw: (context: CanvasRenderingContext2D) => void): MediaStream => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    const redraw = (): void => (context ? draw(context) : undefined);
    setInterval(redraw, 400);
    redraw();
    return canvas.captureStream(2); // enough to see that it goes on, and little to encode
  };
  const hues = [262, 200, 28, 330];
  const hue = hues[index] ?? 150;
  const portrait = (context: CanvasRenderingContext2D): void => {
    const background = context.createLinearGradient(0, 0, 640, 480);
    background.addColorStop(0, `hsl(${hue} 60% 72%)`);
    background.addColorStop(1, `hsl(${hue + 50} 55% 38%)`);
    context.fillStyle = background;
    context.fillRect(0, 0, 640, 480);
    const ellipse = (colour: string, x: number, y: number, width: number, height: number): void => {
      context.fillStyle = colour;
      context.beginPath();
      context.ellipse(x, y, width, height, 0, 0, 7);
      context.fill();
    };
    const skin = ['#f2c9a5', '#e8b48c', '#f0c8a8', '#d99f77'][index] ?? '#c98b62';
    ellipse(`hsl(${hue + 180} 35% 30%)`, 320, 500, 190, 170);
    ellipse(skin, 320, 345, 48, 60);
    ellipse(['#3b2a20', '#8a6a4a', '#2b2420', '#1d1a1e'][index] ?? '#222', 320, 215, 112, 128);
    ellipse(skin, 320, 240, 88, 108);
    ellipse('#2a2228', 288, 232, 8, 10);
    ellipse('#2a2228', 352, 232, 8, 10);
    context.strokeStyle = '#8c3b3b';
    context.lineWidth = 6;
    context.beginPath();
    context.arc(320, 270, 34, 0.35, 2.8);
    context.stroke();
    context.fillStyle = `hsl(${(Date.now() / 50) % 360} 50% 50%)`; // so that frames go on coming
    context.fillRect(0, 0, 2, 2);
  };
  const slide = (context: CanvasRenderingContext2D): void => {
    context.fillStyle = '#fbfbfe';
    context.fillRect(0, 0, 1280, 720);
    context.fillStyle = '#171a26';
    context.font = '700 56px Inter, sans-serif';
    context.fillText('Messages to the server', 90, 130);
    for (const [bar, height] of [420, 300, 180, 90, 40, 20].entries()) {
      context.fillStyle = `hsl(${250 + bar * 14} 75% 62%)`;
      context.fillRect(110 + bar * 180, 640 - height, 120, height);
    }
    context.fillRect(0, 0, 1 + (Date.now() % 3), 1);
  };
  const { mediaDevices } = navigator;
  const fake = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted?.video) return await fake(wanted);
    const stream = paint(640, 480, portrait);
    if (wanted.audio) for (const track of (await fake({ audio: wanted.audio })).getTracks()) stream.addTrack(track);
    return stream;
  };
  mediaDevices.getDisplayMedia = () => Promise.resolve(paint(1280, 720, slide));
}
