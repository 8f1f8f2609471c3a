// Rewriting: what is asked of an upstream whose answer is to be rewritten, which answers are, and their fields.

import { firstValue, type Headers } from '../http/headers.ts';
import { weakened } from '../http/representation.ts';

/** What may be written into an answer: parameters, or the base of a page. */
export type RewriteKind = 'script' | 'embed' | 'base';

const CODED: readonly string[] = ['accept-encoding'];
const CONDITIONS: readonly string[] = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];
const PARTIAL: readonly string[] = [...CODED, ...CONDITIONS, 'range', 'if-range'];

/** The fields to ask with: what is rewritten has to come plain, and parameters whole and in any case. */
export function askForRewriting(headers: Headers, kind: RewriteKind): Headers {
  const left = kind === 'base' ? CODED : PARTIAL;
  return without(headers, left);
}

const PLAIN_TYPES: readonly string[] = ['', 'text/plain', 'application/octet-stream', 'binary/octet-stream'];
const TYPES: Readonly<Record<RewriteKind, RegExp>> = Object.freeze({
  script: /^(?:application|text)\/(?:x-)?(?:java|ecma)script$/,
  embed: /^(?:application|text)\/json$/,
  base: /^text\/html$/,
});

/**
 * Why an answer is not rewritten, for people: it continues the file's name. Undefined when it is. A frontend's server answers paths
 * that are no file by its index page, which looks like a success.
 */
export function keepReason(kind: RewriteKind, status: number, headers: Headers): string | undefined {
  if (status !== 200) return `is not rewritten: the upstream answered ${status}`;
  const type = (firstValue(headers, 'content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const fits = TYPES[kind].test(type) || (kind !== 'base' && PLAIN_TYPES.includes(type));
  if (!fits) return `is not rewritten: what the upstream answered is no such file, but ${type.slice(0, 80)}`;
  // Nobody asked for that, but an object in a bucket can be stored so.
  if (firstValue(headers, 'content-encoding') !== undefined) return 'is not rewritten: it is stored compressed';
  return undefined;
}

/** Of the bytes that the upstream sent, and of how they may be kept. */
const OF_THE_BYTES: readonly string[] = [
  ...['accept-ranges', 'content-digest', 'repr-digest', 'digest', 'content-md5', 'content-length'],
];
const OF_KEEPING: readonly string[] = ['cache-control', 'expires', 'pragma', 'age', 'etag', 'last-modified'];

/** The fields of parameters that were rewritten: `etag` is that of the new bytes. */
export function parameterHeaders(headers: Headers, etag: string, length: number): Headers {
  const out = without(headers, [...OF_THE_BYTES, ...OF_KEEPING]);
  out.push('Cache-Control', 'no-store', 'ETag', etag, 'Content-Length', String(length));
  return out;
}

/** The fields of a page that has another base. Its tag still tells its states apart, but not its bytes. */
export function pageHeaders(headers: Headers, length: number | undefined): Headers {
  const out = without(headers, OF_THE_BYTES);
  for (let i = 0; i < out.length; i += 2) {
    if (out[i]!.toLowerCase() === 'etag') out[i + 1] = weakened(out[i + 1]!);
  }
  if (length !== undefined) out.push('Content-Length', String(length));
  return out;
}

/** Trailers behind a body that was changed on its way: what they tell of its bytes is not true any more. */
export function changedTrailers(trailers: Headers): Headers {
  return without(trailers, [...OF_THE_BYTES, 'etag']);
}

function without(headers: Headers, names: readonly string[]): Headers {
  return headers.filter((_each, i) => !names.includes(headers[i - (i % 2)]!.toLowerCase()));
}
