/** Real Firefox as Debian has it, over WebDriver BiDi: playwright-core drives only a Firefox that was built for it. */
import { existsSync } from 'node:fs';
import { type Browser, launch, type Page } from 'puppeteer-core';

/** On top of puppeteer's own, which keep Firefox from calling home. */
const PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.peerconnection.ice.loopback': true, // there may be no other network
  'media.peerconnection.ice.obfuscate_host_addresses': false, // an mDNS name needs a network that answers for it
};

const PLACES = [
  process.env['FIREFOX'],
  '/usr/bin/firefox-esr',
  '/usr/bin/firefox',
  '/Applications/Firefox.app/Contents/MacOS/firefox',
];

/** Rejects with what to do if there is no Firefox. */
export async function launchFirefox(): Promise<Browser> {
  const executablePath = PLACES.find((path) => path !== undefined && existsSync(path));
  if (!executablePath) {
    throw new Error('No Firefox found. Run: apt-get install firefox-esr. Or set FIREFOX to the path of one.');
  }
  return await launch({ browser: 'firefox', executablePath, extraPrefsFirefox: PREFERENCES });
}

/** Opens the page; an error in it that nobody catches fails the test that asks `errors`. */
export async function openInFirefox(browser: Browser, url: string): Promise<Page & { errors: string[] }> {
  const page = await browser.newPage({ type: 'window' }); // a tab would put the one before it into the background
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(url);
  return Object.assign(page, { errors });
}
