/** Who may come into a room, decided before it wakes: first by the page, then by the token. */
import { type Close, forbidden } from '../protocol/close.ts';
import type { Bearer } from '../room/token-claims.ts';
import { isAllowed, readOrigins } from './origins.ts';
import type { Settings } from './settings.ts';
import { checkKeys, readTokenSettings, verifyToken } from './tokens.ts';

/** Rejects with SettingsError if what is set about it makes no sense. */
export async function checkAuthorization(settings: Settings): Promise<void> {
  readOrigins(settings);
  await checkKeys(readTokenSettings(settings));
}

/**
 * Whether a request may come into the room at `now`, in ms since the epoch: the refusal, or what its token says. The
 * same for every way in.
 */
export async function authorize(
  { headers }: Request,
  roomId: string,
  token: string | undefined,
  settings: Settings,
  now: number,
): Promise<Bearer | { refusal: Close }> {
  if (!isAllowed(headers.get('Origin'), readOrigins(settings)))
    return { refusal: forbidden('Pages of this origin may not come in') };
  const tokens = readTokenSettings(settings);
  return tokens.keys.length === 0 ? { claims: undefined } : await verifyToken(token, roomId, tokens, now);
}
