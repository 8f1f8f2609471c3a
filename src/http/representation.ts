// Representations: validators and conditions, ranges, content codings and the framing of parts (RFC 9110 §8, §12 to §15).

import { allValues, firstValue, type Headers } from './headers.ts';

/** What tells one state of a representation from another. */
export interface Validators {
  /** With its quotes, and `W/` when it is weak. */
  readonly etag: string | undefined;
  /** In ms, of which only whole seconds count; undefined when it is not told. */
  readonly lastModified: number | undefined;
}

/** `proceed` with the request, `unmodified` is a 304, `failed` a 412. */
export type Condition = 'proceed' | 'unmodified' | 'failed';

/** The conditions of a request for a representation that exists, in the order of RFC 9110 §13.2.2. */
export function evaluateConditions(method: string, headers: Headers, validators: Validators): Condition {
  const safe = method === 'GET' || method === 'HEAD';
  const ifMatch = listValue(headers, 'if-match');
  if (ifMatch !== undefined) {
    if (!matchesAny(ifMatch, validators.etag, isStrongMatch)) return 'failed';
  } else {
    const since = dateValue(headers, 'if-unmodified-since');
    if (since !== undefined && validators.lastModified !== undefined && seconds(validators.lastModified) > since) {
      return 'failed';
    }
  }
  const ifNoneMatch = listValue(headers, 'if-none-match');
  if (ifNoneMatch !== undefined) {
    if (!matchesAny(ifNoneMatch, validators.etag, isWeakMatch)) return 'proceed';
    return safe ? 'unmodified' : 'failed';
  }
  if (safe && validators.lastModified !== undefined) {
    const since = dateValue(headers, 'if-modified-since');
    if (since !== undefined && seconds(validators.lastModified) <= since) return 'unmodified';
  }
  return 'proceed';
}

/**
 * May the Range of this request be applied (RFC 9110 §13.1.5)? A date counts only when it is a strong validator (§8.8.2.2): a file
 * that changed less than a second ago can change again without a new date. `now` is of the wall clock, in ms.
 */
export function mayApplyRange(headers: Headers, validators: Validators, now: number): boolean {
  const values = allValues(headers, 'if-range');
  if (values.length === 0) return true;
  const value = values[0]!.trim();
  if (values.length > 1) return false;
  if (value.startsWith('"') || value.startsWith('W/')) {
    return validators.etag !== undefined && isStrongMatch(value, validators.etag);
  }
  const date = readDate(value);
  if (date === undefined || validators.lastModified === undefined) return false;
  const modified = seconds(validators.lastModified);
  return date === modified && now - modified >= 2_000;
}

/** RFC 9110 §8.8.3.2. */
export function isStrongMatch(one: string, other: string): boolean {
  return one === other && !one.startsWith('W/');
}

/** RFC 9110 §8.8.3.2. */
export function isWeakMatch(one: string, other: string): boolean {
  return opaque(one) === opaque(other);
}

/** The same tag for what is no more byte for byte the same. */
export function weakened(etag: string): string {
  return etag.startsWith('W/') ? etag : `W/${etag}`;
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}

/** All lines of a list field as one; undefined when there is none. */
function listValue(headers: Headers, name: string): string | undefined {
  const values = allValues(headers, name);
  return values.length === 0 ? undefined : values.join(',');
}

/** An entity-tag may hold commas: the list is walked tag by tag. What cannot be read ends it, and matches nothing. */
function matchesAny(list: string, etag: string | undefined, isMatch: (one: string, other: string) => boolean): boolean {
  if (list.trim() === '*') return true;
  if (etag === undefined) return false;
  const tag = /[ \t,]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)/y;
  for (let found = tag.exec(list); found !== null; found = tag.exec(list)) {
    if (isMatch(found[1]!, etag)) return true;
  }
  return false;
}

