/** Who we are in a room: an id that nobody else can hold, and the token that shows it is ours. */
import { ownedId } from '../protocol/owned-id.ts';
import { randomHex } from './random.ts';

export interface Identity {
  readonly id: string;
  readonly token: string;
}

export function newIdentity(): Identity {
  const token = randomHex(36);
  return { id: ownedId(token), token };
}
