/**
 * Which pages may use the server. It stops browsers only: they alone tell truly where a page is from, and whatever is
 * no browser sends what it likes.
 */
import { isUnset, type Settings, SettingsError } from './settings.ts';

/** `https://app.example.com`, or with `*.` before the host for every name below it. */
type AllowedOrigin = { origin: string } | { scheme: string; below: string; port: string };

const ORIGIN = /^(https?:)\/\/(\*\.)?([^/?#*@\\;]+)$/i;

/** A name of two labels at least: neither `com`, be it written `com.`, nor an IPv4 address. */
const HAS_SUBDOMAINS = /[^.]\.[^.\d]/;

/**
 * The origins in ALLOWED_ORIGINS, apart by spaces or commas; undefined where it is not set: then pages of any origin may
 * come. Throws SettingsError for what is no origin, and where there is none: a list that has come out empty by mistake
 * would let everybody in.
 */
export function readOrigins({ ALLOWED_ORIGINS }: Settings): readonly AllowedOrigin[] | undefined {
  if (isUnset(ALLOWED_ORIGINS)) return undefined;
  const listed = typeof ALLOWED_ORIGINS === 'string' ? ALLOWED_ORIGINS.split(/[\s,]+/).filter(Boolean) : [];
  if (listed.length === 0) throw fault(ALLOWED_ORIGINS);
  return listed.map(parseAllowed);
}

/**
 * Whether a page of this origin may come in. Where origins are set, neither may a request without one, which is no
 * browser's, nor `null`, which any page can become (a sandboxed frame, a file).
 */
export function isAllowed(origin: string | null, allowed: readonly AllowedOrigin[] | undefined): boolean {
  if (!allowed) return true;
  const url = origin === null || origin === 'null' ? null : URL.parse(origin);
  if (url?.origin !== origin) return false; // only what a browser would write
  return allowed.some((each) =>
    'origin' in each
      ? each.origin === origin
      : each.scheme === url.protocol && each.port === url.port && url.hostname.endsWith(each.below),
  );
}

function parseAllowed(text: string): AllowedOrigin {
  const [, scheme, star, host] = ORIGIN.exec(text) ?? [];
  const url = host === undefined ? null : URL.parse(`${scheme}//${host}`);
  if (!url || (star !== undefined && !HAS_SUBDOMAINS.test(url.hostname))) throw fault(text);
  return star === undefined
    ? { origin: url.origin }
    : { scheme: url.protocol, below: `.${url.hostname}`, port: url.port };
}

function fault(found: unknown): SettingsError {
  return new SettingsError(
    `The setting ALLOWED_ORIGINS has ${JSON.stringify(found)} in it; it must be a text of origins such as https://app.example.com or https://*.example.com, with no path, and commas between them.`,
  );
}
