/** A bad network between two pages, made of UDP: what comes in at one end leaves by the other, later or not at all. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';

export class BadNetwork {
  /** Packets since `lose`, and how many of them were lost. */
  packets = 0;
  lost = 0;
  readonly #ends = [new End(), new End()] as const;
  #loss = 0;

  /** Holds every packet for so many ms. `random` decides which are lost: numbers from 0 to 1, without 1. */
  constructor(delayMs: number, random: () => number) {
    const [one, other] = this.#ends;
    const lead = (from: End, to: End): void =>
      from.onPacket((packet) => {
        this.packets++;
        if (random() < this.#loss) this.lost++;
        else setTimeout(() => to.deliver(packet), delayMs);
      });
    lead(one, other);
    lead(other, one);
  }

  /** The ports of 127.0.0.1, one for each page. A page that speaks to its own speaks to the other page. */
  ports(): Promise<[number, number]> {
    const [one, other] = this.#ends;
    return Promise.all([one.listen(), other.listen()]);
  }

  /** From now on loses this share of the packets, whatever is in them. */
  lose(share: number): void {
    this.#loss = share;
    this.packets = this.lost = 0;
  }

  stop(): void {
    for (const end of this.#ends) end.close();
  }
}

/** Where one page sends to and receives from. */
class End {
  readonly #socket = createSocket('udp4');
  /** The first that spoke: where the page is. What comes from another of its interfaces is ignored. */
  #page: RemoteInfo | undefined;
  #isClosed = false;

  async listen(): Promise<number> {
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return this.#socket.address().port;
  }

  onPacket(use: (packet: Buffer) => void): void {
    this.#socket.on('message', (packet, sender) => {
      this.#page ??= sender;
      if (sender.port === this.#page.port) use(packet);
    });
  }

  deliver(packet: Buffer): void {
    if (this.#page && !this.#isClosed) this.#socket.send(packet, this.#page.port, this.#page.address);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close();
  }
}

/** Random numbers that are the same in each run, by a linear congruential generator. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
