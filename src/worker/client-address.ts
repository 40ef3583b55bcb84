/** Which network a request comes from, so that the room knows how often it joins and polls. */
import { shortHash } from './hash.ts';
import { type Settings, SettingsError } from './settings.ts';

/** Where Cloudflare puts the client's address. It overwrites what a client writes there; elsewhere nobody does. */
const CLOUDFLARE_HEADER = 'CF-Connecting-IP';

/** Longest address that is read, in characters: an IPv6 one with a port, and some. */
const MAX_ADDRESS_LENGTH = 64;

/** Throws SettingsError for what cannot be the name of a header. */
export function readAddressHeader({ TRUSTED_ADDRESS_HEADER: name }: Settings): string {
  if (name === undefined || name === '') return CLOUDFLARE_HEADER;
  if (typeof name === 'string' && /^[\w-]+$/.test(name)) return name;
  throw new SettingsError(
    `The setting TRUSTED_ADDRESS_HEADER is ${JSON.stringify(name)}; it must be the name of the header in which your proxy puts the client's address, such as X-Forwarded-For.`,
  );
}

/**
 * The address as a short hash; undefined where no header says it. Of a list the last: what the nearest proxy has added.
 */
export async function hashedAddress({ headers }: Request, settings: Settings): Promise<string | undefined> {
  const address = headers.get(readAddressHeader(settings))?.split(',').at(-1)?.trim();
  return address ? await shortHash(networkOf(address)) : undefined;
}

/**
 * An IPv4 address as it is, also if it is written as IPv6 (`::ffff:192.0.2.1`), and of an IPv6 address the first 64
 * bits: one household has at least as many addresses as these share. The port, which some proxies add, is the client's
 * to choose.
 */
export function networkOf(address: string): string {
  const short = address.slice(0, MAX_ADDRESS_LENGTH); // where no proxy overwrites the header, a client writes it
  const ip = /^\[(.*)\]/.exec(short)?.[1] ?? short;
  const v4 = /(?:^|:)(\d{1,3}(?:\.\d{1,3}){3})(?::\d*)?$/.exec(ip)?.[1];
  if (v4 !== undefined || !ip.includes(':')) return v4 ?? ip;
  const [head = '', tail] = ip.split('::');
  const first = head.split(':').filter(Boolean);
  const last = (tail ?? '').split(':').filter(Boolean);
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const groups = [...first, ...Array<string>(zeros).fill('0'), ...last];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
