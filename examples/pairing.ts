/** Two devices of a person find each other: one shows a code, the other is told it. */
import P2PCF from 'p2pcf-ws';

const workerUrl = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';
/** No letters that look or sound like others. Eight of them are 39 bits: nobody meets you by trying. */
const LETTERS = 'ABCDEFGHJKMNPQRSTVWXYZ23456789';

const status = document.body.appendChild(document.createElement('p'));
const input = document.body.appendChild(document.createElement('input'));
const button = document.body.appendChild(document.createElement('button'));
status.role = 'status';
input.ariaLabel = 'Code from the other device';
button.textContent = 'Pair';

const code = Array.from(crypto.getRandomValues(new Uint32Array(8)), (n) => LETTERS[n % LETTERS.length]).join('');
let room = enter(code);
status.textContent = `Type this code on the other device: ${code}`;

button.addEventListener('click', () => {
  room.destroy();
  room = enter(input.value.trim().toUpperCase());
});

function enter(roomCode: string): P2PCF {
  const entered = new P2PCF('my device', `pair-${roomCode}`, { workerUrl });
  entered.on('peerconnect', async (peer) => {
    // Both devices show the same signs only if nobody sits between them. The person compares.
    const { emoji } = await peer.sas;
    status.textContent = `Paired. Both devices must show: ${emoji.map(([sign]) => sign).join(' ')}`;
  });
  entered.start().catch((error: Error) => {
    status.textContent = error.message;
  });
  return entered;
}
