// Header fields as a flat list [name, value, name, value, ...], and the one table of what is known about names.

/** Fields as they came: names in the case they were sent, order and duplicates kept, values as latin1 strings. */
export type Headers = string[];

/** Meaningful on one connection only (RFC 9110 §7.6.1), so never passed on. */
export const HOP_BY_HOP = 1;
/** May not be removed by being named in Connection (PEERS: a client deletes its own Authorization by that). */
export const PROTECTED = 2;
/** Says who the client is; believed from trusted hops only. */
export const IDENTITY = 4;
/** A name that WSGI and CGI would read the same (`_` or `.` for `-`) is dropped: the alias of a field that decides something. */
export const GUARDED = 8;
/** Frames the message; written by the side that sends it, never copied. */
export const FRAMING = 16;
/** Its value never reaches a log. */
export const SECRET = 32;
/** Forbidden in a trailer section: framing, routing, authentication, and what must be known before the body (RFC 9110 §6.5.1). */
export const NO_TRAILER = 64;
/** Says which trace a request belongs to (W3C Trace Context). */
export const TRACE = 128;
/** Says by which certificate the client proved who it is: where the host asks for one, nobody says it but we. */
export const CLIENT_CERTIFICATE = 512;
/** A spelling that WSGI, CGI and PHP fold into a guarded field. */
export const ALIAS = 256;

const FIELDS: ReadonlyMap<string, number> = new Map([
  ['connection', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['keep-alive', HOP_BY_HOP | NO_TRAILER],
  ['proxy-connection', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['proxy-authorization', HOP_BY_HOP | GUARDED | SECRET | NO_TRAILER],
  ['proxy-authenticate', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['proxy-authentication-info', HOP_BY_HOP | GUARDED | NO_TRAILER],
  // httpoxy (CVE-2016-5385): CGI turns it into HTTP_PROXY.
  ['proxy', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['te', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['transfer-encoding', HOP_BY_HOP | GUARDED | FRAMING | NO_TRAILER],
  ['upgrade', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['http2-settings', HOP_BY_HOP | GUARDED | NO_TRAILER],
  ['content-length', PROTECTED | GUARDED | FRAMING | NO_TRAILER],
  ['trailer', PROTECTED | GUARDED | NO_TRAILER],
  ['expect', PROTECTED | GUARDED | NO_TRAILER],
  ['host', PROTECTED | GUARDED | NO_TRAILER],
  ['authorization', PROTECTED | GUARDED | SECRET | NO_TRAILER],
  ['cookie', PROTECTED | GUARDED | SECRET | NO_TRAILER],
  ['set-cookie', PROTECTED | SECRET | NO_TRAILER],
  ['www-authenticate', PROTECTED | NO_TRAILER],
  ['content-type', PROTECTED | NO_TRAILER],
  ['content-encoding', PROTECTED | NO_TRAILER],
  ['content-range', PROTECTED | NO_TRAILER],
  ['content-disposition', PROTECTED | NO_TRAILER],
  ['range', PROTECTED | NO_TRAILER],
  ['cache-control', PROTECTED | NO_TRAILER],
  ['location', PROTECTED | NO_TRAILER],
  ['origin', PROTECTED | NO_TRAILER],
  ['forwarded', PROTECTED | IDENTITY | GUARDED | NO_TRAILER],
  ['x-real-ip', PROTECTED | IDENTITY | GUARDED | NO_TRAILER],
  ['x-request-id', PROTECTED | IDENTITY | GUARDED | NO_TRAILER],
  ['traceparent', PROTECTED | TRACE | NO_TRAILER],
  ['tracestate', PROTECTED | TRACE | NO_TRAILER],
  ['sec-websocket-protocol', PROTECTED | SECRET | NO_TRAILER],
]);

/** A name as it was spelled. */
interface Spelling {
  readonly name: string;
  /** In lower case. */
  readonly lower: string;
  readonly flags: number;
}

/** By the spelling that was seen: the same few hundred names come again and again. */
const SPELLINGS = new Map<string, Spelling>();
const MAX_SPELLINGS = 1_000;
const MAX_SPELLING = 64;

/** What is known about a name (any case), as a sum of the flags above; 0 for a field that is only passed on. */
export function fieldFlags(name: string): number {
  const known = SPELLINGS.get(name);
  return known === undefined ? learn(name).flags : known.flags;
}

/** The same text for a name that comes again and again, which then is found without reading it; undefined: it is not remembered. */
export function knownName(name: string): string | undefined {
  return (SPELLINGS.get(name) ?? learn(name)).name || undefined;
}

/** The name in lower case, as HTTP/2 wants it; of one that comes again and again it is the same text. */
export function lowerName(name: string): string {
  return (SPELLINGS.get(name) ?? learn(name)).lower;
}

/** Of one that is not remembered `name` is ''. */
function learn(name: string): Spelling {
  const lower = name.toLowerCase();
  const flags = lookUp(lower);
  if (SPELLINGS.size >= MAX_SPELLINGS || name.length > MAX_SPELLING) return { name: '', lower, flags };
  // Copies: what was cut out of a head would keep all of that head.
  const copy = Buffer.from(name, 'latin1').toString('latin1');
  const spelling = { name: copy, lower: copy.toLowerCase(), flags };
  SPELLINGS.set(copy, spelling);
  return spelling;
}

/** Those of RFC 9440, and what nginx, ingress controllers, Apache and clouds have been writing for lack of a standard. */
const CLIENT_CERTIFICATES =
  /^(?:x-)?(?:(?:ssl|tls)-(?:client|cert)(?:-|$)|client-cert)|^x-forwarded-(?:tls-)?client-cert|^x-arr-clientcert$/;
const CLIENT_CERTIFICATE_FLAGS = PROTECTED | IDENTITY | CLIENT_CERTIFICATE | GUARDED | SECRET | NO_TRAILER;

function lookUp(lower: string): number {
  const flags = FIELDS.get(lower);
  if (flags !== undefined) return flags;
  if (CLIENT_CERTIFICATES.test(lower)) return CLIENT_CERTIFICATE_FLAGS;
  if (lower.startsWith('x-forwarded-')) return PROTECTED | IDENTITY | GUARDED | NO_TRAILER;
  if (lower.startsWith('access-control-')) return PROTECTED | NO_TRAILER;
  return isGuardedAlias(lower) ? ALIAS : 0;
}

/** True when `name` is a spelling with `_` or `.` that WSGI, CGI and PHP fold into a guarded field (`X_Forwarded_For`). */
export function isGuardedAlias(name: string): boolean {
  if (!name.includes('_') && !name.includes('.')) return false;
  const folded = name.toLowerCase().replace(/[_.]/g, '-');
  return (fieldFlags(folded) & GUARDED) !== 0 || folded.startsWith('proxy-');
}

/** Whether a field has this name, `name` in lower case. Makes nothing, as toLowerCase does for each name that is not in lower case. */
export function isNamed(field: string, name: string): boolean {
  if (field.length !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    const seen = field.charCodeAt(i);
    if (seen !== code && (seen < 0x41 || seen > 0x5a || (seen | 0x20) !== code)) return false;
  }
  return true;
}

/** The first value of a field, `name` in lower case; undefined when it is absent. */
export function firstValue(headers: Headers, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i]!;
    if (isNamed(field, name)) return headers[i + 1];
  }
  return undefined;
}

/** All values of a field in order, `name` in lower case. */
export function allValues(headers: Headers, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i]!;
    if (isNamed(field, name)) values.push(headers[i + 1]!);
  }
  return values;
}

/** How many fields have this name, `name` in lower case. */
export function countOf(headers: Headers, name: string): number {
  let count = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i]!;
    if (isNamed(field, name)) count++;
  }
  return count;
}

