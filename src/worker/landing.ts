/** `GET /` for a browser: what runs here, and how an app uses it. Everything else gets JSON (routes.ts). */
import { version } from '../../package.json';
import { answer } from './answer.ts';

/** Whether the page is wanted rather than the JSON. Browsers name text/html, and fetch and curl do not. */
export function wantsPage(request: Request): boolean {
  return /\btext\/html\b/i.test(request.headers.get('Accept') ?? '');
}

/** The page. Its address is known to the browser alone: a proxy in front may add TLS or a prefix, and not tell us. */
export function landingPage(request: Request): Response {
  const nonce = crypto.randomUUID();
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'Referrer-Policy': 'no-referrer',
    Vary: 'Accept',
  };
  return answer(request.method === 'HEAD' ? null : page(nonce), { headers });
}

/** Its links are relative, for a server below a prefix. */
function page(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>P2PCF-WS</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${STYLE}</style>
<main>
<h1>P2PCF-WS is running</h1>
<p>Version ${version}. This server introduces browsers to each other; what they say then goes straight from one to
the other.</p>
<p class="ways"><a class="primary" href="demo/">Try the demo</a> <a href="health">Health</a></p>
<h2 id="add">Add this to your app</h2>
<pre tabindex="0" role="region" aria-labelledby="add"><code>import P2PCF from 'p2pcf-ws';

const room = new P2PCF('my name', 'my room', {
  workerUrl: '<span id="address">the address of this page</span>',
});
room.on('peerconnect', (peer) =&gt; room.send(peer, 'hello'));
room.on('msg', (peer, data) =&gt; {
  console.log(peer.client_id, new TextDecoder().decode(data));
});
await room.start();</code></pre>
</main>
<script nonce="${nonce}">address.textContent = new URL('.', location).href.slice(0, -1);</script>
</html>
`;
}

/** The look of the demo (demo/style.css). */
const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 Inter, system-ui, sans-serif;
  background: light-dark(#f5f6fb, #0d0f16); color: light-dark(#171a26, #f0f2fa) }
body { margin: 0; padding: 1rem }
main { max-width: 40rem; margin: 8vh auto }
h1 { font-size: clamp(2rem, 6vw, 3rem); line-height: 1.1; letter-spacing: -.035em; margin: 0 }
h2 { font-size: 1.125rem; margin: 2rem 0 .5rem }
p { color: light-dark(#555c72, #a5adc4) }
pre { overflow: auto; padding: 1rem; border: 1px solid light-dark(#d9dcea, #2f3547); border-radius: 1rem;
  background: light-dark(#fff, #181b26); font-size: .875rem }
a { display: inline-block; padding: .75rem 1.25rem; border: 1px solid light-dark(#d9dcea, #2f3547); border-radius: .875rem;
  color: inherit; font-weight: 550; text-decoration: none }
.primary { border-color: transparent; background: light-dark(#4338ca, #a5b4fc); color: light-dark(#fff, #14122e) }
:focus-visible { outline: 3px solid light-dark(#6d5efc, #8b7dff); outline-offset: 2px }
`;
