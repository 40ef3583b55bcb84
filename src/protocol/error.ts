/** Why the server refused a message, or is about to close. PROTOCOL.md says of each what a client should do. */
export type ErrorCode =
  | 'bad_json'
  | 'bad_message'
  | 'unknown_type'
  | 'binary'
  | 'too_large'
  | 'unknown_peer'
  | 'peer_away'
  | 'not_host'
  | 'rate_limited'
  | 'closing';

/** Input from outside that breaks the protocol: a code for programs, a sentence for people. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
