/** P2PCF's protocol by hand, within this very runtime. */
import { exports } from 'cloudflare:workers';

export const JSON_TYPE = { 'Content-Type': 'application/json' };

export interface Reply {
  status: number;
  text: string;
  ps: unknown[][];
  pk: unknown[][];
  dk: string;
}

/** The session ids that a reply lists. */
export const idsIn = ({ ps }: Reply): unknown[] => ps.map(([sessionId]) => sessionId);

export async function send(body: unknown, init: RequestInit = {}): Promise<Reply> {
  const response = await exports.default.fetch('http://p2pcf-ws.test/', {
    method: 'POST',
    headers: JSON_TYPE,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
  });
  const text = await response.text();
  const { ps = [], pk = [], dk = '' } = response.ok ? JSON.parse(text) : {};
  return { status: response.status, text, ps, pk, dk };
}

/** A page with p2pcf in it, as far as the server can tell. */
export class Poller {
  readonly #room: string;
  readonly #id: string;
  readonly #context: string;
  #postedAt = 0;
  #deleteKey = '';

  constructor(room: string, id: string, context = `context of ${id}`) {
    this.#room = room;
    this.#id = id;
    this.#context = context;
  }

  async post(packages: unknown[] = [], keepMs = 120_000): Promise<Reply> {
    this.#postedAt = Date.now();
    return await this.repost(packages, keepMs);
  }

  async repost(packages: unknown[] = [], keepMs = 120_000): Promise<Reply> {
    const reply = await send({ ...this.#body(), x: keepMs, p: packages });
    this.#deleteKey = reply.dk;
    return reply;
  }

  listen = (): Promise<Reply> => send(this.#body());

  leave = (deleteKey = this.#deleteKey): Promise<Reply> =>
    send({ ...this.#body(), dk: deleteKey }, { headers: { ...JSON_TYPE, 'X-Worker-Method': 'DELETE' } });

  #body(): object {
    const d = [this.#id, 'a label', false, `${'A'.repeat(43)}=`, 1, []];
    return { r: this.#room, k: this.#context, d, t: this.#postedAt || Date.now(), x: 120_000 };
  }
}
