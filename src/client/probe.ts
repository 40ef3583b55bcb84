/** Why a server could not be connected to, in a sentence: a browser does not tell a page why its WebSocket failed. */
import { serverUrl } from '../protocol/join.ts';

/** Asks the server's /health. Never rejects. */
export async function explainFailure(workerUrl: string): Promise<string> {
  const url = serverUrl(workerUrl, 'http', '/health');
  try {
    const response = await fetch(url);
    if (!response.ok || (await response.text()) !== 'OK')
      return `${url} answers ${response.status}: that is no P2PCF-WS server. Check workerUrl.`;
    if (response.redirected)
      return `${url} answers at ${response.url}. Pass that address, without /health, as workerUrl.`;
    return `The server answers at ${url}, but its WebSocket does not open: a proxy in between may not let it through.`;
  } catch {
    // A network error, or an answer that this page may not read.
  }
  try {
    await fetch(url, { mode: 'no-cors' });
    return `${url} answers, but not as a P2PCF-WS server does. Check workerUrl; or the server's free requests of the day are used up.`;
  } catch {
    return `Nothing answers at ${url}. Check workerUrl, the network, and whether the server runs.`;
  }
}
