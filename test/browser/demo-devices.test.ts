/** The demo's cameras and microphones, as people use them: off, on, another one, and away in the midst of it. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { until } from '../support/room-page.ts';
import { type Server, startDev } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

let server: Server;
let browser: Browser;
const newPage = pagesOfEachTest(() => browser);
beforeAll(async () => {
  const flags = ['--use-fake-device-for-media-stream=device-count=3,fps=2'];
  [server, browser] = await Promise.all([startDev(), launchChromium(flags)]);
});
afterAll(async () => {
  await Promise.all([server.stop(), browser.close()]);
});

/**
 * The first screen of a room. The page's `tracks` are all that the browser has given it. `ask` is a function in the
 * page that is called before each of these, with what is asked for.
 */
async function open(room = newRoom(), ask = '() => undefined'): Promise<Page> {
  const page = await newPage('about:blank');
  await page.addInitScript(`{
    window.tracks = [];
    const { getUserMedia } = MediaDevices.prototype;
    MediaDevices.prototype.getUserMedia = async function (wanted) {
      await (${ask})(wanted);
      const stream = await getUserMedia.call(this, wanted);
      window.tracks.push(...stream.getTracks());
      return stream;
    };
  }`);
  await page.goto(`${server.url}/demo/#${room}`);
  await page.getByLabel('Your name').fill('Alice');
  return page;
}

const join = (page: Page): Promise<void> => page.getByRole('button', { name: 'Join the call' }).click();
const leave = (page: Page): Promise<void> => page.getByRole('button', { name: 'Leave' }).click();
const live = (page: Page, kinds: string[]): Promise<void> =>
  until(page, kinds, () => {
    const tracks: MediaStreamTrack[] = Object(window).tracks;
    return tracks.filter(({ readyState }) => readyState === 'live').map(({ kind }) => kind);
  });

test('what the browser gives after we have left is let go', async () => {
  const page = await open(newRoom(), '() => new Promise((resolve) => { window.allow = resolve; })');
  await join(page);
  await leave(page);
  await page.getByRole('heading', { name: 'You have left the call.' }).waitFor();
  await page.evaluate(() => Object(window).allow());
  await until(page, 2, () => Object(window).tracks.length);
  await live(page, []);
});

test('a double click on "Join again" makes one call, which knows nothing of the one before', async () => {
  const room = newRoom();
  const alice = await open(room);
  const bob = await open(room);
  await join(alice);
  await join(bob);
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Connected in \d+ ms$/ }).waitFor();
  for (const page of [alice, bob]) await leave(page);
  await alice.getByRole('button', { name: 'Join again' }).dblclick();
  await alice.getByText('Alice (you)').waitFor();
  await until(alice, 1, () => document.querySelectorAll('#tiles li').length);
  expect(await alice.getByRole('button', { name: /^Connected in/ }).count()).toBe(0);
});

test('a person who leaves muted and without a camera comes back like that, until they turn it on', async () => {
  const page = await open();
  await live(page, ['audio', 'video']);
  await join(page);
  await page.getByRole('button', { name: 'Turn the camera off' }).click();
  await page.getByRole('button', { name: 'Mute', exact: true }).click();
  await leave(page);
  await page.getByRole('button', { name: 'Join again' }).click();
  await page.getByRole('button', { name: 'Unmute' }).waitFor();
  await live(page, []);
  await page.getByRole('button', { name: 'Turn the camera on' }).click();
  await live(page, ['video']);
  await leave(page);
  await page.getByRole('button', { name: 'Join again' }).click();
  await live(page, ['video']);
  await page.getByRole('button', { name: 'Unmute' }).click();
  await live(page, ['video', 'audio']);
});

