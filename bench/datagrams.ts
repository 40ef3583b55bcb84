/**
 * `npm run bench:datagrams`: how late messages are on a network that delays and loses packets, sent by `send` and, by
 * turns, by `sendUnreliable`. Prints a table and draws datagrams.svg. README.md says more.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { launchChromium, openPage, servePage } from '../test/support/chromium.ts';
import { newRoom } from '../test/support/new-room.ts';
import { startWorkerd } from '../test/support/server.ts';
import { BadNetwork, seeded } from './bad-network.ts';
import { machineLoad } from './machine-load.ts';
import { type Line, plot } from './plot.ts';
import { quantile } from './statistics.ts';

const options = parseArgs({
  options: {
    delay: { type: 'string', default: '50' },
    loss: { type: 'string', default: '5' },
    turns: { type: 'string', default: '6' },
    seed: { type: 'string', default: '7' }, // of 7,600 packets, about as many as a run has, it loses 5.0 %
  },
}).values;
const delayMs = Number(options.delay);
const lossPercent = Number(options.loss);

/** What the speaking page does. In each turn it sends by one way, then by the other. */
const PLAN = { turns: Number(options.turns), secondsEach: 5, perSecond: 60, bytes: 100 };
const SENT = PLAN.turns * PLAN.secondsEach * PLAN.perSecond;

type Way = 'send' | 'sendUnreliable';
/** How many ms each message took that arrived. */
type Latencies = Record<Way, number[]>;

const loadBefore = machineLoad();
const { latencies, packets, lost } = await measure();
const line = (name: Way): Line => ({ name, ms: latencies[name], sent: SENT });
const lines = [line('send'), line('sendUnreliable')] as const;
const table = [
  ['sent by', 'sent', 'arrived', 'median, ms', '95th percentile', '99th percentile', 'slowest'],
  ['---', ...Array<string>(6).fill('---:')],
  ...lines.map(row),
];
console.log(table.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
console.log(
  `\nEach packet takes ${delayMs} ms each way, ${2 * delayMs} ms there and back. ` +
    `Lost: ${lost} of ${packets} packets. Load: ${loadBefore} before, ${machineLoad()} after.`,
);
const title = `How late messages are: ${lossPercent} % of packets lost, ${delayMs} ms each way`;
await writeFile(new URL('datagrams.svg', import.meta.url), plot(title, lines));

async function measure(): Promise<{ latencies: Latencies; packets: number; lost: number }> {
  const network = new BadNetwork(delayMs, seeded(Number(options.seed)));
  const [server, pages, browser] = await Promise.all([
    startWorkerd(),
    servePage(),
    launchChromium([], { isWhole: true }),
  ]);
  try {
    const [alice, bob] = await Promise.all([openPage(browser, pages.url), openPage(browser, pages.url)]);
    const [portForAlice, portForBob] = await network.ports();
    await alice.evaluate(detour, portForAlice);
    await bob.evaluate(detour, portForBob);
    const room = { workerUrl: server.url, roomId: newRoom() };
    for (const page of [alice, bob]) await page.evaluate(enter, room);
    for (const page of [alice, bob]) await page.waitForFunction(() => window.room.connectedSessions.length === 1);
    network.lose(lossPercent / 100);
    const heard = bob.evaluate(hear);
    await alice.evaluate(speak, PLAN);
    const latencies = await heard;
    const { packets, lost } = network;
    if (packets < SENT) throw new Error('The pages have found a way around the network.');
    return { latencies, packets, lost };
  } finally {
    await browser.close();
    network.stop();
    await Promise.all([pages.stop(), server.stop()]);
  }
}

/** In a page: wherever the other says that it is, it is sought at this port of our network. */
function detour(port: number): void {
  const led = (text: string): string => text.replaceAll(/( udp \d+) \S+ \d+ typ/gi, `$1 127.0.0.1 ${port} typ`);
  const { prototype } = RTCPeerConnection;
  prototype.addIceCandidate = new Proxy(prototype.addIceCandidate, {
    apply: (add, pc, [given]) => Reflect.apply(add, pc, [{ ...given, candidate: led(given.candidate) }]),
  });
  prototype.setRemoteDescription = new Proxy(prototype.setRemoteDescription, {
    apply: (set, pc, [given]) => Reflect.apply(set, pc, [{ type: given.type, sdp: led(given.sdp) }]),
  });
}

/** In a page: joins the room. */
async function enter({ workerUrl, roomId }: { workerUrl: string; roomId: string }): Promise<void> {
  window.room = new P2PCF('somebody', roomId, { workerUrl, stunIceServers: [] });
  await window.room.start();
}

/** In a page: sends messages that begin with the time, and an empty one after the last. */
async function speak({ turns, secondsEach, perSecond, bytes }: typeof PLAN): Promise<void> {
  const [peer] = window.room.peers.values();
  if (!peer) throw new Error('no peer');
  const message = new DataView(new ArrayBuffer(bytes));
  const now = (): number => performance.timeOrigin + performance.now();
  const until = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time - now()));
  for (let turn = 0; turn < turns; turn++) {
    for (const way of ['send', 'sendUnreliable'] as const) {
      const start = now() + 1000; // what the other way has under way is not to be in the way
      for (let n = 0; n < secondsEach * perSecond; n++) {
        await until(start + (n * 1000) / perSecond);
        message.setFloat64(0, now());
        window.room[way](peer, message);
      }
    }
  }
  await window.room.send(peer, '');
}

/** In a page: notes how late each message is, until the empty one. */
function hear(): Promise<Latencies> {
  const latencies: Latencies = { send: [], sendUnreliable: [] };
  const note = (way: Way, data: ArrayBuffer): void => {
    latencies[way].push(performance.timeOrigin + performance.now() - new DataView(data).getFloat64(0));
  };
  return new Promise((resolve) => {
    window.room
      .on('datagram', (_peer, data) => note('sendUnreliable', data))
      .on('msg', (_peer, data) => {
        if (data.byteLength > 0) note('send', data);
        else resolve(latencies);
      });
  });
}

function row({ name, ms, sent }: Line): string[] {
  const percentiles = [0.5, 0.95, 0.99, 1].map((share) => quantile(ms, share).toFixed(0));
  return [`\`${name}\``, String(sent), String(ms.length), ...percentiles];
}
