/**
 * Two browsers, each in a network of its own behind a router that translates addresses; server, pages and coturn
 * outside.
 */
import type { Browser } from 'playwright-core';
import { launchChromium, openPage, type PageServer, servePage } from './chromium.ts';
import { type Coturn, startCoturn } from './coturn.ts';
import { type Home, Internet, type Router, type Translation } from './nat.ts';
import { newRoom } from './new-room.ts';
import { connected, enter, inPage, until } from './room-page.ts';
import { type Server, startWorkerd } from './server.ts';

export type HomePage = Awaited<ReturnType<typeof openPage>>;

/** What can happen to the network of a home: another one, of this kind; or its router gets another address. */
export type Change = Translation | 'another address';

interface Dwelling {
  home: Home;
  router: Router;
  browser: Browser;
}

export class TwoHomes {
  readonly #net: Internet;
  readonly #dwellings: Dwelling[];
  readonly #coturn: Coturn;
  readonly #pages: PageServer;
  readonly #server: Server;

  static async open(): Promise<TwoHomes> {
    const net = new Internet();
    const places = [0, 1].map(() => {
      const router = net.addRouter('keeps');
      return { router, home: net.addHome(router) };
    });
    const [coturn, pages, ...dwellings] = await Promise.all([
      // As docs/turn.md has it. Where no route leads to such an address, coturn (4.6.1) may lose the whole relay over
      // it.
      startCoturn({ at: net.servers, flags: ['--denied-peer-ip', '10.0.0.0-10.255.255.255'] }),
      servePage(),
      ...places.map(async (place) => {
        const browser = await launchChromium([], { launcher: (path) => net.launcher(path, place.home) });
        return { ...place, browser };
      }),
    ]);
    const vars = {
      ALLOWED_ORIGINS: new URL(pages.url).origin,
      TURN_OPEN: 'true',
      TURN_URLS: `turn:${coturn.address}`,
      TURN_SECRET: coturn.secret,
    };
    return new TwoHomes(net, dwellings, coturn, pages, await startWorkerd({ at: net.servers, vars }));
  }

  constructor(net: Internet, dwellings: Dwelling[], coturn: Coturn, pages: PageServer, server: Server) {
    this.#net = net;
    this.#dwellings = dwellings;
    this.#coturn = coturn;
    this.#pages = pages;
    this.#server = server;
  }

  /** Two pages that are connected, each behind a new router that translates so. */
  async meet(...translations: [Translation, Translation]): Promise<[HomePage, HomePage]> {
    for (const [index, translation] of translations.entries()) this.change(index, translation);
    const room = newRoom();
    const options = { stunIceServers: [{ urls: `stun:${this.#coturn.address}` }] };
    const enterFrom = async (index: number): Promise<HomePage> => {
      const page = await openPage(this.#at(index).browser, this.#pages.url, true);
      await enter(page, this.#server.url, room, `user ${index}`, options, noteMessages);
      return page;
    };
    const open: [HomePage, HomePage] = [await enterFrom(0), await enterFrom(1)];
    for (const page of open) await connected(page, 1);
    return open;
  }

  change(index: number, change: Change): void {
    const dwelling = this.#at(index);
    if (change === 'another address') this.#net.renumber(dwelling.router);
    else {
      dwelling.router = this.#net.addRouter(change);
      this.#net.move(dwelling.home, dwelling.router);
    }
  }

  /** From now on each home gets so many of a hundred packets not; or one of them. */
  lose(percent: number, ...indexes: number[]): void {
    for (const index of indexes.length > 0 ? indexes : this.#dwellings.keys())
      this.#net.lose(this.#at(index).home, percent);
  }

  async stop(): Promise<void> {
    await Promise.all([
      ...this.#dwellings.map(({ browser }) => browser.close()),
      this.#server.stop(),
      this.#pages.stop(),
    ]);
    await this.#coturn.stop();
    this.#net.remove();
  }

  #at(index: number): Dwelling {
    const dwelling = this.#dwellings[index];
    if (!dwelling) throw new Error(`There is no home ${index}.`);
    return dwelling;
  }
}

/** A message as it was heard; times in ms since the epoch. */
export interface Heard {
  number: number;
  sentAt: number;
  heardAt: number;
}

/**
 * Both pages send ten messages a second, numbered from 0, while the network of one changes. Resolves, when each has
 * heard what was sent after the change, with what each has heard until then.
 */
export async function streamThrough(pages: readonly HomePage[], change: () => void): Promise<Heard[][]> {
  for (const page of pages) await inPage(page, sendTenASecond);
  for (const page of pages) await until(page, true, () => window.log.length > 20); // a stream by now
  change();
  const changedAt = Date.now();
  for (const page of pages) await until(page, true, hasHeardSince, changedAt);
  return Promise.all(pages.map(async (page) => messagesIn(await inPage(page, () => window.log))));
}

/** Each message heard is in the page's log: its number, when it was sent and when it was heard. */
function noteMessages(): void {
  window.room.on('msg', (_peer, data) => window.log.push(`${new TextDecoder().decode(data)} ${Date.now()}`));
}

function sendTenASecond(): void {
  let number = 0;
  setInterval(() => void window.room.broadcast(`${number++} ${Date.now()}`), 100);
}

function hasHeardSince(time: number): boolean {
  return window.log.some((line) => Number(/^\d+ (\d+) \d+$/.exec(line)?.[1]) > time);
}

function messagesIn(log: unknown): Heard[] {
  return Array.from(String(log).matchAll(/\b(\d+) (\d+) (\d+)\b/g), ([, ...numbers]) => {
    const [number = Number.NaN, sentAt = Number.NaN, heardAt = Number.NaN] = numbers.map(Number);
    return { number, sentAt, heardAt };
  });
}