test('to choose a camera that is off does not turn it on; to choose another while one is on replaces it', async () => {
  const page = await open();
  await live(page, ['audio', 'video']);
  await page.getByRole('button', { name: 'Turn the camera off' }).click();
  await live(page, ['audio']);
  await page
    .getByRole('button', { name: /devices/i })
    .first()
    .click();
  const camera = page.getByLabel('Camera', { exact: true });
  await expect.poll(() => camera.locator('option').count(), WAIT).toBeGreaterThan(2);
  const choices = await camera.locator('option').evaluateAll((all) => all.map((each) => Object(each).value));
  await camera.selectOption(choices.at(-1) ?? '');
  await page.keyboard.press('Escape');
  await live(page, ['audio']);
  const chosen = (): unknown => {
    const tracks: MediaStreamTrack[] = Object(window).tracks;
    return tracks.findLast(({ kind }) => kind === 'video')?.getSettings().deviceId;
  };
  await page.getByRole('button', { name: 'Turn the camera on' }).click();
  await live(page, ['audio', 'video']);
  await until(page, choices.at(-1), chosen);
  await page
    .getByRole('button', { name: /devices/i })
    .first()
    .click();
  await camera.selectOption(choices[0] ?? '');
  await until(page, choices[0], chosen);
  await live(page, ['audio', 'video']);
});

test('the camera that was chosen is used in the next call, too, and another one where it is gone', async () => {
  const page = await open(
    newRoom(),
    `(wanted) => {
      if (wanted.video?.deviceId?.exact && wanted.video.deviceId.exact === window.gone)
        throw new OverconstrainedError('deviceId', 'It is gone.');
    }`,
  );
  await live(page, ['audio', 'video']);
  await page.getByRole('button', { name: 'Devices' }).click();
  const camera = page.getByLabel('Camera', { exact: true });
  await expect.poll(() => camera.locator('option').count()).toBeGreaterThan(2);
  const chosen = (await camera.locator('option').last().getAttribute('value')) ?? '';
  await camera.selectOption(chosen);
  await page.keyboard.press('Escape');
  const used = (): unknown => {
    const tracks: MediaStreamTrack[] = Object(window).tracks;
    return tracks.findLast((track) => track.kind === 'video' && track.readyState === 'live')?.getSettings().deviceId;
  };
  await until(page, chosen, used);
  await join(page);
  await leave(page);
  await until(page, undefined, used);
  await page.getByRole('button', { name: 'Join again' }).click();
  await until(page, chosen, used);

  await page.evaluate((chosen) => Object.assign(window, { gone: chosen }), chosen);
  await page.getByRole('button', { name: 'Turn the camera off' }).click();
  await page.getByRole('button', { name: 'Turn the camera on' }).click();
  await live(page, ['audio', 'video']);
  expect(await page.evaluate(used)).not.toBe(chosen);
  await page.evaluate((chosen) => Object.assign(window, { gone: chosen }), await page.evaluate(used));
  await leave(page);
  await page.getByRole('button', { name: 'Join again' }).click();
  await live(page, ['audio', 'video']);
});

test('where the camera alone is forbidden there is the microphone; where both are, one sentence', async () => {
  const forbid = (kinds: string[]): string => `(wanted) => {
    const forbidden = ${JSON.stringify(kinds)};
    navigator.permissions.query = async ({ name }) => ({ state: forbidden.includes(name) ? 'denied' : 'prompt' });
    if ((wanted.video && forbidden.includes('camera')) || (wanted.audio && forbidden.includes('microphone')))
      throw new DOMException('Permission denied', 'NotAllowedError');
  }`;
  const one = await open(newRoom(), forbid(['camera']));
  await live(one, ['audio']);
  await one.getByText('This page may not use your camera.').waitFor();
  const both = await open(newRoom(), forbid(['camera', 'microphone']));
  await both.getByText('This page may not use your camera and microphone.').waitFor();
  expect(await both.getByRole('button', { name: 'Try again' }).count()).toBe(1);
});

/** Does to the page's newest track of this kind what pulling out a plug does. */
const unplug = (page: Page, kind: string): Promise<void> =>
  page.evaluate((kind) => {
    const tracks: MediaStreamTrack[] = Object(window).tracks;
    const track = tracks.findLast((track) => track.kind === kind && track.readyState === 'live');
    track?.stop();
    track?.dispatchEvent(new Event('ended'));
  }, kind);

