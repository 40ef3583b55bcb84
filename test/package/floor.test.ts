/** What is shipped, the demo as well, needs nothing that the oldest browsers in package.json's `browserslist` lack. */
import { fileURLToPath } from 'node:url';
import bcd from '@mdn/browser-compat-data' with { type: 'json' };
import type { Identifier, SimpleSupportStatement } from '@mdn/browser-compat-data/types';
import { build } from 'esbuild';
import type { Node } from 'typescript/unstable/ast';
import { isIdentifier } from 'typescript/unstable/ast/is';
import { API } from 'typescript/unstable/sync';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { TARGETS } from '../../scripts/targets.ts';
import { launchChromium, openPage, servePage } from '../support/chromium.ts';
import { newRoom } from '../support/new-room.ts';
import { connected, enter, heard, say, until } from '../support/room-page.ts';
import { startWorkerd } from '../support/server.ts';
import { WAIT } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `[['chrome', '100'], …]`, and Node, where a program brings WebRTC of its own, and is run in places.test.ts. */
const browsers = manifest.browserslist.map((oldest) => oldest.split(' >= ')).filter(([browser]) => browser !== 'node');

/**
 * What they lack and need not have: negotiation.ts takes the state of ICE, media.ts a new transceiver where an old one
 * cannot be used again, limits.ts counts no header extensions where RTCRtpReceiver does not tell which are known, and
 * without the errors of candidates the reason of a failure is less precise. The demo looks before it shares or asks for
 * permissions, and takes the first character for a letter. All have srcObject for streams, and Firefox a list without
 * loudspeakers, which is all that is used of them.
 */
const DONE_WITHOUT = [
  'HTMLMediaElement.srcObject: chrome 100',
  'Intl.Segmenter: firefox 100',
  'MediaDevices.enumerateDevices: firefox 100',
  'Navigator.permissions: safari 15.4',
  'Navigator.share: chrome 100,firefox 100',
  'PermissionStatus.state: safari 15.4',
  'Permissions.query: safari 15.4',
  'RTCPeerConnection.connectionState: firefox 100',
  'RTCPeerConnection.onconnectionstatechange: firefox 100',
  'RTCPeerConnection.onicecandidateerror: firefox 100',
  'RTCPeerConnectionIceErrorEvent: firefox 100',
  'RTCRtpSender.setStreams: firefox 100',
  '__type.getCapabilities: firefox 100',
];

/** Every name of the platform in the files that are shipped: `fetch`, `RTCPeerConnection.restartIce`. */
function platformNames(): string[] {
  const api = new API({ cwd: root });
  try {
    const config = `${root}tsconfig.client.json`;
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    if (!project) throw new Error(`${config} does not open`);
    const identifiers: Node[] = [];
    const collect = (node: Node): undefined => {
      if (isIdentifier(node)) identifiers.push(node);
      node.forEachChild(collect);
    };
    for (const name of project.program.getSourceFileNames()) {
      const file = /\/lib\.|\/node_modules\//.test(name) ? undefined : project.program.getSourceFile(name);
      if (file) collect(file);
    }
    const names = new Set<string>();
    for (const symbol of project.checker.getSymbolAtLocation(identifiers)) {
      if (!symbol?.declarations.some(({ path }) => /\/lib\.[^/]*\.d\.ts$/.test(path))) continue;
      const owner = symbol.getParent()?.name;
      names.add(owner ? `${owner}.${symbol.name}` : symbol.name);
    }
    return [...names].sort();
  } finally {
    api.close();
  }
}

/** MDN's entry for a name in TypeScript's declarations; undefined for what is a type and no more. */
function entryOf(name: string): Identifier | undefined {
  const [owner = '', member] = name
    .replace(/^(\w+)Constructor\b/, '$1')
    .replace(/^Readonly(Array|Map|Set)\b/, '$1')
    .replace(/^(Callable|Newable)Function\b/, 'Function')
    .replace(/^Body\./, 'Response.')
    .replace(/^ARIAMixin\b/, 'Element')
    .replace(/^(Uint|Int|Float)\d+Array\./, 'TypedArray.')
    .replace(/^Console\b/, 'console')
    .split('.');
  // What a constructor has itself is declared without its name.
  if (owner === '__type')
    return Object.keys(bcd.api)
      .map((each) => bcd.api[each]?.[`${member}_static`])
      .find(Boolean);
  const entry = bcd.javascript['builtins']?.[owner] ?? bcd.api[owner] ?? bcd.api[`${owner}_static`];
  if (!member) return entry;
  return entry?.[member] ?? entry?.[`${member.replace(/^on/, '')}_event`] ?? entry?.[`${member}_static`];
}

