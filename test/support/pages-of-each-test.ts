import type { Browser, Page } from 'playwright-core';
import { afterEach, expect } from 'vitest';
import { openPage } from './chromium.ts';

/**
 * For a suite: what it returns opens a page of the test under way. Each is closed after its test, which fails if an
 * error in one was caught by nobody.
 */
export function pagesOfEachTest(browser: () => Browser): (url: string) => Promise<Page> {
  let open: (Page & { errors: string[] })[] = [];
  afterEach(async () => {
    const errors = open.flatMap((page) => page.errors);
    for (const page of open) await page.context().close();
    open = [];
    expect(errors).toEqual([]);
  });
  return async (url) => {
    const page = await openPage(browser(), url);
    open.push(page);
    return page;
  };
}
