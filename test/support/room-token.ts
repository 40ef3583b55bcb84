/** Room tokens, as an app's own backend signs them. */
import { SignJWT } from 'jose';

/** What a server of a test has as AUTH_SECRET. */
export const SECRET = 'a secret of at least thirty-two bytes';

/** A token with these claims, good for ten minutes if they do not say otherwise. */
export const signToken = (claims: Record<string, unknown>, secret = SECRET): Promise<string> =>
  new SignJWT({ aud: 'p2pcf-ws', exp: Math.floor(Date.now() / 1000) + 600, ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'p2pcf-ws+jwt' })
    .sign(new TextEncoder().encode(secret));
