/** What is known of the members of the room, beside their connections. */
import { type Allowance, newConnectionAllowance } from './limits.ts';

export interface Member {
  /** What it brought when it joined: it may come back without being announced. */
  brought: unknown;
  /** Whether the room lists it. An open connection to a member that it does not list may well go on. */
  isListed: boolean;
  /**
   * Somebody has joined under the id of a connected peer: perhaps the same, or a stranger, by another certificate. As
   * long as the connection lives it goes on, as nobody in the room has a say in what was connected before; a stranger
   * is met as another peer when it ends.
   */
  rejoined: 'perhaps itself' | 'a stranger' | undefined;
  /** New connections on its demand: a peer that was closed has no say in how many come after it. */
  readonly connections: Allowance;
}

/** By session id. */
export class Members extends Map<string, Member> {
  /** The member with this session id, noted if it is new. */
  note(id: string): Member {
    const member = this.get(id) ?? {
      brought: undefined,
      isListed: true,
      rejoined: undefined,
      connections: newConnectionAllowance(),
    };
    this.set(id, member);
    return member;
  }
}