/** A date field that stands once and can be read. RFC 9110 §13.1.3: one that cannot is as good as none. */
function dateValue(headers: Headers, name: string): number | undefined {
  const values = allValues(headers, name);
  return values.length === 1 ? readDate(values[0]!.trim()) : undefined;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const FIXED = /^[A-Z][a-z]{2}, (?<d>\d\d) (?<m>[A-Z][a-z]{2}) (?<y>\d{4}) (?<t>\d\d:\d\d:\d\d) GMT$/;
const RFC_850 = /^[A-Z][a-z]{5,8}, (?<d>\d\d)-(?<m>[A-Z][a-z]{2})-(?<y>\d\d) (?<t>\d\d:\d\d:\d\d) GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} (?<m>[A-Z][a-z]{2}) (?<d>[ \d]\d) (?<t>\d\d:\d\d:\d\d) (?<y>\d{4})$/;

/** An HTTP-date in any of its three forms (RFC 9110 §5.6.7), in ms; undefined when it is none. */
export function readDate(text: string): number | undefined {
  const parts = (FIXED.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text))?.groups;
  if (parts === undefined) return undefined;
  const month = MONTHS.indexOf(parts.m!);
  const day = Number(parts.d);
  // Without a clock here: of two digits the years from 1970 to 2069 are made.
  const short = Number(parts.y);
  const year = parts.y!.length === 4 ? short : short + (short >= 70 ? 1900 : 2000);
  const [hour, minute, second] = parts.t!.split(':').map(Number) as [number, number, number];
  if (month === -1 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined;
  return Date.UTC(year, month, day, hour, minute, second);
}

