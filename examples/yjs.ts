/** A text that everybody edits at once, also offline. */
import P2PCF from 'p2pcf-ws';
import { YjsProvider } from 'p2pcf-ws/yjs';
import { IndexeddbPersistence } from 'y-indexeddb';
import { Doc } from 'yjs';

const workerUrl = new URLSearchParams(location.search).get('server') ?? 'https://p2pcf-ws.<your-subdomain>.workers.dev';
const name = `guest-${Math.floor(Math.random() * 1e6)}`;
const area = document.body.appendChild(document.createElement('textarea'));
const here = document.body.appendChild(document.createElement('p'));

const doc = new Doc();
const text = doc.getText('text');
new IndexeddbPersistence('yjs example', doc); // it is here when the page is opened again, whoever else is there

const room = new P2PCF(name, 'yjs example', { workerUrl });
const { awareness } = new YjsProvider(room, doc);
awareness.setLocalState({ name });
awareness.on('change', () => {
  here.textContent = [...awareness.getStates().values()].map((state) => state['name']).join(', ');
});

text.observe(() => {
  if (area.value !== text.toString()) area.value = text.toString();
});
area.addEventListener('input', () => {
  // What is the same at both ends stays, so that what others type there at this moment does, too.
  const [before, after] = [text.toString(), area.value];
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  doc.transact(() => {
    text.delete(start, before.length - end - start);
    text.insert(start, after.slice(start, after.length - end));
  });
});

await room.start();
