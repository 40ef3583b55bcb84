/** The demo of a server that does not let everybody in. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { pagesOfEachTest } from '../support/pages-of-each-test.ts';
import { SECRET, signToken } from '../support/room-token.ts';
import { type Server, startWorkerd } from '../support/server.ts';

let browser: Browser;
let server: Server;
const newPage = pagesOfEachTest(() => browser);
beforeAll(async () => {
  browser = await launchChromium();
});
afterEach(() => server.stop());
afterAll(() => browser.close());

async function join(room: string): Promise<Page> {
  const page = await newPage(`${server.url}/demo/#${room}`);
  await page.getByRole('button', { name: 'Join the call' }).click();
  return page;
}

/** What the page offers to do. */
const offered = (page: Page): Promise<string[]> => page.getByRole('button').allTextContents();

test('a server that wants room tokens: the page says so, and whoever has a token gets in with it', async () => {
  server = await startWorkerd({ vars: { AUTH_SECRET: SECRET } });
  const room = newRoom();
  const page = await join(room);
  const tryToken = async (token: string): Promise<void> => {
    await page.getByLabel('Room token').fill(token);
    await page.getByRole('button', { name: 'Try again' }).click();
  };
  await page.getByRole('heading', { name: 'This server lets you in only with a room token.' }).waitFor();
  await page.getByText(`Ask whoever runs the server for a token for the room ${room}`).waitFor();
  expect(await offered(page)).toEqual(['Try again']);

  await tryToken('what is no token');
  await page.getByText('The token is no JWT').waitFor();
  await tryToken(await signToken({ rooms: ['another room'] }));
  await page.getByText('The token is not for this room').waitFor();
  await tryToken(await signToken({ rooms: [room] }));
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('button', { name: 'Join again' }).click();
  await page.getByRole('heading', { name: 'Nobody else is here' }).waitFor();
});

test('a server for other pages alone: the page says what its owner can do, and tries again', async () => {
  server = await startWorkerd({ vars: { ALLOWED_ORIGINS: 'https://app.example.com' } });
  const page = await join(newRoom());
  await page.getByRole('heading', { name: 'This page may not use this server.' }).waitFor();
  await page.getByText(`name ${server.url} in the setting ALLOWED_ORIGINS`).waitFor();
  expect(await offered(page)).toEqual(['Try again']);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'This page may not use this server.' }).waitFor();
});

test('a room that is full: the page says so, and lets one try again or go elsewhere', async () => {
  server = await startWorkerd({ vars: { MAX_PEERS_PER_ROOM: 1 } });
  const room = newRoom();
  const inside = await join(room);
  await inside.getByRole('heading', { name: 'Nobody else is here' }).waitFor();
  const page = await join(room);
  await page.getByRole('heading', { name: 'This room is full.' }).waitFor();
  expect(await offered(page)).toEqual(['Try again', 'Start a new room']);
  await inside.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'Nobody else is here' }).waitFor();
});
