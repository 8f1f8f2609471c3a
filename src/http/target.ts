// Request targets and authorities, read strictly and never through `new URL` (which takes `//login` for a host).

/** A target that was understood: the path and query as sent, and the authority when the target was in absolute-form. */
export interface Target {
  /** Path and query byte for byte, or `*`. */
  readonly path: string;
  readonly authority: string | undefined;
}

/** Reads a request target (RFC 9112 §3.2). A string is the reason for a 400. */
export function readTarget(method: string, target: string): Target | string {
  // A byte outside of this is no URI character in any reading; `#` would start a fragment, which is never sent.
  if (/[\x00-\x20\x7f#]/.test(target)) return 'the request target holds a space, a control byte or a #';
  if (target.charCodeAt(0) === 0x2f) return checkPath(target, undefined);
  if (target === '*') {
    return method === 'OPTIONS' ? { path: '*', authority: undefined } : 'the target * belongs to OPTIONS only';
  }
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
  if (absolute === null) return 'the request target is neither a path nor an absolute http URL';
  const rest = absolute[2]!;
  // RFC 9112 §3.2.4: of an OPTIONS without a path the last proxy makes the asterisk-form.
  if (rest === '' && method === 'OPTIONS') return { path: '*', authority: absolute[1]! };
  return checkPath(rest.charCodeAt(0) === 0x2f ? rest : `/${rest}`, absolute[1]!);
}

function checkPath(path: string, authority: string | undefined): Target | string {
  if (hasDotSegment(path))
    return 'the path holds a dot segment (. or .., plain or encoded), which can be read in two ways';
  return { path, authority };
}

// Also where an encoded slash or a backslash would make it one for the upstream, and `..;` which Java servers strip.
const DOT_SEGMENT = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\;]|%2f|%5c|%3b|$)/i;

/** True when a path (query left out) holds a segment `.` or `..` by any decoding. */
export function hasDotSegment(path: string): boolean {
  const query = path.indexOf('?');
  const only = query === -1 ? path : path.slice(0, query);
  return DOT_SEGMENT.test(only);
}

/** A host and a port. */
export interface Authority {
  /** In lower case; an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]{2,45}\])$/;

/** What was read before: the same few names come again and again. */
const AUTHORITIES = new Map<string, Authority>();
const MAX_AUTHORITIES = 256;

/** Reads `host` or `host:port` strictly (RFC 3986 §3.2.2, letters of host names only); undefined when it is neither. */
export function readAuthority(value: string): Authority | undefined {
  const known = AUTHORITIES.get(value);
  if (known !== undefined) return known;
  const authority = parseAuthority(value);
  if (authority !== undefined) {
    if (AUTHORITIES.size >= MAX_AUTHORITIES) AUTHORITIES.clear();
    // A copy: what was cut out of a head would keep all of that head.
    AUTHORITIES.set(Buffer.from(value, 'latin1').toString('latin1'), Object.freeze(authority));
  }
  return authority;
}

function parseAuthority(value: string): Authority | undefined {
  const colon = value.lastIndexOf(':');
  let host = value;
  let port: number | undefined;
  if (colon !== -1 && value.charCodeAt(value.length - 1) !== 0x5d) {
    const digits = value.slice(colon + 1);
    if (!/^\d{1,5}$/.test(digits)) return undefined;
    port = Number(digits);
    if (port > 65535) return undefined;
    host = value.slice(0, colon);
  }
  host = host.toLowerCase();
  if (host.length > 255 || !HOST.test(host)) return undefined;
  return { host, port };
}

/** True when `prefix` (like `/_api`) fits a target on a segment boundary; '' fits all. Bytes are compared as sent. */
export function hasPrefix(path: string, prefix: string): boolean {
  if (prefix === '') return true;
  if (!path.startsWith(prefix)) return false;
  const next = path.charCodeAt(prefix.length);
  return path.length === prefix.length || next === 0x2f || next === 0x3f;
}

/** Takes a fitting prefix off. Of the slashes behind it one stays, so `/_api//x` is `/x`; the rest is untouched. */
export function stripPrefix(path: string, prefix: string): string {
  if (prefix === '') return path;
  let start = prefix.length;
  while (path.charCodeAt(start) === 0x2f) start++;
  return `/${path.slice(start)}`;
}
