/** Why a server could not be connected to, in a sentence: a browser does not tell a page why its WebSocket failed. */
import { serverUrl } from '../protocol/join.ts';

/** How long the server may take to answer, in ms. */
const PROBE_ANSWERED_WITHIN_MS = 10_000;

/** Longest sentence of the server's that is quoted, in UTF-16 units. */
const MAX_QUOTED = 300;

/** Asks the server's /health. Never rejects. */
export async function explainFailure(workerUrl: string): Promise<string> {
  const url = serverUrl(workerUrl, 'http', '/health');
  try {
    const { status, isRedirected, at, text } = await ask(url, {});
    // A setting of the server's makes no sense, and it says which.
    if (status === 500) return `${url} answers 500: ${text.trim().slice(0, MAX_QUOTED)}`;
    if (status !== 200 || text !== 'OK')
      return `${url} answers ${status}: that is no P2PCF-WS server. Check workerUrl, without /demo/ or /ws.`;
    if (isRedirected) return `${url} answers at ${at}. Pass that address, without /health, as workerUrl.`;
    return `The server answers at ${url}, but its WebSocket does not open: check proxies, the page's Content-Security-Policy.`;
  } catch {
    // A network error, no answer in time, or an answer that this page may not read.
  }
  try {
    await ask(url, { mode: 'no-cors' });
    return `${url} answers, but not as a P2PCF-WS server. Check workerUrl; or its free requests of the day are used up.`;
  } catch {
    return `Nothing answers at ${url}. Check workerUrl (http or https?), the server, the network, the page's Content-Security-Policy and permission for the local network.`;
  }
}

/** Not by AbortSignal.timeout, which browsers have had since 2022 (Chrome 103, Safari 16). */
async function ask(
  url: string,
  options: RequestInit,
): Promise<{ status: number; isRedirected: boolean; at: string; text: string }> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), PROBE_ANSWERED_WITHIN_MS);
  try {
    const response = await fetch(url, { ...options, signal: controller.signal });
    const { status, redirected: isRedirected, url: at } = response;
    return { status, isRedirected, at, text: await response.text() };
  } finally {
    clearTimeout(timer);
  }
}
