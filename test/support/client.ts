/** A bare client for tests: the protocol by hand, over whatever WebSocket the place has. */

/** What workerd's, Node's and the `ws` package's WebSocket have in common. */
export interface Socket {
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string; wasClean: boolean }) => void): void;
}

/** A server under test, and a way to it. */
export interface Place {
  /** `path` begins with a slash. */
  fetch(
    path: string,
    init?: { method?: string; headers?: Record<string, string>; body?: string },
  ): Promise<{ status: number; headers: Headers; text(): Promise<string> }>;
  /**
   * Opens a WebSocket; rejects if the server refuses the upgrade. `listen` is called before any event can have come:
   * the first message may be in the same packet as the server's consent. Resolves to the subprotocol the server agreed
   * to, `''` if to none.
   */
  open(path: string, listen: (socket: Socket) => void, subprotocols?: string[]): Promise<string>;
  /** Called before every step: a place may put the room to sleep here. */
  beforeStep?(): Promise<void>;
}

export interface Received {
  type: string;
  [field: string]: unknown;
}

export interface Closed {
  code: number;
  reason: string;
  wasClean: boolean;
}

export class Client {
  readonly closed: Promise<Closed>;
  /** Everything received so far, the frames `next` has handed out included. */
  readonly received: (Received | string)[] = [];
  readonly #socket: Socket;
  readonly #beforeStep: () => Promise<void>;
  #read = 0;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, beforeStep: () => Promise<void>) {
    this.#socket = socket;
    this.#beforeStep = beforeStep;
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code, reason, wasClean }) => resolve({ code, reason, wasClean }));
    });
    socket.addEventListener('message', ({ data }) => {
      if (typeof data !== 'string') throw new Error('the server sent a binary frame');
      this.received.push(data.startsWith('{') ? JSON.parse(data) : data);
      this.#wake?.();
    });
  }

  /** Connects without waiting for `peers`. What is in `subprotocols` could as well be in `extensions`, the query. */
  static async connect(
    place: Place,
    roomId: string,
    clientId?: string,
    extensions: Record<string, string> = {},
    subprotocols: string[] = [],
  ): Promise<Client> {
    const beforeStep = async (): Promise<void> => place.beforeStep?.();
    await beforeStep();
    const parameters = clientId === undefined ? extensions : { clientId, ...extensions };
    const query = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    const made = Promise.withResolvers<Client>();
    const path = `/ws/room/${encodeURIComponent(roomId)}?${query.join('&')}`;
    const listen = (socket: Socket): void => made.resolve(new Client(socket, beforeStep));
    await place.open(path, listen, subprotocols);
    return await made.promise;
  }

  /** Connects and takes the `peers` message out of the way. */
  static async join(place: Place, roomId: string, clientId: string): Promise<Client> {
    const client = await Client.connect(place, roomId, clientId);
    await client.#welcome();
    return client;
  }

  /** Connects so that its place is held when it drops. Returns its resume token, too. */
  static async settle(place: Place, roomId: string, clientId: string): Promise<[client: Client, resumeToken: string]> {
    const client = await Client.connect(place, roomId, clientId, { resume: '1' });
    const { resumeToken } = await client.#welcome();
    return [client, String(resumeToken)];
  }

  async #welcome(): Promise<Received> {
    const first = await this.next();
    if (typeof first === 'string' || first.type !== 'peers')
      throw new Error(`expected peers, got ${JSON.stringify(first)}`);
    return first;
  }

  /** The next frame from the server, parsed if it is JSON. Waits for as long as the test lives. */
  async next(): Promise<Received | string> {
    for (;;) {
      const frame = this.received[this.#read];
      if (frame !== undefined) {
        this.#read++;
        return frame;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async send(message: unknown): Promise<void> {
    await this.sendFrame(JSON.stringify(message));
  }

  async sendFrame(frame: string | Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#beforeStep();
    this.#socket.send(frame);
  }

  async signal(targetId: string, signal: unknown): Promise<void> {
    await this.send({ type: 'signal', targetId, signal });
  }

  /** Closes and waits for the server's answer. */
  async close(code?: number, reason?: string): Promise<Closed> {
    await this.#beforeStep();
    if (code === undefined) this.#socket.close();
    else this.#socket.close(code, reason);
    return await this.closed;
  }
}