/** The browsers of the floor that do not have what the entry is about. */
function lackedBy(entry: Identifier): string[] {
  return browsers.flatMap(([browser = '', oldest]) => {
    const support = Object(entry.__compat?.support)[browser];
    const statements: SimpleSupportStatement[] = [support ?? []].flat();
    const isThere = statements.some(
      ({ version_added: added, version_removed: removed, prefix, flags }) =>
        typeof added === 'string' &&
        Number.parseFloat(added.replace('≤', '')) <= Number(oldest) &&
        !removed &&
        !prefix &&
        !flags,
    );
    return isThere ? [] : [`${browser} ${oldest}`];
  });
}

test('every name of the platform is known to the oldest browsers', () => {
  const lacking = platformNames().flatMap((name) => {
    const entry = entryOf(name);
    const lacks = entry?.__compat ? lackedBy(entry) : [];
    return lacks.length === 0 ? [] : [`${name}: ${lacks}`];
  });
  expect(lacking).toEqual(DONE_WITHOUT);
});

test.each([
  ['Array.findLast', ['firefox 100']],
  ['ArrayConstructor.fromAsync', ['chrome 100', 'firefox 100', 'safari 15.4']],
  ['PromiseConstructor.withResolvers', ['chrome 100', 'firefox 100', 'safari 15.4']],
  ['URL.canParse', ['chrome 100', 'firefox 100', 'safari 15.4']],
  ['AbortSignal.any', ['chrome 100', 'firefox 100', 'safari 15.4']],
  ['ObjectConstructor.hasOwn', []],
  ['structuredClone', []],
  ['RTCPeerConnection.ontrack', []],
])('the check itself: %s is lacked by %j', (name, expected) => {
  const entry = entryOf(name);
  expect(entry?.__compat).toBeDefined();
  expect(entry && lackedBy(entry)).toEqual(expected);
});

test('the syntax is that of the oldest browsers as it is written: esbuild has nothing to rewrite', async () => {
  const bundled = async (target: string | string[]): Promise<string | undefined> => {
    const entryPoints = ['src/client/index.ts', 'src/protocol/index.ts'];
    const options = { bundle: true, format: 'esm', outdir: 'dist', write: false, absWorkingDir: root } as const;
    const { outputFiles } = await build({ ...options, entryPoints, target });
    return outputFiles.map(({ text }) => text).join('\n');
  };
  expect(await bundled(TARGETS)).toBe(await bundled('esnext'));
});

test('two pages without connectionState, as Firefox 100, meet and restart ICE', async () => {
  const [server, pages, browser] = await Promise.all([startWorkerd(), servePage(), launchChromium()]);
  try {
    const room = newRoom();
    const both = [await openPage(browser, pages.url), await openPage(browser, pages.url)];
    for (const page of both) {
      await page.evaluate(() => {
        Reflect.deleteProperty(RTCPeerConnection.prototype, 'connectionState');
        Reflect.deleteProperty(RTCPeerConnection.prototype, 'onconnectionstatechange');
      });
      await enter(page, server.url, room);
    }
    for (const page of both) await connected(page, 1);
    const [one, other] = both;
    const ufrag = (): unknown => {
      const [peer] = window.room.peers.values();
      return /a=ice-ufrag:(\S+)/.exec(peer?._pc.remoteDescription?.sdp ?? '')?.[1];
    };
    const before = await other?.evaluate(ufrag);
    await one?.evaluate(() => window.dispatchEvent(new Event('online')));
    await expect.poll(() => other?.evaluate(ufrag), WAIT).not.toBe(before);
    for (const page of both) {
      await until(page, ['connected', 'stable'], () => {
        const [peer] = window.room.peers.values();
        return [peer?.state, peer?._pc.signalingState];
      });
      await say(page, 'after the restart');
    }
    for (const page of both) await heard(page, 'after the restart');
  } finally {
    await Promise.all([browser.close(), server.stop(), pages.stop()]);
  }
});
