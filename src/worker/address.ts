/** Which network a request comes from, as far as the room has to know: who joins and polls how often. */

/** SHA-256 of the address, half of it, in hexadecimal; nothing where Cloudflare is not in front. */
export async function sourceOf({ headers }: Request): Promise<{ address?: string }> {
  const ip = headers.get('CF-Connecting-IP');
  if (ip === null) return {};
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(networkOf(ip)));
  const bytes = new Uint8Array(digest, 0, 16);
  return { address: Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') };
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
