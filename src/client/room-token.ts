/** The room token: a JWT of the app's own backend. */

/** The token, or what gets one: asked at each connection, and once more where one is not taken. */
export type RoomToken = string | (() => string | Promise<string>);

/**
 * A token for one connection, empty or undefined if the app has none. An Error, which says so, if it could not get one
 * just now.
 */
export async function askForToken(token: RoomToken | undefined): Promise<string | undefined | Error> {
  if (typeof token !== 'function') return token;
  try {
    const given = `${(await token()) ?? ''}`.trim();
    // What else is no JWT is mostly what a backend says that is down: the room would refuse it for good.
    if (!given || /^[\w-]+(\.[\w-]+){2}$/.test(given)) return given;
    throw new Error(`no JWT: ${given.slice(0, 20)}`);
  } catch (error) {
    return new Error(`The option token failed: ${error}`);
  }
}
