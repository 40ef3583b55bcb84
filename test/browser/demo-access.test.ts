/** The demo in its states, light on a wide screen and dark on a narrow one: everybody can use it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage, type PageServer, servePage } from '../support/chromium.ts';
import { CROWD, type DemoWorld, demoStates, enterCrowd, join, openDemo } from '../support/demo-states.ts';
import { newRoom } from '../support/new-room.ts';
import { until } from '../support/room-page.ts';
import { type Server, startDev } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let server: Server;
let pages: PageServer;
let browser: Browser;
let crowd: Page;
let ends: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  [server, pages, browser] = await Promise.all([startDev(), servePage(), launchChromium()]);
  crowd = await openPage(browser, pages.url);
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});
afterAll(async () => {
  await Promise.all([server.stop(), pages.stop(), browser.close()]);
});

// Colours are the same at each size, and sizes in each colour.
const LOOKS = [
  ['light', 1280, 720],
  ['dark', 390, 844],
] as const;

const world = (): DemoWorld => ({ browser, url: server.url, crowd, onEnd: (work) => ends.push(work) });

/** What does not fit on the screen, moves though it should not, or lies on something else. */
function faults(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame); // after a change of size
    const tiles = [...document.querySelectorAll('.tile:not(.on-top)')].map((tile) => tile.getBoundingClientRect());
    const lieOnEachOther = tiles.some((a, index) =>
      tiles
        .slice(index + 1)
        .some((b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1),
    );
    return [
      ...(document.documentElement.scrollWidth > innerWidth ? ['The page is wider than the window.'] : []),
      ...document
        .getAnimations()
        .map(({ effect }) => `Something moves: ${Reflect.get(effect ?? {}, 'target')?.className}`),
      ...(lieOnEachOther ? ['Tiles lie on each other.'] : []),
    ];
  });
}

test.each(Object.entries(demoStates))(
  '%s: axe finds nothing, all of it fits, and nothing moves',
  async (_name, open) => {
    const page = await open(world());
    await page.evaluate(AXE); // which the page's own policy would not let in as a script
    for (const [colorScheme, width, height] of LOOKS) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height });
      const misplaced = await faults(page);
      const { violations }: AxeResults = Object(await page.evaluate('axe.run()'));
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      expect([...misplaced, ...found], `${colorScheme}, ${width} px`).toEqual([]);
    }
  },
);

test('one to twelve people: their tiles lie beside each other, within the window', async () => {
  const place = { room: newRoom() };
  const page = await join(await openDemo(world(), place));
  await page.emulateMedia({ reducedMotion: 'reduce' });
  for (const [index, name] of ['', ...CROWD].entries()) {
    if (name) await enterCrowd(world(), place, [name]);
    await expect.poll(() => page.locator('.tile').count(), WAIT).toBe(index + 1);
    for (const [, width, height] of LOOKS) {
      await page.setViewportSize({ width, height });
      expect(await faults(page), `${index + 1} people, ${width} px`).toEqual([]);
    }
  }
});

async function show(state: string): Promise<Page> {
  const open = demoStates[state];
  if (!open) throw new Error(`There is no state ${state}.`);
  return await open(world());
}

/** What is there, and not wholly within the window. */
function outside(page: Page, what: string): Promise<string[]> {
  return page.locator(what).evaluateAll((elements) =>
    elements
      .filter((element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        const isWithin = left > -1 && top > -1 && right < innerWidth + 1 && bottom < innerHeight + 1;
        return element.checkVisibility() && !isWithin;
      })
      .map(({ outerHTML }) => outerHTML.slice(0, 120)),
  );
}

test('the first screen shows all its buttons: on a phone, on its side, too, and on a page of twice the size', async () => {
  const page = await show('lobby');
  for (const [width, height] of [
    [390, 844],
    [844, 390],
    [640, 360],
  ] as const) {
    await page.setViewportSize({ width, height });
    expect(await outside(page, '.lobby button'), `${width} by ${height}`).toEqual([]);
  }
});

test('a name of any length leaves the time beside it on its line, on the narrowest phone', async () => {
  const page = await show('why');
  await page.setViewportSize({ width: 320, height: 568 });
  const lines = await page
    .locator('#why summary')
    .first()
    .evaluate((summary) => {
      summary.firstElementChild?.replaceChildren('W'.repeat(40));
      const time = document.createRange();
      time.selectNodeContents(Object(summary.lastElementChild));
      return time.getClientRects().length;
    });
  expect(lines).toBe(1);
});