test('a microphone that is pulled out: both are told, and to try again leaves alone the camera that was turned off', async () => {
  const room = newRoom();
  const [alice, bob] = [await open(room), await open(room)];
  await bob.getByLabel('Your name').fill('Bob');
  for (const page of [alice, bob]) await join(page);
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Connected in/ }).waitFor();
  await alice.getByRole('button', { name: 'Turn the camera off' }).click();
  await live(alice, ['audio']);
  await unplug(alice, 'audio');
  await bob.getByRole('listitem').filter({ hasText: 'Alice' }).getByText('is muted').waitFor();
  const trouble = alice.getByRole('alert').getByText('Your microphone has stopped.');
  await trouble.waitFor();
  await alice.getByRole('button', { name: 'Try again' }).click();
  await trouble.waitFor({ state: 'detached' });
  await live(alice, ['audio']);
  await alice.getByRole('button', { name: 'Mute' }).waitFor();
  await bob.getByRole('listitem').filter({ hasText: 'Alice' }).getByText('is muted').waitFor({ state: 'hidden' });
});

test('a camera that is pulled out is told, and is no trouble any more once it is on again', async () => {
  const page = await open();
  await live(page, ['audio', 'video']);
  await unplug(page, 'video');
  const trouble = page.getByRole('alert').getByText('Your camera has stopped.');
  await trouble.waitFor();
  await page.getByRole('button', { name: 'Turn the camera on' }).click();
  await trouble.waitFor({ state: 'detached' });
});

test('a screen that the browser itself stops sharing is gone for all; who can share none has no button for it', async () => {
  const room = newRoom();
  const [alice, bob] = [await open(room), await newPage('about:blank')];
  await bob.addInitScript('delete MediaDevices.prototype.getDisplayMedia');
  await bob.goto(`${server.url}/demo/#${room}`);
  for (const page of [alice, bob]) await join(page);
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Connected in/ }).waitFor();
  expect(await bob.getByRole('button', { name: /screen/ }).count()).toBe(0);
  await alice.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.getContext('2d')?.fillRect(0, 0, 1, 1);
    const screen = canvas.captureStream();
    Object(window).tracks.push(...screen.getTracks());
    navigator.mediaDevices.getDisplayMedia = () => Promise.resolve(screen);
  });
  await alice.getByRole('button', { name: 'Share the screen' }).click();
  const screen = bob.getByLabel('Alice’s screen', { exact: true });
  await screen.waitFor({ state: 'attached' });
  await unplug(alice, 'video'); // as the bar does that the browser shows
  await screen.waitFor({ state: 'detached' });
  await alice.getByRole('button', { name: 'Share the screen' }).waitFor();
  await live(alice, ['audio', 'video']);
});

test('where what has the focus goes, the focus goes on; nobody is said to be alone before the room has answered', async () => {
  const page = await newPage('about:blank');
  let answer = (): void => undefined;
  await page.routeWebSocket(/\/ws\/room/, async (socket) => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    socket.connectToServer();
  });
  await page.addInitScript(`navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException('In use', 'NotReadableError'));`);
  await page.goto(`${server.url}/demo/#${newRoom()}`);
  const focused = (): unknown => document.activeElement?.textContent || document.activeElement?.id;
  const press = async (name: string): Promise<void> => {
    await page.getByRole('button', { name }).focus();
    await page.keyboard.press('Enter');
  };
  await page.getByText('Another app is using').waitFor();
  await press('Try again');
  await page.waitForFunction(() => document.querySelectorAll('.trouble').length === 1);
  await until(page, 'Try again', focused);
  await press('Close');
  await until(page, 'name', focused);
  await join(page);
  const alone = page.getByRole('heading', { name: 'Nobody else is here' });
  await page.getByRole('button', { name: 'Leave' }).waitFor();
  expect(await alone.count()).toBe(0);
  answer();
  await alone.waitFor();
});

test('the call takes files that are dropped, and says so; text goes where one may write', async () => {
  const page = await open();
  await join(page);
  await page.getByRole('button', { name: /^Chat/ }).click();
  const dragOver = (selector: string, isFile: boolean): Promise<boolean> =>
    page.evaluate(
      ([selector, isFile]) => {
        const dataTransfer = new DataTransfer();
        if (isFile) dataTransfer.items.add(new File(['a'], 'a.txt'));
        else dataTransfer.setData('text/uri-list', 'https://example.com/');
        const event = new DragEvent('dragover', { dataTransfer, bubbles: true, cancelable: true });
        document.querySelector(selector)?.dispatchEvent(event);
        return event.defaultPrevented;
      },
      [selector, isFile] as const,
    );
  const hint = page.getByText('Drop to send to everybody');
  expect(await dragOver('#stage', false), 'a link leads nowhere').toBe(true);
  expect(await hint.isVisible()).toBe(false);
  expect(await dragOver('#message', false)).toBe(false);
  expect(await dragOver('#message', true)).toBe(true);
  expect(await hint.isVisible()).toBe(true);
});

