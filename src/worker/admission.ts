/** Who may come into a room, decided before it wakes: first by the page, then by the token. */
import { type Close, forbidden } from '../protocol/close.ts';
import { isAllowed, readOrigins } from './origins.ts';
import type { Settings } from './settings.ts';
import { readTokenSettings, verifyToken } from './tokens.ts';

/** Throws SettingsError if what is set about admission makes no sense. */
export function checkAdmission(settings: Settings): void {
  readOrigins(settings);
  readTokenSettings(settings);
}

/** The same for every way in. Undefined for a request that may come into the room at `now`, in ms since the epoch. */
export async function refusalOf(
  { headers }: Request,
  roomId: string,
  token: string | undefined,
  settings: Settings,
  now: number,
): Promise<Close | undefined> {
  if (!isAllowed(headers.get('Origin'), readOrigins(settings)))
    return forbidden('Pages of this origin may not come in');
  const tokens = readTokenSettings(settings);
  if (tokens.keys.length === 0) return undefined;
  const verdict = await verifyToken(token, roomId, tokens, now);
  return 'refusal' in verdict ? verdict.refusal : undefined;
}