test.each(['W', 'ש'])(
  'a name of any length is not under our own picture, on a phone and on a wide screen: %s',
  async (letter) => {
    const page = await show('pair');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    for (const [width, height] of [
      [360, 640],
      [1280, 720],
    ] as const) {
      await page.setViewportSize({ width, height });
      await until(
        page,
        true,
        (text) => {
          const name = document.querySelector('.tile:not(.on-top) .name');
          name?.firstElementChild?.replaceChildren(text);
          const right = name?.getBoundingClientRect().right ?? innerWidth;
          return right < (document.querySelector('.tile.on-top')?.getBoundingClientRect().left ?? 0);
        },
        letter.repeat(200),
      );
    }
  },
);

test('without a camera, a phone shows the way on with the rest', async () => {
  const page = await show('camera-denied');
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await outside(page, '.lobby button')).toEqual([]);
});

test.each(['pair', 'chat', 'invite', 'devices', 'server-gone'])(
  '%s, on a narrow screen in letters of twice the size: all of it fits, and the other is seen',
  async (state) => {
    const page = await show(state);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 390, height: 844 });
    const settings = await page.context().newCDPSession(page);
    await settings.send('Page.setFontSizes', { fontSizes: { standard: 32 } });
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize)).toBe('32px');
    expect(await faults(page)).toEqual([]);
    expect(await outside(page, '.call > .bar *, .call > .controls *, #write *')).toEqual([]);
    const isWider = page.locator('dialog[open]').evaluateAll((all) => all.map((a) => a.scrollWidth > a.clientWidth));
    expect(await isWider).not.toContain(true);
    await expect.poll(async () => (await page.locator('.tile').first().boundingBox())?.height).toBeGreaterThan(150);
  },
);

test("in the user's own few colours, the speaker, the open panel and the times are still to be seen", async () => {
  const page = await show('why');
  await page.emulateMedia({ forcedColors: 'active', colorScheme: 'dark' });
  await until(page, true, () => {
    const looks = (what: string, part: '' | '::after' = ''): CSSStyleDeclaration | undefined => {
      const element = document.querySelector(what);
      return element ? getComputedStyle(element, part) : undefined;
    };
    const speaker = looks('.tile.speaking', '::after')?.borderTopColor;
    const open = looks('.controls [data-panel="why"]')?.backgroundColor;
    return (
      speaker !== undefined &&
      speaker !== looks('.tile:not(.speaking)', '::after')?.borderTopColor &&
      open !== looks('.controls [data-panel="chat"]')?.backgroundColor &&
      looks('.bar-of')?.backgroundImage.includes('gradient')
    );
  });
});

test('a name that is typed before the script has come is kept, and Enter or a click loses neither room nor key', async () => {
  const page = await openPage(browser, 'about:blank');
  ends.push(() => page.context().close());
  const mayCome = Promise.withResolvers<void>();
  await page.route('**/demo.js', async (route) => {
    await mayCome.promise;
    await route.continue();
  });
  const link = `${server.url}/demo/#${newRoom()}`;
  await page.goto(link, { waitUntil: 'commit' });
  await page.getByLabel('Your name').fill('Ada');
  await page.getByLabel('Your name').press('Enter');
  await page.locator('#join').click({ force: true });
  mayCome.resolve();
  await page.getByRole('button', { name: 'Join the call' }).click();
  await page.getByRole('button', { name: 'Leave' }).waitFor();
  expect(page.url()).toBe(link);
  await page.getByText('Ada').first().waitFor();
});

test('by keyboard alone: in, out, and in again', async () => {
  const page = await openDemo(world());
  const reach = async (what: Locator): Promise<void> => {
    await what.waitFor();
    const isFocused = (): Promise<boolean> => what.evaluate((element) => element === document.activeElement);
    for (let tabs = 0; tabs < 20 && !(await isFocused()); tabs++) await page.keyboard.press('Tab');
    expect(await isFocused(), `${what} is reached`).toBe(true);
  };
  const press = async (name: string, key: string): Promise<void> => {
    await reach(page.getByRole('button', { name, exact: true }));
    await page.keyboard.press(key);
  };
  await reach(page.getByLabel('Your name'));
  await page.keyboard.press('Enter');
  await press('Leave', 'Space');
  await press('Join again', 'Enter');
  await press('Chat', 'Enter');
  await page.keyboard.type('nobody is here');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await press('Leave', 'Enter');
  await page.getByRole('heading', { name: 'You have left the call.' }).waitFor();
});
