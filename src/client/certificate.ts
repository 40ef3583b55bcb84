/**
 * The certificate that all our connections share: by it others know us again, whatever becomes of our place in the
 * room.
 */
import type { ConnectionSettings } from './peer-connection.ts';

/**
 * The longest that a browser makes, in ms: by itself one lasts 30 days, and then the browser takes it for no new
 * connection, though a page may be open for longer, or its clock may have been wrong.
 */
const LASTS_MS = 365 * 24 * 60 * 60 * 1000;

export class SharedCertificate {
  /** Until it is there: it is made while the socket opens. */
  pending: Promise<void> | undefined;

  /** Makes one, and puts it into the settings, unless they have one. */
  constructor({ RTCPeerConnection, rtcConfiguration }: ConnectionSettings) {
    if (rtcConfiguration.certificates) return;
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', expires: LASTS_MS };
    this.pending = RTCPeerConnection.generateCertificate?.(algorithm)
      .then((certificate) => {
        Object.assign(rtcConfiguration, { certificates: [certificate] });
      })
      .catch(() => undefined) // node-datachannel (0.33.4) has the method, and no certificates
      .then(() => {
        this.pending = undefined;
      });
  }

  /** Does something with it, in turn: now, or when it is there. */
  use(work: () => unknown): void {
    if (this.pending) void this.pending.then(work);
    else work();
  }
}