/** IMF-fixdate. */
export function writeDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** Bytes from `start` up to and without `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The whole representation, some spans of it in the order asked for, or none that exists (416). */
export type Ranges = 'whole' | 'unsatisfiable' | readonly Span[];

/**
 * More ranges than this are answered by the whole (RFC 9110 §14.2): each costs a head of its own, and the many small or
 * overlapping ones of CVE-2011-3192 cost far more than the file.
 */
const MAX_RANGES = 32;

/** Reads the Range of a GET. One that is malformed, of another unit, or costs more than the whole is as good as none. */
export function readRanges(headers: Headers, size: number): Ranges {
  const values = allValues(headers, 'range');
  if (values.length !== 1) return 'whole';
  const set = /^[ \t]*bytes[ \t]*=(.*)$/i.exec(values[0]!)?.[1];
  if (set === undefined) return 'whole';
  const members = set.split(',', MAX_RANGES * 2 + 1);
  if (members.length > MAX_RANGES * 2) return 'whole';
  const spans: Span[] = [];
  let count = 0;
  for (const member of members) {
    const text = member.trim();
    if (text === '') continue;
    const span = readSpan(text, size);
    if (span === undefined || ++count > MAX_RANGES) return 'whole';
    if (span.end > span.start) spans.push(span);
  }
  if (count === 0) return 'whole';
  // Of an empty representation a suffix is all there is, and Content-Range has no words for it.
  if (spans.length === 0) return size === 0 && /(?:^|,)[ \t]*-0*[1-9]/.test(set) ? 'whole' : 'unsatisfiable';
  return spans.length > 1 && doOverlap(spans) ? 'whole' : spans;
}

/** One range-spec; an empty span when nothing of it exists, undefined when it is malformed. */
function readSpan(text: string, size: number): Span | undefined {
  const parts = /^(\d*)[ \t]*-[ \t]*(\d*)$/.exec(text);
  if (parts === null || (parts[1] === '' && parts[2] === '')) return undefined;
  if (parts[1] === '') return { start: Math.max(0, size - Number(parts[2])), end: size };
  const start = Number(parts[1]);
  const last = parts[2] === '' ? Number.POSITIVE_INFINITY : Number(parts[2]);
  if (last < start) return undefined;
  return { start, end: Math.min(last + 1, size) };
}

function doOverlap(spans: readonly Span[]): boolean {
  const sorted = spans.toSorted((a, b) => a.start - b.start);
  return sorted.some((span, i) => i > 0 && span.start < sorted[i - 1]!.end);
}

/** `bytes 0-99/1234`. */
export function contentRange(span: Span, size: number): string {
  return `bytes ${span.start}-${span.end - 1}/${size}`;
}

/** What stands before a part of multipart/byteranges (RFC 9110 §14.6). */
export function partHead(boundary: string, type: string, span: Span, size: number): string {
  return `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(span, size)}\r\n\r\n`;
}

/** What stands behind the last part. */
export function partsEnd(boundary: string): string {
  return `\r\n--${boundary}--\r\n`;
}

/** Codings that we can make. */
export type Coding = 'br' | 'zstd' | 'gzip';

/** Of equally welcome ones the first is taken: it makes text the smallest. */
export const CODINGS: readonly Coding[] = ['br', 'zstd', 'gzip'];

/** The coding, of those that are there, that a client likes best (RFC 9110 §12.5.3). Without the field it is `identity`. */
export function chooseCoding(headers: Headers, available: readonly Coding[]): Coding | 'identity' {
  if (available.length === 0) return 'identity';
  const accept = listValue(headers, 'accept-encoding');
  if (accept === undefined) return 'identity';
  const weights = weightsOf(accept);
  const others = weights.get('*') ?? 0;
  let best: Coding | 'identity' = 'identity';
  let most = weights.get('identity') ?? 0;
  for (const coding of CODINGS) {
    if (!available.includes(coding)) continue;
    const weight = weights.get(coding) ?? others;
    if (weight > 0 && (weight > most || (weight === most && best === 'identity'))) {
      best = coding;
      most = weight;
    }
  }
  return best;
}

/** What was read before: the same few lists come again and again. */
const WEIGHTS = new Map<string, ReadonlyMap<string, number>>();
const MAX_WEIGHTS = 256;
/** A longer list is no browser's. */
const MAX_ACCEPT = 128;

/** The weight of each member, names in lower case. A weight that cannot be read is a refusal. */
function weightsOf(accept: string): ReadonlyMap<string, number> {
  const known = WEIGHTS.get(accept);
  if (known !== undefined) return known;
  const weights = readWeights(accept);
  if (accept.length <= MAX_ACCEPT) {
    if (WEIGHTS.size >= MAX_WEIGHTS) WEIGHTS.clear();
    // A copy: what was cut out of a head would keep all of that head.
    WEIGHTS.set(Buffer.from(accept, 'latin1').toString('latin1'), weights);
  }
  return weights;
}

function readWeights(accept: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const member of accept.split(',')) {
    const [name, ...parameters] = member.split(';');
    const coding = name!.trim().toLowerCase();
    const q = parameters.map((each) => each.trim()).find((each) => /^q[ \t]*=/i.test(each));
    const weight = q === undefined ? 1 : readWeight(q);
    if (coding !== '') weights.set(coding === 'x-gzip' ? 'gzip' : coding, weight);
  }
  return weights;
}

function readWeight(q: string): number {
  const weight = /^q[ \t]*=[ \t]*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i.exec(q)?.[1];
  return weight === undefined ? 0 : Number(weight);
}

/** Fewer bytes than this are one packet, compressed or not. */
export const MIN_COMPRESSED = 256;

/** Types beyond `text/` that become clearly smaller. */
const TEXT_TYPES: ReadonlySet<string> = new Set([
  ...['application/javascript', 'application/ecmascript', 'application/json', 'application/x-ndjson'],
  ...['application/xml', 'application/wasm', 'application/x-javascript', 'application/vnd.ms-fontobject'],
  ...['font/ttf', 'font/otf', 'font/collection', 'image/bmp', 'image/x-icon', 'image/vnd.microsoft.icon'],
]);

/** True for a media type, parameters and letter case aside, that is worth compressing. Event streams never are: each event has to leave at once. */
export function isTextType(type: string): boolean {
  if (TEXT_TYPES.has(type)) return true;
  const name = type.split(';', 1)[0]!.trim().toLowerCase();
  if (name === 'text/event-stream') return false;
  return name.startsWith('text/') || TEXT_TYPES.has(name) || /\+(?:json|xml|text)$/.test(name);
}

/** True when a request asks for a part. */
export function asksForRange(method: string, headers: Headers): boolean {
  return method === 'GET' && firstValue(headers, 'range') !== undefined;
}
