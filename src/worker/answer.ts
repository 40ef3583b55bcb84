/** Answers over HTTP, other than upgrades. */

interface Answering {
  status?: number;
  headers?: Record<string, string>;
}

/** An answer that no browser is to take for anything but what it says it is. */
export function answer(body: string | null, { status = 200, headers = {} }: Answering = {}): Response {
  return new Response(body, { status, headers: { 'X-Content-Type-Options': 'nosniff', ...headers } });
}

/** A sentence for people: every answer but a success is one. */
export function sentence(status: number, text: string, headers: Record<string, string> = {}): Response {
  return answer(`${text}\n`, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers } });
}