test('who speaks is highlighted, ourselves as well', async () => {
  const page = await open();
  await join(page);
  await page.locator('#tiles li.own.speaking').waitFor(); // Chromium's stand-in for a microphone beeps once a second
});

test('the focus comes along into the call; words have the direction they are written in, and links are links', async () => {
  const room = newRoom();
  const [alice, bob] = [await open(room), await open(room)];
  await bob.getByLabel('Your name').fill('בוב');
  for (const page of [alice, bob]) await join(page);
  await until(alice, 'room-name', () => document.activeElement?.id);
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Connected in/ }).waitFor();
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Chat/ }).click();
  const say = async (text: string): Promise<[own: string, text: string]> => {
    await bob.getByLabel('Message', { exact: true }).fill(text);
    const field = await bob
      .getByLabel('Message', { exact: true })
      .evaluate((field) => getComputedStyle(field).direction);
    await bob.keyboard.press('Enter');
    const line = alice.getByRole('log').locator('.message').filter({ hasText: text });
    return [field, await line.evaluate((line) => getComputedStyle(line).direction)];
  };
  expect(await say('שלום (hello) עולם!')).toEqual(['rtl', 'rtl']);
  expect(await say('hello (שלום) world!')).toEqual(['ltr', 'ltr']);
  const names = alice.getByText('בוב', { exact: true });
  for (const name of await names.all())
    expect(await name.evaluate((name) => name.closest('#why') ?? getComputedStyle(name).direction)).not.toBe('ltr');

  await say('שלום https://example.com/a?b=c#d, javascript:alert(1)');
  const link = alice.getByRole('log').getByRole('link');
  expect(await link.evaluateAll((all) => all.map((each) => each.outerHTML))).toEqual([
    '<a href="https://example.com/a?b=c#d" target="_blank" rel="noopener noreferrer" dir="ltr">https://example.com/a?b=c#d</a>',
  ]);
});

test('the chat follows, also when a picture makes a line longer, and is read out where it is not in sight', async () => {
  const room = newRoom();
  const [alice, bob] = [await open(room), await open(room)];
  await alice.getByLabel('Your name').fill('Carol'); // another Alice would be told apart from her
  for (const page of [alice, bob]) await join(page);
  for (const page of [alice, bob]) await page.getByRole('button', { name: /^Connected in/ }).waitFor();
  await bob.getByRole('button', { name: /^Chat/ }).click();
  const say = async (text: string): Promise<void> => {
    await bob.getByLabel('Message', { exact: true }).fill(text);
    await bob.getByRole('button', { name: 'Send', exact: true }).click();
  };
  await say('nobody sees this');
  await until(alice, 'Alice: nobody sees this', () => document.getElementById('announcer')?.textContent);
  await alice.getByRole('button', { name: /^Chat/ }).click();
  for (const color of ['red', 'green', 'blue']) {
    const png = await bob.evaluate((color) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 300, height: 500 });
      const context = canvas.getContext('2d');
      if (context) context.fillStyle = color;
      context?.fillRect(0, 0, 300, 500);
      return canvas.toDataURL('image/png').split(',')[1] ?? '';
    }, color);
    await bob
      .locator('#file')
      .setInputFiles({ name: `${color}.png`, mimeType: 'image/png', buffer: Buffer.from(png, 'base64') });
    await alice.getByAltText(`${color}.png`).waitFor();
  }
  await say('do you see them?');
  const text = alice.getByRole('log').getByText('do you see them?');
  await text.waitFor();
  const below = (): number => {
    const log = document.getElementById('log');
    return log ? Math.round(log.scrollHeight - log.scrollTop - log.clientHeight) : -1;
  };
  await until(alice, 0, below);
  // Whoever reads further up is left there.
  await alice.evaluate(() => document.getElementById('log')?.scrollTo(0, 0));
  await say('and this?');
  await alice.getByRole('log').getByText('and this?').waitFor();
  expect(await alice.evaluate(() => document.getElementById('log')?.scrollTop)).toBe(0);
});
