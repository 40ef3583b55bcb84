/** A certificate that outlives the page, in IndexedDB: by it others know a device again, without accounts. */
import { CERTIFICATE } from '../certificate.ts';

/** A page stays open for so long, in ms, and makes no connection with a certificate that has expired meanwhile. */
const RENEWED_BEFORE_MS = 24 * 60 * 60 * 1000;

const DATABASE = 'p2pcf-ws';
const STORE = 'identities';

/**
 * The certificate of this name, made if there is none or if it expires within a day. Its private key cannot be read,
 * not even by the page. Rejects with Error for what is no name, and where there is no IndexedDB or no certificates.
 */
export async function identity(name: string): Promise<RTCCertificate> {
  if (typeof name !== 'string') throw new Error(`P2PCF.identity takes a name, as a string, and got ${name}.`);
  if (!globalThis.indexedDB || !globalThis.RTCPeerConnection)
    throw new Error('P2PCF.identity needs a browser: there is no IndexedDB or no WebRTC here.');
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => void opening.result.createObjectStore(STORE);
  const database = await result(opening);
  try {
    const stored = await result<unknown>(stores(database, 'readonly').get(name));
    if (isCurrent(stored)) return stored;
    const made = await RTCPeerConnection.generateCertificate(CERTIFICATE);
    // Two pages of one app may have come here at once: the first to write is right.
    const writing = stores(database, 'readwrite');
    const written = await result<unknown>(writing.get(name));
    if (isCurrent(written)) return written;
    await result(writing.put(made, name));
    return made;
  } finally {
    database.close();
  }
}

function stores(database: IDBDatabase, mode: IDBTransactionMode): IDBObjectStore {
  return database.transaction(STORE, mode).objectStore(STORE);
}

function isCurrent(stored: unknown): stored is RTCCertificate {
  return stored instanceof RTCCertificate && stored.expires > Date.now() + RENEWED_BEFORE_MS;
}

function result<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
