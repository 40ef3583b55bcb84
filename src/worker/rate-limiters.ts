/**
 * Rate Limiting bindings in front of all rooms. Optional: workerd alone has none (2026-11). They run inside the Worker,
 * so its own requests they cannot save, and they count for each of Cloudflare's locations by itself.
 */

/** What the binding of Cloudflare has. */
interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** Seconds until a refused client should come again: the shorter of the two periods that there are (2026-11). */
export const COME_AGAIN_SECONDS = 10;

/** Whether `address` may go on. It may where there is no such binding, or it fails, or the address is not known. */
export async function mayPass(binding: unknown, address: string | undefined): Promise<boolean> {
  if (!isRateLimiter(binding) || address === undefined) return true;
  try {
    return (await binding.limit({ key: address })).success;
  } catch (error) {
    console.error(error);
    return true;
  }
}

function isRateLimiter(binding: unknown): binding is RateLimiter {
  return typeof Object(binding).limit === 'function';
}
