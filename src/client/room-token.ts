/** The room token: a JWT of the app's own backend. */

/** The token, or what gets one: asked at each connection, and once more where one is not taken. */
export type RoomToken = string | (() => string | Promise<string>);

/** A token that has not come by then, in ms, is told of: the app may have forgotten to give it, or waits for its user. */
const LATE_AFTER_MS = 5_000;

/**
 * A token for one connection, undefined if the app has none. An Error, which says so, if it could not get one just now.
 * `late` is told, in a sentence, that it takes long: it is waited for all the same.
 */
export async function askForToken(
  token: RoomToken | undefined,
  late: (reason: string) => unknown,
): Promise<string | undefined | Error> {
  if (typeof token !== 'function') return token;
  const timer = setTimeout(() => late('The option token has not answered yet.'), LATE_AFTER_MS);
  try {
    return await token();
  } catch (error) {
    return new Error(`The option token failed: ${error}`);
  } finally {
    clearTimeout(timer);
  }
}
