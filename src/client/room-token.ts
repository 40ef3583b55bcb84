/** The room token: a JWT of the app's own backend. */

/** The token, or what gets one: asked at each connection, and once more where one is not taken. */
export type RoomToken = string | (() => string | Promise<string>);

/**
 * A token for one connection, undefined if the app has none. An Error, which says so, if it could not get one just now.
 */
export async function askForToken(token: RoomToken | undefined): Promise<string | undefined | Error> {
  if (typeof token !== 'function') return token;
  try {
    return await token();
  } catch (error) {
    return new Error(`The option token failed: ${error}`);
  }
}
