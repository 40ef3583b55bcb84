/** The id of a room nobody has been in. */
export function newRoom(): string {
  return `room-${crypto.randomUUID()}`;
}
