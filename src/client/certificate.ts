/**
 * The certificate that all our connections share: by it others know us again, whatever becomes of our place in the
 * room.
 */
import type { ConnectionSettings } from './peer-connection.ts';

/**
 * How a certificate is made. It expires after a year, in ms, the longest that Chromium makes (2026-11): by itself it
 * lasts 30 days, and then the browser takes it for no new connection, though a page may be open for longer, or its
 * clock may have been wrong.
 */
export const CERTIFICATE = { name: 'ECDSA', namedCurve: 'P-256', expires: 365 * 24 * 60 * 60 * 1000 };

export class SharedCertificate {
  /** Until it is there: it is made while the socket opens. */
  pending: Promise<void> | undefined;

  /** Makes one, and puts it into the settings, unless they have one. */
  constructor({ RTCPeerConnection, rtcConfiguration }: ConnectionSettings) {
    if (rtcConfiguration.certificates) return;
    this.pending = RTCPeerConnection.generateCertificate?.(CERTIFICATE)
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
