/** Which network a request comes from, as far as the room has to know: who joins how often. */
import { shortHash } from './hash.ts';

/** The address as a short hash; undefined where Cloudflare is not in front. */
export async function hashedAddress({ headers }: Request): Promise<string | undefined> {
  const ip = headers.get('CF-Connecting-IP');
  if (ip === null) return undefined;
  return await shortHash(networkOf(ip));
}

/** An IPv4 address as it is, and of an IPv6 address the first 64 bits: one household has at least as many as that. */
export function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip;
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