/** The members of a comma-separated list field over all its lines, in lower case, empty ones left out (RFC 9110 §5.6.1). */
export function listMembers(headers: Headers, name: string): string[] {
  const members: string[] = [];
  for (const value of allValues(headers, name)) {
    for (const part of value.split(',')) {
      const member = part.trim().toLowerCase();
      if (member !== '') members.push(member);
    }
  }
  return members;
}

/** Whether a comma-separated list field has a member, `name` and `member` in lower case. */
export function hasMember(headers: Headers, name: string, member: string): boolean {
  return firstValue(headers, name) !== undefined && listMembers(headers, name).includes(member);
}

/** The bytes of fields as HTTP/1 writes them. */
export function sizeOf(headers: Headers): number {
  let size = 0;
  for (const text of headers) size += text.length + 2;
  return size;
}

/** The field that takes most, with its size as HTTP/1 writes it; without a name where there is none. */
export function largestField(headers: Headers): { name: string; size: number } {
  let name = '';
  let size = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const bytes = headers[i]!.length + headers[i + 1]!.length + 4;
    if (bytes > size) [name, size] = [headers[i]!, bytes];
  }
  return { name, size };
}

/**
 * Names that Connection nominates (RFC 9110 §7.6.1), in lower case; undefined when there are none but the two ordinary options.
 * A set, since each field is looked up and a hostile client may name thousands.
 */
export function nominatedFields(headers: Headers): ReadonlySet<string> | undefined {
  const value = firstValue(headers, 'connection');
  if (value === undefined) return undefined;
  if ((value === 'keep-alive' || value === 'close') && countOf(headers, 'connection') === 1) return undefined;
  return new Set(listMembers(headers, 'connection'));
}
